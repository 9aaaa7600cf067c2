"""What counts as turning a cube, and what as dropping it."""

import numpy as np
import pytest

from sernf_sim.tasks.cube_rotation import DROP_M, LEFT_M, TOPPLED_RAD, RotationCount, dropped


def test_turns_are_counted_beyond_half_a_turn():
    count = RotationCount(1)
    count.reset([3.0])
    # 30 degrees a step, three turns in all, as wrapped angles.
    for step in range(1, 37):
        yaw = 3.0 + step * np.pi / 6
        count.update([np.arctan2(np.sin(yaw), np.cos(yaw))], [4], 0.5)
    assert count.turned_rad[0] == pytest.approx(6 * np.pi)
    assert count.turns_per_minute()[0] == pytest.approx(3 / 0.3)


def test_only_time_with_three_fingertips_counts():
    count = RotationCount(1)
    for step, fingertips in enumerate([4, 3, 2, 0, 3], start=1):
        count.update([0.1 * step], [fingertips], 0.05)
    assert count.turned_rad[0] == pytest.approx(0.5)
    assert count.counted_rad[0] == pytest.approx(0.3)
    assert count.fingertip_s[0] / count.time_s[0] == pytest.approx(12 / 5)


def test_turning_back_is_taken_off():
    count = RotationCount(1)
    for yaw in (0.3, 0.1):
        count.update([yaw], [3], 0.05)
    assert count.counted_rad[0] == pytest.approx(0.1)


def test_rows_are_independent():
    count = RotationCount(3)
    count.reset([1.0], [1])
    count.update([1.2], [3], 0.05, [1])
    assert count.counted_rad == pytest.approx([0.0, 0.2, 0.0])
    count.reset([0.0], [1])
    assert not count.counted_rad.any() and not count.time_s.any()


def test_a_cube_that_does_not_move_turns_not_at_all_per_minute():
    assert RotationCount(2).turns_per_minute() == pytest.approx([0.0, 0.0])


@pytest.mark.parametrize(
    ("offset_m", "tilt_rad", "lost"),
    [
        ((0.0, 0.0, -0.9 * DROP_M), 0.0, False),
        ((0.0, 0.0, -1.1 * DROP_M), 0.0, True),
        ((0.0, 0.0, 2.0 * DROP_M), 0.0, False),
        ((0.8 * LEFT_M, 0.8 * LEFT_M, 0.0), 0.0, True),
        ((0.8 * LEFT_M, 0.0, 0.0), 0.0, False),
        ((0.0, 0.0, 0.0), 1.1 * TOPPLED_RAD, True),
    ],
)
def test_what_is_dropped(offset_m, tilt_rad, lost):
    assert bool(dropped(offset_m, tilt_rad)) is lost

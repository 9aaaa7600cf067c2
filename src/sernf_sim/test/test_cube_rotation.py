"""What counts as turning a cube, and what as dropping it."""

import numpy as np
import pytest

from sernf_sim.tasks.cube_rotation import DROP_M, LEFT_M, TOPPLED_RAD, RotationCount, dropped, measured, rotation_report


def test_turns_are_counted_beyond_half_a_turn():
    count = RotationCount(3.0)
    # 30 degrees a step, three turns in all, as wrapped angles.
    for step in range(1, 37):
        yaw = 3.0 + step * np.pi / 6
        count.update(np.arctan2(np.sin(yaw), np.cos(yaw)), [1.0] * 4, 0.5)
    assert count.turned_rad == count.counted_rad == pytest.approx(6 * np.pi)


def test_only_time_with_three_fingertips_counts():
    count = RotationCount(0.0)
    for step, fingertips in enumerate([4, 3, 2, 0, 3], start=1):
        count.update(0.1 * step, [2.0] * fingertips, 0.05)
    assert count.turned_rad == pytest.approx(0.5)
    assert count.counted_rad == pytest.approx(0.3)
    assert count.fingertip_s / count.time_s == pytest.approx(12 / 5)
    assert count.force_ns / count.time_s == pytest.approx(2.0 * 4 / 5)


def test_turning_back_is_taken_off():
    count = RotationCount(0.0)
    for yaw in (0.3, 0.1):
        count.update(yaw, [1.0] * 3, 0.05)
    assert count.counted_rad == pytest.approx(0.1)


def test_the_report_counts_all_the_time_that_was_lived():
    report = rotation_report(
        counted_rad=np.array([4 * np.pi, 0.0]), turned_rad=np.array([6 * np.pi, 0.0]), lived_s=np.array([60.0, 20.0]),
        fingertip_s=np.array([240.0, 40.0]), force_ns=np.array([120.0, 40.0]), lost=np.array([False, True]),
    )  # fmt: skip
    assert report == pytest.approx({
        "rpm": 1.5, "uncounted_rpm": 0.75, "degrees_per_episode": 360.0, "drops_per_min": 0.75, "survival": 0.5,
        "mean_fingertips": 3.5, "mean_contact_force_n": 2.0,
    })  # fmt: skip


def test_episodes_that_ended_before_anybody_took_hold_can_be_reported():
    nothing = np.zeros(2)
    report = rotation_report(
        counted_rad=nothing, turned_rad=nothing, lived_s=nothing, fingertip_s=nothing, force_ns=nothing, lost=nothing == 0
    )
    assert report["rpm"] == report["survival"] == report["mean_fingertips"] == 0.0


def test_only_episodes_in_which_something_was_measured_are_reported():
    row = {"counted_rad": 2 * np.pi, "turned_rad": 2 * np.pi, "lived_s": 60.0, "fingertip_s": 180.0, "force_ns": 60.0}
    report = measured("cube", [row, {}, row], [False, True, False])
    assert report["rpm"] == pytest.approx(1.0) and report["survival"] == 1.0
    assert measured("cube", [{}], [True]) == measured("duck", [row], [False]) == {}


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

"""Synergies move the named joints together along their stroke, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from teleop_fixtures import HOME, LOWER, PERIOD_S, UPPER, synergies

from sernf_robot.config import ConfigError
from sernf_robot.joints import JOINTS
from sernf_teleop.synergies import HandSynergies, SynergyConfig


def run(rate: float, periods: int, start: np.ndarray = HOME) -> np.ndarray:
    position = start
    for _ in range(periods):
        position = synergies().move(position, "grasp", rate, PERIOD_S)
    return position


def test_a_full_stroke_closes_the_hand_and_the_way_back_opens_it() -> None:
    index = JOINTS.index("right_index_mcp")
    closed = run(1.0, 60)
    assert closed[index] == pytest.approx(1.339)
    assert run(-1.0, 60, closed)[index] == pytest.approx(0.118)


def test_the_arm_and_joints_that_are_not_named_stay() -> None:
    closed = run(1.0, 60)
    assert (closed[:7] == HOME[:7]).all()
    assert closed[JOINTS.index("right_index_abd")] == HOME[JOINTS.index("right_index_abd")]


@given(st.lists(st.floats(-1.0, 1.0), min_size=17, max_size=17), st.floats(-2.0, 2.0))
def test_one_period_never_moves_more_than_its_share_of_the_stroke(fingers: list[float], rate: float) -> None:
    start = HOME.copy()
    start[7:] = fingers
    moved = np.abs(synergies().move(start, "grasp", rate, PERIOD_S) - start)
    assert moved.max() <= abs(rate) * PERIOD_S * 1.3


def test_a_value_is_approached_at_limited_speed_and_clipped_to_the_stroke() -> None:
    index = JOINTS.index("right_index_mcp")
    first = synergies().go_to(HOME, "grasp", 5.0, 1.0, PERIOD_S)
    assert 0.0 < first[index] <= 0.07
    position = first
    for _ in range(60):
        position = synergies().go_to(position, "grasp", 0.5, 1.0, PERIOD_S)
    assert position[index] == pytest.approx(0.5 * (0.118 + 1.339))


@pytest.mark.parametrize(
    ("poses", "strokes", "message"),
    [
        ({"a": {"right_nose": 0.0}}, {}, "right_nose"),
        ({"a": {"fr3_joint1": 0.0}}, {}, "fr3_joint1"),
        ({"a": {"right_wrist": 9.0}}, {}, "right_wrist"),
        ({"a": {}}, {"s": SynergyConfig(from_pose="a", to_pose="b")}, "unknown hand pose 'b'"),
        ({"a": {}, "b": {"right_wrist": 0.1}}, {"s": SynergyConfig(from_pose="a", to_pose="b")}, "lacks right_wrist"),
    ],
)
def test_configuration_errors_name_the_key(poses: dict, strokes: dict, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ConfigError, match=message):
        HandSynergies(poses, strokes, LOWER, UPPER)

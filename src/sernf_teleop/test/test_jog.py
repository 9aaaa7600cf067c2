"""Jogging keeps the direction asked for or slows down, respects limits and speeds, and never invents motion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from teleop_fixtures import HOME, KINEMATICS, LOWER, PERIOD_S, UPPER, jogger

from sernf_robot.joints import ARM_JOINTS, JOINTS
from sernf_robot.kinematics import rotation_vector
from sernf_teleop.jog import LENGTH_M, JogConfig, clamp_to_limits, joint_vector, keep_within

CONFIG = JogConfig()
arms = st.tuples(*(st.floats(low + 0.001, high - 0.001) for low, high in zip(LOWER[:7], UPPER[:7], strict=True)))
twists = st.lists(st.floats(-1.0, 1.0), min_size=6, max_size=6).map(lambda values: np.array(values) * ([0.2] * 3 + [1.0] * 3))


def pose_at(arm: tuple[float, ...]) -> np.ndarray:
    position = HOME.copy()
    position[:7] = arm
    return position


@given(arms, twists)
@settings(deadline=None, max_examples=200)
def test_motion_has_the_wanted_direction_or_there_is_none(arm: tuple[float, ...], twist: np.ndarray) -> None:
    position = pose_at(arm)
    step = jogger().follow(position, twist, PERIOD_S)
    change = step.position_rad[:7] - position[:7]
    wanted, made = twist.copy(), KINEMATICS.jacobian(position) @ change
    wanted[3:] *= LENGTH_M * min(1.0, CONFIG.max_angular_rad_s / max(1e-12, float(np.linalg.norm(twist[3:]))))
    wanted[:3] *= min(1.0, CONFIG.max_linear_m_s / max(1e-12, float(np.linalg.norm(twist[:3]))))
    made[3:] *= LENGTH_M
    if np.linalg.norm(made) > 1e-7:
        cosine = made @ wanted / np.linalg.norm(made) / np.linalg.norm(wanted)
        assert cosine > np.cos(CONFIG.max_direction_error_rad)


@given(arms, twists)
@settings(deadline=None, max_examples=200)
def test_steps_keep_limits_and_joint_speed(arm: tuple[float, ...], twist: np.ndarray) -> None:
    position = pose_at(arm)
    target = jogger().follow(position, twist, PERIOD_S).position_rad
    assert (target[7:] == position[7:]).all()
    assert np.abs(target - position).max() <= CONFIG.max_joint_speed_rad_s * PERIOD_S + 1e-9
    middle, reach = 0.5 * (LOWER + UPPER)[:7], 0.5 * (UPPER - LOWER)[:7] - CONFIG.limit_margin_rad
    before, after = np.abs(position[:7] - middle), np.abs(target[:7] - middle)
    assert (after <= np.maximum(reach, before) + 1e-9).all()


def test_hand_goes_where_it_is_sent() -> None:
    position, start = HOME.copy(), KINEMATICS.hand_pose(HOME)
    for _ in range(20):
        position = jogger().follow(position, np.array([0.1, 0.0, 0.0, 0.0, 0.0, 0.0]), PERIOD_S).position_rad
    end = KINEMATICS.hand_pose(position)
    assert end[0] - start[0] == pytest.approx([0.1, 0.0, 0.0], abs=2e-3)
    assert np.linalg.norm(rotation_vector(end[1] @ start[1].T)) < 0.01


def test_hand_frame_twist_turns_with_the_hand() -> None:
    along_fingers = KINEMATICS.hand_pose(HOME)[1][:, 2]
    moved = jogger().follow_hand_frame(HOME, np.array([0.0, 0.0, 0.1, 0.0, 0.0, 0.0]), PERIOD_S).position_rad
    change = KINEMATICS.hand_pose(moved)[0] - KINEMATICS.hand_pose(HOME)[0]
    assert change == pytest.approx(0.1 * PERIOD_S * along_fingers, abs=2e-4)


def test_no_request_no_motion() -> None:
    step = jogger().follow(HOME, np.zeros(6), PERIOD_S)
    assert (step.position_rad == HOME).all()
    assert step.followed == 1.0


def test_motion_fades_out_and_says_so_towards_the_outstretched_arm() -> None:
    position = HOME.copy()
    for _ in range(200):
        step = jogger().follow(position, np.array([0.15, 0.0, 0.0, 0.0, 0.0, 0.0]), PERIOD_S)
        position = step.position_rad
    assert step.followed < 0.1
    assert step.obstacles
    assert np.linalg.norm(KINEMATICS.hand_pose(position)[0]) < 1.2


def test_a_joint_at_its_limit_is_named_and_the_way_back_is_free() -> None:
    position = HOME.copy()
    position[6] = UPPER[6] - CONFIG.limit_margin_rad
    outwards = KINEMATICS.jacobian(position)[:, 6]
    assert f"limit:{ARM_JOINTS[6]}" in jogger().follow(position, outwards, PERIOD_S).obstacles
    back = jogger().follow(position, -outwards, PERIOD_S)
    assert back.obstacles == ()
    assert back.followed > 0.9


def test_a_pose_is_approached_and_reached() -> None:
    goal = HOME.copy()
    goal[:7] += 0.15, 0.1, -0.1, 0.1, 0.1, -0.1, 0.2
    goal_position, goal_rotation = KINEMATICS.hand_pose(goal)
    position = HOME
    for _ in range(80):
        position = jogger().towards(position, goal_position, goal_rotation, PERIOD_S).position_rad
    reached_position, reached_rotation = KINEMATICS.hand_pose(position)
    assert np.linalg.norm(reached_position - goal_position) < 1e-3
    assert np.linalg.norm(rotation_vector(goal_rotation @ reached_rotation.T)) < 5e-3
    assert (jogger().towards(position, *KINEMATICS.hand_pose(position), PERIOD_S).position_rad == position).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        jogger().follow(HOME, np.array([bad, 0, 0, 0, 0, 0]), PERIOD_S)


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_targets_never_lead_further_than_allowed(target: float, executed: float) -> None:
    assert abs(keep_within(np.array([target]), np.array([executed]), 0.3)[0] - executed) <= 0.3 + 1e-12


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_outside_of_the_limits_only_the_way_back_is_open(target: float, current: float) -> None:
    clamped = clamp_to_limits(np.array([target]), np.array([current]), np.array([-1.0]), np.array([1.0]))[0]
    assert -1.0 <= clamped <= 1.0 or abs(clamped) <= abs(current)


def test_joint_vectors_are_matched_by_name() -> None:
    assert joint_vector(["b", "a"], [2.0, 1.0], ["a", "b"]).tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="missing"):
        joint_vector(["a"], [1.0], JOINTS)
    with pytest.raises(ValueError, match="as many positions"):
        joint_vector(["a"], [], ["a"])


def test_configuration_refuses_what_makes_no_sense() -> None:
    for wrong in ({"max_linear_m_s": 0.0}, {"pose_gain": 1.5}, {"posture_rad": (0.0,)}, {"max_direction_error_rad": 2.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            JogConfig(**wrong)

"""Kinematics: inverse undoes forward, the Jacobian is the derivative, unreachable targets are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sernf_robot.kinematics import InverseConfig, Kinematics, NotReachableError, quaternion_to_matrix, rotation_vector

HOME = np.array([0.0, -0.3, 0.0, -2.0, 0.0, 1.9, 0.785])
KINEMATICS = Kinematics()

arm_poses = st.lists(st.floats(-0.5, 0.5), min_size=7, max_size=7).map(lambda offset: HOME + np.array(offset))


@given(arm_poses)
@settings(deadline=None, max_examples=40)
def test_inverse_reaches_every_pose_that_forward_produces(arm: np.ndarray) -> None:
    position, rotation = KINEMATICS.hand_pose(arm)
    found_position, found_rotation = KINEMATICS.hand_pose(KINEMATICS.inverse(position, rotation, HOME))
    assert np.linalg.norm(found_position - position) < 5e-4
    assert np.linalg.norm(rotation_vector(found_rotation @ rotation.T)) < 2e-3


@given(arm_poses)
@settings(deadline=None, max_examples=40)
def test_jacobian_is_the_derivative_of_the_pose(arm: np.ndarray) -> None:
    jacobian = KINEMATICS.jacobian(arm)
    position, rotation = KINEMATICS.hand_pose(arm)
    for joint in range(7):
        moved = arm.copy()
        moved[joint] += 1e-6
        new_position, new_rotation = KINEMATICS.hand_pose(moved)
        change = np.concatenate([new_position - position, rotation_vector(new_rotation @ rotation.T)]) / 1e-6
        np.testing.assert_allclose(jacobian[:, joint], change, atol=1e-4)


def test_hand_joints_do_not_move_the_hand_frame() -> None:
    joints = np.concatenate([HOME, np.linspace(-0.3, 0.3, 17)])
    for seven, all_joints in zip(KINEMATICS.hand_pose(HOME), KINEMATICS.hand_pose(joints), strict=True):
        np.testing.assert_allclose(seven, all_joints)


def test_hand_points_down_at_home() -> None:
    _, rotation = KINEMATICS.hand_pose([0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785])
    np.testing.assert_allclose(rotation[:, 2], [0.0, 0.0, -1.0], atol=1e-3)


def test_refuses_what_cannot_be_reached() -> None:
    with pytest.raises(NotReachableError, match="mm and"):
        KINEMATICS.inverse([2.0, 0.0, 0.5], np.eye(3), HOME)


@pytest.mark.parametrize(
    ("position", "rotation", "message"),
    [([0.5, 0.0, np.nan], np.eye(3), "finite"), ([0.5, 0.0], np.eye(3), r"\(3,\)"), ([0.5, 0.0, 0.3], np.eye(2), r"\(3, 3\)")],
)
def test_refuses_malformed_targets(position: list[float], rotation: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KINEMATICS.inverse(position, rotation, HOME)


def test_refuses_other_joint_counts() -> None:
    with pytest.raises(ValueError, match="24"):
        KINEMATICS.hand_pose(np.zeros(8))


def test_config_is_checked() -> None:
    with pytest.raises(ValueError, match="damping"):
        InverseConfig(damping=0.0)


def test_quaternion_and_rotation_vector_agree() -> None:
    half = 0.3
    matrix = quaternion_to_matrix([np.cos(half), 0.0, np.sin(half), 0.0])
    np.testing.assert_allclose(rotation_vector(matrix), [0.0, 2 * half, 0.0], atol=1e-12)

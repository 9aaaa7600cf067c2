"""Forward and inverse kinematics of the arm: pose of the hand frame in the base frame `fr3_link0`.

Hand frame: origin at the flange, +z along the outstretched fingers, +y out of the palm. The inverse is damped least squares
with a null-space pull towards a posture, so successive calls along a path stay on one branch. `NotReachableError` says how far
a target was missed.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sernf_robot.joints import ARM_JOINTS, JOINTS
from sernf_robot.model import build_robot_spec, joint_limits, robot_index

FloatArray = NDArray[np.float64]
GRASP_POINT_M = np.array([-0.025, 0.06, 0.258])
"""Between fingers and thumb of the half-open hand, in the hand frame, (3,) m."""
ARM = slice(0, len(ARM_JOINTS))
"""The arm's part of a 24-joint vector."""


class NotReachableError(ValueError):
    """No arm pose reaches the target; the message gives the remaining position and rotation error."""


@dataclass(frozen=True, kw_only=True)
class InverseConfig:
    """How the damped least squares iterate. Less damping or longer steps make commanded joint speeds jump near singularities.

    The pull towards the posture fades out over `posture_iterations`, so that it cannot keep the hand from its target.
    """

    damping: float = 1e-3
    max_step_rad: float = 0.1
    posture_gain: float = 0.1
    posture_iterations: int = 100
    max_iterations: int = 200
    position_tolerance_m: float = 5e-4
    rotation_tolerance_rad: float = 2e-3
    limit_margin_rad: float = 0.14

    def __post_init__(self) -> None:
        positive = (
            "damping",
            "max_step_rad",
            "posture_iterations",
            "max_iterations",
            "position_tolerance_m",
            "rotation_tolerance_rad",
        )
        for name in positive:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: expected a positive number, got {getattr(self, name)}")


class Kinematics:
    """Kinematics on its own copy of the robot's model; not for use from several threads at once."""

    def __init__(self, config: InverseConfig | None = None) -> None:
        self._config = config or InverseConfig()
        self._model = build_robot_spec().compile()
        self._data = mujoco.MjData(self._model)
        index = robot_index(self._model)
        self._qpos = index.qpos
        self._arm_dof = index.dof[ARM]
        self._site = index.hand_site
        lower, upper = joint_limits(self._model)
        self._lower = lower[ARM] + self._config.limit_margin_rad
        self._upper = upper[ARM] - self._config.limit_margin_rad
        self._jacobian_position = np.zeros((3, self._model.nv))
        self._jacobian_rotation = np.zeros((3, self._model.nv))

    def hand_pose(self, position_rad: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Pose of the hand frame in `fr3_link0` for joints (24,) or arm joints (7,): position (3,) m, rotation (3, 3)."""
        self._set(position_rad)
        mujoco.mj_kinematics(self._model, self._data)
        return self._data.site_xpos[self._site].copy(), self._data.site_xmat[self._site].reshape(3, 3).copy()

    def jacobian(self, position_rad: ArrayLike) -> FloatArray:
        """Geometric Jacobian (6, 7) of the hand frame, base frame, linear rows first; joints (24,) or (7,) rad."""
        self._set(position_rad)
        mujoco.mj_kinematics(self._model, self._data)
        return self._hand_jacobian()

    def inverse(
        self, position_m: ArrayLike, rotation: ArrayLike, start_rad: ArrayLike, posture_rad: ArrayLike | None = None
    ) -> FloatArray:
        """Arm joints (7,) that put the hand frame at `position_m` (3,), `rotation` (3, 3) in `fr3_link0`.

        `start_rad`: (24,) or (7,), where to begin. `posture_rad`: what the redundant joint is pulled to, the start by default.
        Raises NotReachableError, and ValueError for targets that are not finite.
        """
        target_position = np.asarray(position_m, dtype=float)
        target_rotation = np.asarray(rotation, dtype=float)
        if target_position.shape != (3,) or target_rotation.shape != (3, 3):
            raise ValueError(
                f"expected position (3,) and rotation (3, 3), got {target_position.shape} and {target_rotation.shape}"
            )
        if not (np.isfinite(target_position).all() and np.isfinite(target_rotation).all()):
            raise ValueError("expected a finite hand pose, got NaN or infinity")
        config = self._config
        arm: FloatArray = np.clip(np.asarray(start_rad, dtype=float)[ARM], self._lower, self._upper)
        posture = arm.copy() if posture_rad is None else np.asarray(posture_rad, dtype=float)[ARM]
        for iteration in range(config.max_iterations):
            position, current = self.hand_pose(arm)
            error = np.concatenate([target_position - position, rotation_vector(target_rotation @ current.T)])
            offset_m, angle_rad = float(np.linalg.norm(error[:3])), float(np.linalg.norm(error[3:]))
            if offset_m < config.position_tolerance_m and angle_rad < config.rotation_tolerance_rad:
                return arm
            jacobian = self._hand_jacobian()
            left, stretch, right = np.linalg.svd(jacobian)
            step = right[:6].T @ (stretch / (stretch**2 + config.damping) * (left.T @ error))
            # The posture pulls along what the hand does not feel: the null space, and what singularities add to it.
            unfelt = np.append((config.damping / (stretch**2 + config.damping)) ** 2, 1.0)
            gain = config.posture_gain * max(0.0, 1.0 - iteration / config.posture_iterations)
            step += gain * (right.T @ (unfelt * (right @ (posture - arm))))
            largest = float(np.abs(step).max())
            if largest > config.max_step_rad:
                step *= config.max_step_rad / largest
            arm = np.clip(arm + step, self._lower, self._upper)
        raise NotReachableError(
            f"hand pose at {np.round(target_position, 3).tolist()} m cannot be reached: "
            f"{offset_m * 1000:.1f} mm and {np.degrees(angle_rad):.1f} degrees remain; choose a pose nearer to the robot's front"
        )

    def _hand_jacobian(self) -> FloatArray:
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_jacSite(self._model, self._data, self._jacobian_position, self._jacobian_rotation, self._site)
        return np.vstack([self._jacobian_position[:, self._arm_dof], self._jacobian_rotation[:, self._arm_dof]])

    def _set(self, position_rad: ArrayLike) -> None:
        position = np.asarray(position_rad, dtype=float)
        if position.shape == (len(JOINTS),):
            self._data.qpos[self._qpos] = position
        elif position.shape == (len(ARM_JOINTS),):
            self._data.qpos[self._qpos[ARM]] = position
        else:
            raise ValueError(f"expected joints (24,) or arm joints (7,), got {position.shape}")


def rotation_vector(rotation: FloatArray) -> FloatArray:
    """Axis times angle (3,) rad of a rotation matrix (3, 3)."""
    quaternion, vector = np.zeros(4), np.zeros(3)
    mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(rotation).reshape(9))
    mujoco.mju_quat2Vel(vector, quaternion, 1.0)
    return vector


def quaternion_to_matrix(quaternion_wxyz: ArrayLike) -> FloatArray:
    """Rotation matrix (3, 3) of a unit quaternion (4,), w first."""
    matrix: FloatArray = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, np.asarray(quaternion_wxyz, dtype=float))
    return matrix.reshape(3, 3)

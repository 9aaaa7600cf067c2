"""Hand motions for scripted demonstrators: segments between hand poses turned into joint targets, at bounded joint speed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import mujoco
import numpy as np

from sernf_robot.joints import ARM_JOINTS
from sernf_robot.kinematics import FloatArray, Kinematics, NotReachableError, rotation_vector

ARM = slice(0, len(ARM_JOINTS))
HAND = slice(len(ARM_JOINTS), None)


@dataclass(frozen=True)
class HandPose:
    """Hand frame in `fr3_link0` and hand joints: position (3,) m, rotation (3, 3), fingers (17,) rad."""

    position_m: FloatArray
    rotation: FloatArray
    fingers_rad: FloatArray


class SmoothMotion:
    """Yields joint targets (24,) along minimum-jerk segments between hand poses.

    Inverse kinematics is solved at both ends and in the middle of a segment and joined in joint space, so segments may cross
    wrist singularities. A segment lasts longer than asked for where a joint would exceed `max_speed_rad_s` (24,).
    """

    def __init__(self, kinematics: Kinematics, posture_rad: FloatArray, max_speed_rad_s: FloatArray, period_s: float) -> None:
        self._kinematics = kinematics
        self._posture_rad = posture_rad
        self._max_step_rad = max_speed_rad_s * period_s
        self._period_s = period_s
        self.target_rad: FloatArray = np.zeros(24)
        self.pose = HandPose(np.zeros(3), np.eye(3), np.zeros(17))

    def start(self, joint_position_rad: FloatArray) -> None:
        """Begin at rest at joints (24,) rad."""
        self.target_rad = joint_position_rad.copy()
        position, rotation = self._kinematics.hand_pose(joint_position_rad)
        self.pose = HandPose(position, rotation, joint_position_rad[HAND].copy())

    def hold(self, duration_s: float) -> Iterator[FloatArray]:
        """Stay where the motion has led."""
        for _ in range(round(duration_s / self._period_s)):
            yield self.target_rad.copy()

    def fingers(self, fingers_rad: FloatArray, duration_s: float) -> Iterator[FloatArray]:
        """Move the hand's joints (17,) rad only."""
        goal = np.concatenate([self.target_rad[ARM], fingers_rad])
        self.pose = HandPose(self.pose.position_m, self.pose.rotation, fingers_rad)
        yield from self._follow(goal, np.zeros(24), duration_s)

    def move(self, goal: HandPose, duration_s: float, *, bend_m: FloatArray | None = None) -> Iterator[FloatArray]:
        """Go to `goal` in `duration_s`; `bend_m` (3,) shifts the middle of the way. Raises NotReachableError for the goal."""
        origin, self.pose = self.pose, goal
        turn = rotation_vector(goal.rotation @ origin.rotation.T)
        middle_m = 0.5 * (origin.position_m + goal.position_m) + (0.0 if bend_m is None else bend_m)
        end = np.concatenate([self._solve(goal.position_m, goal.rotation), goal.fingers_rad])
        bulge = np.zeros(24)
        # A middle out of reach is no reason to give up: the straight line through joint space always exists.
        with suppress(NotReachableError):
            middle = self._solve(middle_m, _rotation(0.5 * turn) @ origin.rotation)
            bulge[ARM] = middle - 0.5 * (self.target_rad[ARM] + end[ARM])
        yield from self._follow(end, bulge, duration_s)

    def _solve(self, position_m: FloatArray, rotation: FloatArray) -> FloatArray:
        # Always from the same posture, turned towards the target: otherwise the redundant joint would drift along the way.
        posture = self._posture_rad.copy()
        posture[0] += np.arctan2(position_m[1], position_m[0])
        return self._kinematics.inverse(position_m, rotation, posture)

    def _follow(self, end_rad: FloatArray, bulge_rad: FloatArray, duration_s: float) -> Iterator[FloatArray]:
        start = self.target_rad
        steps = max(2, round(duration_s / self._period_s))
        path = _path(start, end_rad, bulge_rad, steps)
        excess = float((np.abs(np.diff(path, axis=0)) / self._max_step_rad).max())
        if excess > 1.0:
            path = _path(start, end_rad, bulge_rad, int(np.ceil(steps * excess)) + 1)
        for self.target_rad in path[1:]:
            yield self.target_rad.copy()


def _path(start_rad: FloatArray, end_rad: FloatArray, bulge_rad: FloatArray, steps: int) -> FloatArray:
    """Joints (steps + 1, 24) from start to end; half-way it is off the straight line by `bulge_rad`."""
    time = np.linspace(0.0, 1.0, steps + 1)[:, None]
    share = time**3 * (10.0 - 15.0 * time + 6.0 * time**2)
    return start_rad + share * (end_rad - start_rad) + 4.0 * share * (1.0 - share) * bulge_rad


def _rotation(vector_rad: FloatArray) -> FloatArray:
    quaternion, matrix = np.array([1.0, 0.0, 0.0, 0.0]), np.zeros(9)
    mujoco.mju_quatIntegrate(quaternion, vector_rad, 1.0)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)

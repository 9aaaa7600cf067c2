"""Hand motions for scripted demonstrators: smooth Cartesian segments turned into joint targets, at bounded joint speed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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

    No joint's target moves faster than `max_speed_rad_s` (24,): where a segment would need more, the arm falls behind and
    catches up. Where no arm pose reaches a point of a segment, the arm's target stays at the last point that was reached.
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
        yield from self.move(self.pose, duration_s)

    def move(self, goal: HandPose, duration_s: float, *, via_m: Sequence[FloatArray] = ()) -> Iterator[FloatArray]:
        """Go to `goal` in `duration_s`, bent towards the offsets `via_m` ((3,) m each) on the way."""
        origin = self.pose
        turn = rotation_vector(goal.rotation @ origin.rotation.T)
        steps = max(1, round(duration_s / self._period_s))
        for step in range(1, steps + 1):
            share = _minimum_jerk(step / steps)
            position = origin.position_m + share * (goal.position_m - origin.position_m)
            for order, offset in enumerate(via_m, start=1):
                position = position + np.sin(np.pi * share * order) ** 2 * offset
            self.pose = HandPose(
                position,
                _rotation(share * turn) @ origin.rotation,
                origin.fingers_rad + share * (goal.fingers_rad - origin.fingers_rad),
            )
            yield self._towards(self.pose)

    def _towards(self, pose: HandPose) -> FloatArray:
        wanted = self.target_rad.copy()
        wanted[HAND] = pose.fingers_rad
        try:
            wanted[ARM] = self._kinematics.inverse(pose.position_m, pose.rotation, self.target_rad, self._posture_rad)
        except NotReachableError:
            pass
        step = wanted - self.target_rad
        excess = float((np.abs(step[ARM]) / self._max_step_rad[ARM]).max())
        step[ARM] /= max(1.0, excess)
        step[HAND] = np.clip(step[HAND], -self._max_step_rad[HAND], self._max_step_rad[HAND])
        self.target_rad = self.target_rad + step
        return self.target_rad.copy()


def _minimum_jerk(share: float) -> float:
    return share**3 * (10.0 - 15.0 * share + 6.0 * share**2)


def _rotation(vector_rad: FloatArray) -> FloatArray:
    quaternion, matrix = np.array([1.0, 0.0, 0.0, 0.0]), np.zeros(9)
    mujoco.mju_quatIntegrate(quaternion, vector_rad, 1.0)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)

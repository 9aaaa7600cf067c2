"""What a robot would measure of the teacher's copies: all its joints and a late, noisy estimate of the cube's pose."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sernf_robot.joints import ARM_JOINTS, JOINTS
from sernf_sim.tasks.cube import WRIST_RAD
from sernf_sim.tasks.cube_scene import ARM_RAD
from sernf_teacher.cube_env import Truth

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
HELD = len(ARM_JOINTS) + 1
"""The arm's joints and the wrist, which hold still."""


@dataclass(frozen=True, kw_only=True)
class StudentNoise:
    """Standard deviations; a bias and the delay (control ticks, up to and with `longest_delay`) are drawn anew for each episode.

    They cover the twin's. The pose of arm and wrist (`held_bias_rad`) is never quite the nominal one either, or its noise would
    be the largest thing that the student ever saw; but a hundredth of a radian in each would hide where the cube is in the hand.
    """

    joint_rad: float = 0.002
    joint_bias_rad: float = 0.005
    held_bias_rad: float = 0.001
    position_m: float = 0.003
    position_bias_m: float = 0.003
    rotation_rad: float = 0.03
    longest_delay: int = 2


class StudentView:
    """One for `copies`; call `measure` once a control tick, and `begin` for copies whose episode has begun anew before that."""

    def __init__(self, copies: int, noise: StudentNoise, rng: np.random.Generator) -> None:
        self._noise, self._rng = noise, rng
        self._joint_bias = np.zeros((copies, len(JOINTS)))
        self._position_bias = np.zeros((copies, 3))
        self._delay = np.zeros(copies, dtype=int)
        self._age = np.zeros(copies, dtype=int)
        self._poses: deque[Floats] = deque(maxlen=noise.longest_delay + 1)
        self.begin(np.arange(copies))

    def begin(self, rows: Rows) -> None:
        """Draw anew what stays the same during an episode."""
        noise, rng = self._noise, self._rng
        spread = np.where(np.arange(len(JOINTS)) < HELD, noise.held_bias_rad, noise.joint_bias_rad)
        self._joint_bias[rows] = spread * rng.standard_normal((len(rows), len(JOINTS)))
        self._position_bias[rows] = noise.position_bias_m * rng.standard_normal((len(rows), 3))
        self._delay[rows] = rng.integers(noise.longest_delay + 1, size=len(rows))
        self._age[rows] = 0

    def measure(self, truth: Truth) -> tuple[Floats, Floats]:
        """Joints (n, 24) rad in the robot's order and cube poses (n, 7): position (m) and unit quaternion wxyz."""
        noise, rng, count = self._noise, self._rng, len(self._delay)
        joints = all_joints(truth.joint_position_rad) + self._joint_bias
        joints += noise.joint_rad * rng.standard_normal(joints.shape)
        self._poses.appendleft(np.hstack([truth.cube_position_m, truth.cube_quaternion]))
        late = np.minimum(self._delay, np.minimum(self._age, len(self._poses) - 1))
        pose = np.stack(self._poses)[late, np.arange(count)]
        self._age += 1
        position = pose[:, :3] + self._position_bias + noise.position_m * rng.standard_normal((count, 3))
        turn = noise.rotation_rad * rng.standard_normal((count, 3))
        return joints, np.hstack([position, _turned(pose[:, 3:], turn)])


def all_joints(fingers_rad: Floats) -> Floats:
    """(..., 24) rad from the fingers' (..., 16); arm and wrist as they are held."""
    held = np.broadcast_to([*ARM_RAD, WRIST_RAD], (*fingers_rad.shape[:-1], HELD))
    return np.concatenate([held, fingers_rad], axis=-1)


def _turned(quaternion: Floats, small_rad: Floats) -> Floats:
    """Quaternions (n, 4) after small turns (n, 3)."""
    w, vector, half = quaternion[:, :1], quaternion[:, 1:], small_rad / 2
    turned = np.hstack([w - (half * vector).sum(-1, keepdims=True), vector + w * half + np.cross(half, vector)])
    result: Floats = turned / np.linalg.norm(turned, axis=-1, keepdims=True)
    return result

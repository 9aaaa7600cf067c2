"""What the scissors' demonstrator makes of noisy, late poses: what does not move is looked at for longer than one moment."""

from __future__ import annotations

import numpy as np

from sernf_robot.kinematics import FloatArray, Kinematics, quaternion_to_matrix
from sernf_sim.demonstrators.demonstrator import Observation
from sernf_sim.tasks.scissors_scene import OTHER_HALF, SCISSORS, TAPE

LATEST = 0.2
"""Share of the newest observation in what is known of the scissors in the hand: a quarter of a second counts."""


class _Mean:
    """Running mean, each observation like the others, or the newest ones more with a `share` for each."""

    def __init__(self, share: float = 0.0) -> None:
        self._share, self._count = share, 0
        self.value: FloatArray = np.zeros(0)

    def add(self, value: FloatArray) -> None:
        self._count += 1
        share = max(self._share, 1.0 / self._count)
        self.value = value if self._count == 1 else self.value + share * (value - self.value)


class ScissorsView:
    """Scissors and tape as estimated; positions (3,) m in `fr3_link0`."""

    def __init__(self, kinematics: Kinematics) -> None:
        self._kinematics = kinematics
        self._tape = _Mean()
        self._hinge_in_hand, self._frame_in_hand = _Mean(LATEST), _Mean(LATEST)
        self.look_again()

    def look_again(self) -> None:
        """The scissors stand in the holder, perhaps elsewhere than before."""
        self._hinge, self._opens_to = _Mean(), _Mean()

    def update(self, observation: Observation) -> None:
        """A moment later."""
        hinge, quaternion = observation.object_poses[SCISSORS]
        one, other = (quaternion_to_matrix(pose) for pose in (quaternion, observation.object_poses[OTHER_HALF][1]))
        turned = one.T @ other
        self.opening_rad = float(np.arctan2(-turned[1, 0], turned[0, 0]))
        c, s = np.cos(self.opening_rad / 2), np.sin(self.opening_rad / 2)
        frame = one @ np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
        position, rotation = self._kinematics.hand_pose(observation.joint_position_rad)
        self.height_m = float(hinge[2])
        for mean, value in (
            (self._tape, observation.object_poses[TAPE][0]), (self._hinge, hinge), (self._opens_to, frame[:, 1]),
            (self._hinge_in_hand, rotation.T @ (hinge - position)), (self._frame_in_hand, rotation.T @ frame),
        ):  # fmt: skip
            mean.add(value)

    @property
    def tape_m(self) -> FloatArray:
        """Its middle."""
        return self._tape.value

    @property
    def seated(self) -> tuple[FloatArray, FloatArray]:
        """In the holder: hinge, and the frame (3, 3) between the halves; blades point straight down there."""
        sideways = self._opens_to.value * [1.0, 1.0, 0.0]
        opening = sideways / np.linalg.norm(sideways)
        down = np.array([0.0, 0.0, -1.0])
        return self._hinge.value, np.column_stack([down, opening, np.cross(down, opening)])

    @property
    def in_hand(self) -> tuple[FloatArray, FloatArray]:
        """Hinge (3,) m and frame (3, 3) between the halves, in the hand frame."""
        u, _, v = np.linalg.svd(self._frame_in_hand.value)
        return self._hinge_in_hand.value, u @ v

"""From what is measured to the vector that a policy sees: the same code for recorded bags, simulation and the running node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sernf_policy.layout import NEAR_M, PolicyLayout
from sernf_robot.joints import JOINTS
from sernf_robot.kinematics import GRASP_POINT_M, Kinematics, quaternion_to_matrix

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]
Pose = tuple[Array, Array]
"""Position (3,) m and unit quaternion (4,) wxyz in `fr3_link0`."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What is known at one control tick.

    `joint_position_rad`, `commanded_position_rad`: (A,) in the layout's joint order. `object_poses`: name -> position (3,) m and
    unit quaternion (4,) wxyz in `fr3_link0`.
    """

    joint_position_rad: Array
    commanded_position_rad: Array
    object_poses: Mapping[str, Pose]


class ObservationBuilder:
    """Builds observation vectors of one layout. Not for use from several threads at once."""

    def __init__(self, layout: PolicyLayout, kinematics: Kinematics | None = None) -> None:
        self.layout = layout
        self._kinematics = kinematics or Kinematics()
        self._to_robot = np.array([layout.joint_names.index(name) for name in JOINTS])

    def hand_pose(self, joint_position_rad: Array) -> Pose:
        """Hand frame for joints (A,) rad in the layout's order: position (3,) m, rotation (3, 3)."""
        return self._kinematics.hand_pose(joint_position_rad[self._to_robot])

    def vector(self, snapshot: Snapshot) -> Array32:
        """(observation_size,) float32. Raises KeyError for a missing object and ValueError for wrong sizes."""
        hand_m, hand = self.hand_pose(snapshot.joint_position_rad)
        parts = [self._term(term, snapshot, hand_m, hand) for term in self.layout.observation]
        vector: Array32 = np.concatenate(parts).astype(np.float32)
        if vector.shape != (self.layout.observation_size,):
            raise ValueError(f"expected an observation of {self.layout.observation_size} numbers, got {vector.shape[0]}")
        return vector

    def _term(self, term: str, snapshot: Snapshot, hand_m: Array, hand: Array) -> Array:
        kind, _, name = term.partition("/")
        if kind == "joint_position":
            return snapshot.joint_position_rad
        if kind == "commanded_position":
            return snapshot.commanded_position_rad
        if kind == "hand_position":
            return hand_m
        if kind == "hand_rotation":
            return hand[:, :2].T.ravel()
        name, _, other = name.partition(":")
        position, quaternion = snapshot.object_poses[name]
        if kind == "object_at_object":
            return _near(position - snapshot.object_poses[other][0])
        if kind == "object_position":
            return position
        if kind == "object_rotation":
            return quaternion_to_matrix(quaternion)[:, :2].T.ravel()
        in_hand: Array = hand.T @ (position - hand_m)
        return in_hand if kind == "object_in_hand" else _near(in_hand - GRASP_POINT_M)


def _near(offset_m: Array) -> Array:
    """Exact near zero, saturating at NEAR_M."""
    near: Array = NEAR_M * np.tanh(offset_m / NEAR_M)
    return near

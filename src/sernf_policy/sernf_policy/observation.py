"""From what is measured to the vector that a policy sees: the same code for recorded bags, simulation and the running node."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sernf_policy.layout import IMAGE, NEAR_M, PolicyLayout, ticks_ago
from sernf_robot.joints import JOINTS
from sernf_robot.kinematics import GRASP_POINT_M, Kinematics, quaternion_to_matrix

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]
HAND_TERMS = ("hand_position", "hand_rotation", "object_in_hand", "object_at_grasp")
"""Those for which the hand's pose must be known."""
Pose = tuple[Array, Array]
"""Position (3,) m and unit quaternion (4,) wxyz in `fr3_link0`."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What is known at one control tick.

    `joint_position_rad`, `commanded_position_rad`: (A,) in the layout's joint order. `object_poses`: name -> position (3,) m and
    unit quaternion (4,) wxyz in `fr3_link0`. `features`: camera -> what its encoder made of the newest picture. `earlier`: the
    ticks before, latest first; `Memory` keeps them.
    """

    joint_position_rad: Array
    commanded_position_rad: Array
    object_poses: Mapping[str, Pose]
    features: Mapping[str, Array32] = field(default_factory=dict)
    earlier: tuple[Snapshot, ...] = ()

    def ago(self, ticks: int) -> Snapshot:
        """What was known `ticks` control ticks before, or as long before as is known."""
        return self if ticks == 0 or not self.earlier else self.earlier[min(ticks, len(self.earlier)) - 1]


class Memory:
    """The snapshots of the last `ticks` control ticks."""

    def __init__(self, ticks: int) -> None:
        self._seen: deque[Snapshot] = deque(maxlen=ticks)

    def with_earlier(self, snapshot: Snapshot) -> Snapshot:
        """The newest tick's snapshot with those before it; call it once each tick."""
        complete = replace(snapshot, earlier=tuple(self._seen))
        self._seen.appendleft(snapshot)
        return complete

    def forget(self) -> None:
        """What was seen before does not belong to what comes."""
        self._seen.clear()


class ObservationBuilder:
    """Builds observation vectors of one layout. Not for use from several threads at once."""

    def __init__(self, layout: PolicyLayout, kinematics: Kinematics | None = None) -> None:
        self.layout = layout
        self._kinematics = kinematics or Kinematics()
        self._to_robot = np.array([layout.joint_names.index(name) for name in JOINTS])
        terms = [ticks_ago(term) for term in layout.observation]
        self._terms = [(term.partition("/")[0], term.partition("/")[2], ago) for term, ago in terms]
        self._hand_ago = {ago for kind, _, ago in self._terms if kind in HAND_TERMS}

    def hand_pose(self, joint_position_rad: Array) -> Pose:
        """Hand frame for joints (A,) rad in the layout's order: position (3,) m, rotation (3, 3)."""
        return self._kinematics.hand_pose(joint_position_rad[self._to_robot])

    def vector(self, snapshot: Snapshot) -> Array32:
        """(observation_size,) float32. Raises KeyError for a missing object or camera and ValueError for wrong sizes."""
        hands = {ago: self.hand_pose(snapshot.ago(ago).joint_position_rad) for ago in self._hand_ago}
        parts = [
            _hand_term(kind, name, snapshot.ago(ago), hands[ago]) if kind in HAND_TERMS else _term(kind, name, snapshot.ago(ago))
            for kind, name, ago in self._terms
        ]
        vector: Array32 = np.concatenate(parts).astype(np.float32)
        if vector.shape != (self.layout.observation_size,):
            raise ValueError(f"expected an observation of {self.layout.observation_size} numbers, got {vector.shape[0]}")
        return vector


def _hand_term(kind: str, name: str, snapshot: Snapshot, hand_pose: Pose) -> Array:
    hand_m, hand = hand_pose
    if kind == "hand_position":
        return hand_m
    if kind == "hand_rotation":
        return hand[:, :2].T.ravel()
    in_hand: Array = hand.T @ (snapshot.object_poses[name][0] - hand_m)
    return in_hand if kind == "object_in_hand" else _near(in_hand - GRASP_POINT_M)


def _term(kind: str, name: str, snapshot: Snapshot) -> Array:
    if kind == "joint_position":
        return snapshot.joint_position_rad
    if kind == "commanded_position":
        return snapshot.commanded_position_rad
    if kind == IMAGE:
        return snapshot.features[name].astype(np.float64)
    name, _, other = name.partition(":")
    position, quaternion = snapshot.object_poses[name]
    if kind == "object_at_object":
        return _near(position - snapshot.object_poses[other][0])
    if kind == "object_position":
        return position
    rotation = quaternion_to_matrix(quaternion)
    return _square(rotation) if kind == "object_square" else rotation[:, :2].T.ravel()


def _square(rotation: Array) -> Array:
    """Tilt and yaw (4,) of something that looks the same after a quarter turn."""
    yaw_of_4 = 4.0 * np.arctan2(rotation[1, 0], rotation[0, 0])
    return np.array([*rotation[:2, 2], np.cos(yaw_of_4), np.sin(yaw_of_4)])


def _near(offset_m: Array) -> Array:
    """Exact near zero, saturating at NEAR_M."""
    near: Array = NEAR_M * np.tanh(offset_m / NEAR_M)
    return near

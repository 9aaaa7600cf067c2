"""One episode as the learner sees it: arrays on the grid of control ticks, rebuilt from a bag or made by a simulated rollout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from sernf_policy.layout import LayoutError, PolicyLayout
from sernf_policy.observation import Array32, Memory, ObservationBuilder, Snapshot

Array = NDArray[np.float64]


POLICY_SOURCE = "policy"
"""`Episode.source` of a policy's own attempts."""


class Ending(str, Enum):
    """How an episode ended. SUCCESS and FAILURE are judged and final; TIMEOUT says nothing about what would have come."""

    SUCCESS = "success"
    FAILURE = "failure"
    TIMEOUT = "timeout"


@dataclass(frozen=True, kw_only=True)
class Episode:
    """T control ticks; row t is what was known at tick t and the action that was executed from tick t to t + 1.

    `joint_position_rad` (T, A) measured. `commanded_position_rad` (T, A): targets in effect when tick t was decided. `action_rad`
    (T, A): executed, that is the target that the bridge followed or, where the safety filter changed it or somebody else had
    taken over, what was really done. `requested_rad` (T, A): what the source asked for. `object_pose` (T, O, 7): position (m) and
    unit quaternion wxyz in `fr3_link0`. `taken_over` (T,): whether a person commanded instead of the source. Joints in
    `joint_names` order. `stages` (T,): how many of the task's stages had been reached after each step. `images`: camera ->
    (T, h, w, 3) uint8, the newest picture at each tick, the part that the policy sees; `features`: camera -> (T, F), what the
    policy's eyes make of it, once they can see.
    """

    episode_id: str
    task: str
    source: str
    seed: int
    ending: Ending
    cause: str
    step_period_s: float
    joint_names: tuple[str, ...]
    objects: tuple[str, ...]
    joint_position_rad: Array
    commanded_position_rad: Array
    action_rad: Array
    requested_rad: Array
    object_pose: Array
    taken_over: NDArray[np.bool_]
    stages: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    images: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    features: Mapping[str, Array32] = field(default_factory=dict)

    def __post_init__(self) -> None:
        steps, joints = len(self.action_rad), len(self.joint_names)
        if steps == 0:
            raise ValueError(f"{self.episode_id}: expected at least one control tick, got none")
        for name in ("joint_position_rad", "commanded_position_rad", "action_rad", "requested_rad"):
            if getattr(self, name).shape != (steps, joints):
                raise ValueError(f"{self.episode_id}: {name}: expected ({steps}, {joints}), got {getattr(self, name).shape}")
        if self.object_pose.shape != (steps, len(self.objects), 7) or self.taken_over.shape != (steps,):
            raise ValueError(
                f"{self.episode_id}: expected object_pose ({steps}, {len(self.objects)}, 7) and taken_over ({steps},), got "
                f"{self.object_pose.shape} and {self.taken_over.shape}"
            )

        rows_of = {name: len(rows) for rows_by_name in (self.images, self.features) for name, rows in rows_by_name.items()}
        for name, rows in rows_of.items():
            if rows != steps:
                raise ValueError(f"{self.episode_id}: camera {name}: expected one row a tick, {steps}, got {rows}")
        if len(self.stages) not in (0, steps):
            raise ValueError(f"{self.episode_id}: stages: expected one a tick, {steps}, or none, got {len(self.stages)}")

    def __len__(self) -> int:
        return len(self.action_rad)

    @property
    def seconds(self) -> float:
        """Duration."""
        return len(self) * self.step_period_s

    def observation_vectors(self, builder: ObservationBuilder) -> Array32:
        """(T, observation_size) of the builder's layout; raises LayoutError when a joint, an object or a camera is missing.

        What eyes would make of the pictures is 0 as long as `features` are not known.
        """
        order, memory = self.joint_order(builder.layout), Memory(builder.layout.memory)
        vectors = np.empty((len(self), builder.layout.observation_size), dtype=np.float32)
        for tick in range(len(self)):
            vectors[tick] = builder.vector(memory.with_earlier(self.snapshot(tick, order, builder.layout)))
        return vectors

    def snapshot(self, tick: int, order: NDArray[np.intp], layout: PolicyLayout) -> Snapshot:
        """What was known at `tick`, joints reordered by `order`; without what was before."""
        return Snapshot(
            joint_position_rad=self.joint_position_rad[tick, order],
            commanded_position_rad=self.commanded_position_rad[tick, order],
            object_poses={name: (pose[:3], pose[3:]) for name, pose in zip(self.objects, self.object_pose[tick])},
            features={
                view.name: self.features[view.name][tick] if self.features else np.zeros(view.features, dtype=np.float32)
                for view in layout.cameras
            },
        )

    def joint_order(self, layout: PolicyLayout) -> NDArray[np.intp]:
        """Indices that bring this episode's joints into the layout's order; raises LayoutError when the two do not fit."""
        layout.check_joints(self.joint_names)
        missing = [name for name in layout.objects if name not in self.objects]
        if missing:
            raise LayoutError(
                f"{self.episode_id}: the policy needs poses of {', '.join(layout.objects)}; missing: {', '.join(missing)}"
            )
        blind = [view.name for view in layout.cameras if view.name not in {**self.images, **self.features}]
        if blind:
            raise LayoutError(
                f"{self.episode_id}: the policy sees through the cameras {', '.join(blind)}, of which there are no pictures"
            )
        if abs(self.step_period_s - layout.step_period_s) > 1e-6:
            raise LayoutError(
                f"{self.episode_id}: recorded at {1 / self.step_period_s:g} Hz, "
                f"the policy acts at {1 / layout.step_period_s:g} Hz"
            )
        return np.array([self.joint_names.index(name) for name in layout.joint_names], dtype=np.intp)

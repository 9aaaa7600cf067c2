"""Recovery augmentation: demonstrations show only what a good attempt looks like; this shows how to come back to one.

A window's robot is moved off its path by a random joint offset, everything that depends on the joints (pose of the hand, objects
that it holds) is computed anew, and the recorded chunk is led back onto the path within `reach` steps. Without it a policy cloned
from few demonstrations drifts away from them and never returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sernf_learner.episode import Ending, Episode
from sernf_policy.observation import ObservationBuilder, Pose, Snapshot
from sernf_robot.joints import ARM_JOINTS
from sernf_robot.kinematics import rotation_vector

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class RecoveryConfig:
    """`copies`: displaced copies of each window; 0 switches it off. `arm_rad`, `hand_rad`: standard deviation of the offsets.

    `reach`: steps until the path is reached again. `held_height_m`: an object higher than this moves with the hand.
    """

    copies: int = 5
    arm_rad: float = 0.04
    hand_rad: float = 0.03
    reach: int = 8
    held_height_m: float = 0.045

    def __post_init__(self) -> None:
        if self.copies < 0 or self.reach < 1 or self.arm_rad < 0 or self.hand_rad < 0:
            raise ValueError(
                f"expected copies, arm_rad and hand_rad of at least 0 and reach of at least 1, got {self.copies}, "
                f"{self.arm_rad}, {self.hand_rad} and {self.reach}"
            )


@dataclass(frozen=True)
class ImitationRows:
    """`vector` (n, o), `chunk` (n, H, A) rad; `row` (n,): the window of the chunk table that each comes from."""

    vector: Tensor
    chunk: Tensor
    row: Tensor

    def __len__(self) -> int:
        return len(self.row)


def imitation_rows(
    episodes: Sequence[Episode], builder: ObservationBuilder, config: RecoveryConfig, seed: int
) -> list[ImitationRows]:
    """For each episode the windows worth imitating, those of a success during which nobody took over, and displaced copies.

    The same episode and seed give the same copies, whatever other episodes there are.
    """
    return [_rows_of(episode, builder, config, seed) for episode in episodes]


def worth_imitating(episode: Episode) -> bool:
    """Whether the episode shows how to do it."""
    return episode.ending is Ending.SUCCESS and not episode.taken_over.any()


def _rows_of(episode: Episode, builder: ObservationBuilder, config: RecoveryConfig, seed: int) -> ImitationRows:
    layout = builder.layout
    horizon, steps = layout.horizon, len(episode)
    if not worth_imitating(episode):
        empty = torch.zeros(0, dtype=torch.int64)
        return ImitationRows(torch.zeros(0, layout.observation_size), torch.zeros(0, horizon, layout.action_size), empty)
    order = episode.joint_order(layout)
    rng = np.random.default_rng([seed, episode.seed, steps])
    size_rad = np.array([config.arm_rad if name in ARM_JOINTS else config.hand_rad for name in layout.joint_names])
    fading = np.maximum(0.0, 1.0 - (np.arange(horizon) + 1) / config.reach)[:, None]
    actions = episode.action_rad[:, order]
    vectors, chunks, rows = [], [], []
    for tick in range(steps):
        chunk = actions[np.minimum(np.arange(tick, tick + horizon), steps - 1)]
        joints, commanded = episode.joint_position_rad[tick, order], episode.commanded_position_rad[tick, order]
        poses = {name: (pose[:3], pose[3:]) for name, pose in zip(episode.objects, episode.object_pose[tick])}
        for copy in range(1 + config.copies):
            offset = np.zeros(len(order)) if copy == 0 else rng.normal(0.0, size_rad) * rng.uniform(0.0, 1.5)
            moved = poses if copy == 0 else _carried(poses, builder, joints, joints + offset, config.held_height_m)
            snapshot = Snapshot(joint_position_rad=joints + offset, commanded_position_rad=commanded + offset, object_poses=moved)
            vectors.append(builder.vector(snapshot))
            chunks.append((chunk + fading * offset).astype(np.float32))
            rows.append(tick)
    return ImitationRows(torch.from_numpy(np.stack(vectors)), torch.from_numpy(np.stack(chunks)), torch.tensor(rows))


def _carried(
    poses: dict[str, Pose], builder: ObservationBuilder, joints: Array, moved: Array, height_m: float
) -> dict[str, Pose]:
    """Objects above `height_m` are in the hand and go where it goes."""
    if all(position[2] <= height_m for position, _ in poses.values()):
        return poses
    (before_m, before), (after_m, after) = builder.hand_pose(joints), builder.hand_pose(moved)
    turn = after @ before.T
    return {
        name: (after_m + turn @ (position - before_m), _turned(turn, quaternion))
        if position[2] > height_m
        else (position, quaternion)
        for name, (position, quaternion) in poses.items()
    }


def _turned(rotation: Array, quaternion: Array) -> Array:
    """A unit quaternion wxyz (4,) after the rotation (3, 3)."""
    turn = rotation_vector(rotation)
    angle = float(np.linalg.norm(turn))
    real, axis = np.cos(angle / 2), 0.5 * np.sinc(angle / (2 * np.pi)) * turn
    first, rest = quaternion[0], quaternion[1:]
    return np.concatenate([[real * first - axis @ rest], real * rest + first * axis + np.cross(axis, rest)])

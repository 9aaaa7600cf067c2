"""What eyes learn to tell besides the chunk: how far the hand still goes until its fingers next begin to move.

Chunks alone teach eyes little, for how the hand has moved so far says most of how it goes on. Fingers begin to move where things
are: to grasp, to let go, to cut. So the way there tells where they are, however fast or hesitantly it was gone, and takes nothing
but the recorded joints (keyframes as in arXiv 2105.14829).
"""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from sernf_learner.episode import Episode
from sernf_policy.observation import Array32, ObservationBuilder
from sernf_robot.joints import FINGER_JOINTS
from sernf_robot.kinematics import rotation_vector

FINGER_STEP_RAD = 0.02
"""A finger moves when its target changes by more than this in a control tick."""
REST_S = 0.3
"""Fingers begin to move when none has done so for this long."""
UNIT_M, UNIT_RAD = 0.1, 0.5
HIDDEN = 128


class Foresight(nn.Module):
    """From what the eyes see, (B, F), to `way_ahead`, (B, 6). Only trained with: no policy carries it."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(features, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, 6))

    def error(self, seen: Tensor, ahead: Tensor) -> Tensor:
        """Mean squared error, a number, in the units of `way_ahead`."""
        error: Tensor = (self.network(seen) - ahead).square().mean()
        return error


def way_ahead(episode: Episode, builder: ObservationBuilder) -> Array32:
    """From each tick's hand pose to that of the next keyframe, (T, 6), in the hand's frame: position and rotation vector, in
    UNIT_M and UNIT_RAD.
    """
    order = episode.joint_order(builder.layout)
    poses = [builder.hand_pose(joints) for joints in episode.joint_position_rad[:, order]]
    ahead, frames = np.empty((len(poses), 6), dtype=np.float32), keyframes(episode)
    for tick, (position, rotation) in enumerate(poses):
        there, turned = poses[next(frame for frame in frames if frame >= tick)]
        ahead[tick, :3] = rotation.T @ (there - position) / UNIT_M
        ahead[tick, 3:] = rotation_vector(rotation.T @ turned) / UNIT_RAD
    return ahead


def keyframes(episode: Episode) -> list[int]:
    """Ticks at which fingers begin to move, and the last one."""
    fingers = [number for number, name in enumerate(episode.joint_names) if name in FINGER_JOINTS]
    changes = np.abs(np.diff(episode.action_rad[:, fingers], axis=0, prepend=episode.commanded_position_rad[:1, fingers]))
    moves = changes.max(axis=1, initial=0.0) > FINGER_STEP_RAD
    rest = max(1, round(REST_S / episode.step_period_s))
    begins = [int(tick) for tick in np.flatnonzero(moves) if tick and not moves[max(0, tick - rest) : tick].any()]
    return [*begins, *([] if begins and begins[-1] == len(moves) - 1 else [len(moves) - 1])]

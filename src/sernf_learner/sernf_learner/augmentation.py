"""Augmentation: every recorded window gets copies that show what the demonstrations did not, without contradicting them.

- **Back to the path.** Demonstrations show only what a good attempt looks like. A copy's robot is moved off its path by a random
  joint offset, everything that depends on the joints (pose of the hand, objects that it holds) is computed anew, and the chunk is
  led back onto the path within `reach` steps. Without it a policy cloned from few demonstrations drifts away and never returns.
  What fingers do hangs on where exactly they do it: while they move nothing is displaced, and a chunk in which they begin to move
  comes after the way back, a step for each `step_m` that the hand is off. Otherwise copies would show how to grasp, or to let go,
  off the mark, and tell the critic that it succeeds. (Waiting always for `reach` steps, however little the hand is off, teaches a
  policy that is never quite on the path to wait for ever.)
- **Turned scene.** Robot, objects and chunk turn together about the robot's first axis, which is vertical: nothing else changes.
- **Empty hand.** Where nothing is held and the fingers stay as they are for a while, a copy has them as they were at another
  moment of the episode: a hand that closed without the object has to open again, which good attempts do not show.
- **Bystanders.** Before anything is held, an object that nobody ever moves (a bowl) has no say yet: a copy puts it elsewhere, so
  that the policy cannot tell the demonstrations apart by it (arXiv 2007.02863).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sernf_learner.episode import Episode
from sernf_policy.observation import Memory, ObservationBuilder, Pose, Snapshot
from sernf_robot.joints import ARM_JOINTS, FINGER_JOINTS
from sernf_robot.kinematics import rotation_vector

Array = NDArray[np.float64]
Poses = Mapping[str, Pose]
STILL_M = 0.01
"""An object was not moved when its estimates, which are noisy, scatter less than this (standard deviation)."""


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """`copies` of each window; 0 switches all of it off.

    `finger_step_rad`: fingers move when any of their targets changes by more than this in a step. `step_m`: see the module.

    `arm_rad`, `hand_rad`: standard deviation of the joint offsets; `reach`: steps until the path is reached again.
    `empty_share`: of the copies for which it makes sense, how many have an empty hand.
    `held_height_m`: an object higher than this is in the hand. `turn_rad`: standard deviation of the scene's turn.
    `elsewhere_m`: of a bystander's displacement along x and y; `apart_m`: one that is nearer than this to another object stays.
    """

    copies: int = 8
    arm_rad: float = 0.04
    hand_rad: float = 0.03
    reach: int = 8
    finger_step_rad: float = 0.03
    step_m: float = 0.006
    empty_share: float = 0.3
    held_height_m: float = 0.045
    turn_rad: float = 0.3
    elsewhere_m: float = 0.1
    apart_m: float = 0.15

    def __post_init__(self) -> None:
        for name in ("copies", "arm_rad", "hand_rad", "turn_rad", "elsewhere_m", "apart_m", "finger_step_rad"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: expected at least 0, got {getattr(self, name)}")
        if self.reach < 1:
            raise ValueError(f"reach: expected at least 1, got {self.reach}")
        if self.step_m <= 0:
            raise ValueError(f"step_m: expected more than 0, got {self.step_m}")
        if not 0.0 <= self.empty_share <= 1.0:
            raise ValueError(f"empty_share: expected 0 to 1, got {self.empty_share}")


@dataclass(frozen=True)
class WindowCopies:
    """Windows and their copies: `vector` (n, o), `chunk` (n, H, A) rad, `row` (n,): which window it is or shows, `wait` (n,):
    after how many steps it does what the window does.
    """

    vector: Tensor
    chunk: Tensor
    row: Tensor
    wait: Tensor

    def __len__(self) -> int:
        return len(self.row)


def copied_windows(
    episode: Episode, builder: ObservationBuilder, config: AugmentationConfig, seed: int, *, windows: int
) -> WindowCopies:
    """The first `windows` windows of the episode, each followed by its copies.

    The same episode and seed give the same copies, whatever other episodes there are. Raises ValueError for copies of a policy
    that sees earlier ticks or pictures: what a displaced hand would have seen is not known.
    """
    layout = builder.layout
    if config.copies and layout.memory:
        raise ValueError(f"augmentation.copies: expected 0, got {config.copies}: the policy sees {layout.memory} earlier ticks")
    if config.copies and layout.cameras:
        raise ValueError(f"augmentation.copies: expected 0, got {config.copies}: the policy sees through cameras")
    order, horizon, steps = episode.joint_order(layout), layout.horizon, len(episode)
    rng = np.random.default_rng([seed, episode.seed, steps])
    of_arm = np.array([name in ARM_JOINTS for name in layout.joint_names])
    of_fingers = np.array([name in FINGER_JOINTS for name in layout.joint_names])
    first_axis = np.array([name == ARM_JOINTS[0] for name in layout.joint_names], dtype=np.float64)
    offsets_rad = np.where(of_arm, config.arm_rad, config.hand_rad)
    actions = episode.action_rad[:, order]
    fingers_move = _fingers_move(episode, config)
    vectors, chunks, waits, memory = [], [], [], Memory(layout.memory)
    for tick in range(windows):
        chunk = actions[np.minimum(np.arange(tick, tick + horizon), steps - 1)]
        soon = fingers_move[tick : tick + horizon].any()
        seen = episode.snapshot(tick, order, layout)
        joints, commanded, poses = seen.joint_position_rad, seen.commanded_position_rad, seen.object_poses
        held = (episode.object_pose[tick : tick + horizon, :, 2] > config.held_height_m).any()
        bystanders = [] if held else _bystanders(episode, tick, config)
        vectors.append(builder.vector(memory.with_earlier(seen)))
        chunks.append(chunk.astype(np.float32))
        waits.append(0)
        hand_m = builder.hand_pose(joints)[0]
        for _ in range(config.copies):
            offset = rng.normal(0.0, offsets_rad) * rng.uniform(0.0, 1.5) * (not fingers_move[tick])
            wait = min(config.reach, int(_distance_m(builder, joints + offset, hand_m) / config.step_m)) if soon else 0
            waits.append(wait)
            is_empty = not held and not soon and rng.random() < config.empty_share
            other = rng.integers(steps) if is_empty else tick
            fingers = of_fingers * (episode.joint_position_rad[other, order] - joints)
            fingers_commanded = of_fingers * (episode.commanded_position_rad[other, order] - commanded)
            turn_rad = rng.normal(0.0, config.turn_rad)
            moved = dict(_carried(poses, builder, joints, joints + offset, config.held_height_m))
            moved |= {name: (moved[name][0] + _sideways(rng, config.elsewhere_m), moved[name][1]) for name in bystanders}
            turn = turn_rad * first_axis
            snapshot = Snapshot(
                joint_position_rad=joints + fingers + offset + turn,
                commanded_position_rad=commanded + fingers_commanded + offset + turn,
                object_poses=_turned_about_base(moved, turn_rad),
            )
            vectors.append(builder.vector(snapshot))
            waiting = np.concatenate([np.repeat(commanded[None], wait, axis=0), chunk])[:horizon]
            chunks.append((waiting + _fading(wait or config.reach, horizon) * offset + turn).astype(np.float32))
    rows = torch.arange(windows).repeat_interleave(1 + config.copies)
    return WindowCopies(torch.from_numpy(np.stack(vectors)), torch.from_numpy(np.stack(chunks)), rows, torch.tensor(waits))


def _fading(steps: int, horizon: int) -> Array:
    """Share (horizon, 1) of an offset that is left in each step when it is gone after `steps`."""
    left: Array = np.maximum(0.0, 1.0 - (np.arange(horizon) + 1) / steps)[:, None]
    return left


def _fingers_move(episode: Episode, config: AugmentationConfig) -> NDArray[np.bool_]:
    """Whether the action of each tick (T,) moves a finger."""
    fingers = [number for number, name in enumerate(episode.joint_names) if name in FINGER_JOINTS]
    moves = np.abs(episode.action_rad - episode.commanded_position_rad)[:, fingers]
    moving: NDArray[np.bool_] = moves.max(axis=1, initial=0.0) > config.finger_step_rad
    return moving


def _distance_m(builder: ObservationBuilder, joints: Array, hand_m: Array) -> float:
    return float(np.linalg.norm(builder.hand_pose(joints)[0] - hand_m))


def _bystanders(episode: Episode, tick: int, config: AugmentationConfig) -> list[str]:
    """Objects that never move in the episode while nothing else is near them."""
    positions = episode.object_pose[..., :3]
    still = (positions[:, :, :2].std(axis=0) < STILL_M).all(axis=1)
    found = []
    for number in np.flatnonzero(still) if not still.all() else ():
        others = np.delete(positions[tick, :, :2], number, axis=0) - positions[tick, number, :2]
        if (np.hypot(*others.T) > config.apart_m).all():
            found.append(episode.objects[number])
    return found


def _sideways(rng: np.random.Generator, spread_m: float) -> Array:
    return np.array([*rng.normal(0.0, spread_m, 2), 0.0])


def _carried(poses: Poses, builder: ObservationBuilder, joints: Array, moved: Array, height_m: float) -> Poses:
    """Objects above `height_m` are in the hand and go where it goes."""
    if all(position[2] <= height_m for position, _ in poses.values()):
        return dict(poses)
    (before_m, before), (after_m, after) = builder.hand_pose(joints), builder.hand_pose(moved)
    turn = after @ before.T
    return {
        name: (after_m + turn @ (position - before_m), _turned(turn, quaternion))
        if position[2] > height_m
        else (position, quaternion)
        for name, (position, quaternion) in poses.items()
    }


def _turned_about_base(poses: Poses, turn_rad: float) -> Poses:
    cosine, sine = np.cos(turn_rad), np.sin(turn_rad)
    turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    return {name: (turn @ position, _turned(turn, quaternion)) for name, (position, quaternion) in poses.items()}


def _turned(rotation: Array, quaternion: Array) -> Array:
    """A unit quaternion wxyz (4,) after the rotation (3, 3)."""
    turn = rotation_vector(rotation)
    angle = float(np.linalg.norm(turn))
    real, axis = np.cos(angle / 2), 0.5 * np.sinc(angle / (2 * np.pi)) * turn
    first, rest = quaternion[0], quaternion[1:]
    return np.concatenate([[real * first - axis @ rest], real * rest + first * axis + np.cross(axis, rest)])

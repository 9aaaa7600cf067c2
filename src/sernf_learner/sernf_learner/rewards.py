"""What an episode earns, step by step, so that no value exceeds 1 whatever the task."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sernf_learner.episode import Ending, Episode
from sernf_policy.layout import LayoutError
from sernf_robot.kinematics import quaternion_to_matrix

Array = NDArray[np.float64]
MOST_A_STAGE = 0.2
"""Five of them, more than any task has."""


@dataclass(frozen=True, kw_only=True)
class RewardConfig:
    """`turning`: the object whose turning about the vertical is paid for, on and on; at `speed_rad_s` as much as can be earned.
    Empty: success is paid for, once, at the end. `span_s`: over how long turning is measured, half of it before and half of it
    after each step: from one step to the next, what is seen of an object trembles more than it turns. `lost_s`: what was done so
    long before a failure is not imitated. `stage`: what each stage that is reached earns at once, out of the 1 that a success is
    worth in all; 0 leaves the sparse reward alone.
    """

    turning: str = ""
    speed_rad_s: float = 1.5
    span_s: float = 0.2
    lost_s: float = 1.0
    stage: float = 0.0

    def __post_init__(self) -> None:
        for name in ("speed_rad_s", "span_s"):
            if getattr(self, name) <= 0.0:
                raise ValueError(f"{name}: expected more than 0, got {getattr(self, name)}")
        if self.lost_s < 0.0:
            raise ValueError(f"lost_s: expected 0 or more, got {self.lost_s}")
        if not 0.0 <= self.stage <= MOST_A_STAGE:
            raise ValueError(f"stage: expected 0 to {MOST_A_STAGE}, so that no value exceeds 1, got {self.stage}")
        if self.stage and self.turning:
            raise ValueError("stage, turning: expected at most one of them, got both")

    @property
    def goes_on(self) -> bool:
        """Whether more could have been earned after the end of any episode that did not fail."""
        return bool(self.turning)


def step_rewards(episode: Episode, config: RewardConfig, gamma: float) -> Array:
    """Reward (T,) of each step; raises LayoutError when the object is missing.

    Turning pays `(1 - gamma) * clip(speed / speed_rad_s, -1, 1)` a step, by the object's poses as they were published; whoever
    turns at full speed for ever is worth 1.
    """
    if config.turning:
        return (1.0 - gamma) * _turning(episode, config)
    rewards = np.zeros(len(episode))
    if config.stage and len(episode.stages) == len(episode):
        rewards = np.minimum(config.stage * np.diff(episode.stages, prepend=0).astype(np.float64), 1.0)
    if episode.ending is Ending.SUCCESS:
        rewards[-1] += 1.0 - rewards.sum()
    return rewards


def _turning(episode: Episode, config: RewardConfig) -> Array:
    if config.turning not in episode.objects:
        raise LayoutError(
            f"{episode.episode_id}: reward.turning: expected one of {', '.join(episode.objects)}, got {config.turning}"
        )
    quaternions = episode.object_pose[:, episode.objects.index(config.turning), 3:]
    frames = np.array([quaternion_to_matrix(quaternion) for quaternion in quaternions])
    yaw = np.unwrap(np.arctan2(frames[:, 1, 0], frames[:, 0, 0]))
    reach, steps = max(1, round(config.span_s / (2.0 * episode.step_period_s))), np.arange(len(yaw))
    before, after = np.maximum(steps - reach, 0), np.minimum(steps + reach, len(yaw) - 1)
    speed = (yaw[after] - yaw[before]) / (np.maximum(after - before, 1) * episode.step_period_s)
    share: Array = np.clip(speed / config.speed_rad_s, -1.0, 1.0)
    return share

"""Chunks from episodes: every window of H executed actions with what it earned and where it led.

The end of an episode (LEARNING_FACTS "Chunks that cross an episode's end"): on SUCCESS and FAILURE a window that reaches over the
end is padded with the last action, its reward is discounted to the step of success, and nothing is bootstrapped behind it. On
TIMEOUT, where nobody knows what would have come, such windows are dropped; so they are on SUCCESS in a task that goes on and on.

An attempt of the policy's own that did not succeed, in time, is worth nothing from its beginning (Monte Carlo): to learn
by bootstrapping that hovering for 20 s leads nowhere takes thousands of updates. Where every step is paid for, it is not needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from sernf_learner.episode import POLICY_SOURCE, Ending, Episode
from sernf_learner.rewards import RewardConfig, step_rewards
from sernf_policy.layout import PolicyLayout
from sernf_policy.observation import ObservationBuilder

BY_SUCCESS = RewardConfig()


@dataclass(frozen=True)
class ChunkTable:
    """n windows as float32 tensors.

    `vector` (n, o), `chunk` (n, H, A) rad, `reward` (n,) discounted within the J steps that the critic judges (H unless said
    otherwise), `next_vector` (n, o) and `next_chunk` (n, H, A): what was seen and done after them, `discount` (n,): gamma^J, or 0
    where nothing comes afterwards; `episode` (n,) index; `tick` (n,); `frame` (n,): number of what cameras saw then.
    """

    vector: Tensor
    chunk: Tensor
    reward: Tensor
    next_vector: Tensor
    next_chunk: Tensor
    discount: Tensor
    episode: Tensor
    tick: Tensor
    frame: Tensor

    def __len__(self) -> int:
        return len(self.reward)

    def rows(self, index: Tensor) -> ChunkTable:
        """The chosen rows."""
        return ChunkTable(*(getattr(self, field.name)[index] for field in fields(self)))

    def to(self, device: torch.device) -> ChunkTable:
        """All rows on `device`."""
        return ChunkTable(*(getattr(self, field.name).to(device) for field in fields(self)))


def tabulate(
    episodes: Sequence[Episode],
    builder: ObservationBuilder,
    gamma: float,
    judged_steps: int = 0,
    reward: RewardConfig = BY_SUCCESS,
) -> ChunkTable:
    """All windows of `episodes`; raises ValueError when there is none.

    `judged_steps`: after how many steps of a window the critic looks again; 0: after the whole window.
    """
    judged_steps = judged_steps or builder.layout.horizon
    tables = [_windows(episode, number, builder, gamma, judged_steps, reward) for number, episode in enumerate(episodes)]
    tables = [table for table in tables if len(table)]
    if not tables:
        raise ValueError(
            "expected at least one window of recorded actions, got none: the episodes are empty or cut off by timeouts"
        )
    return concatenate(tables)


def concatenate(tables: Sequence[ChunkTable]) -> ChunkTable:
    """One table under the other."""
    return ChunkTable(*(torch.cat([getattr(table, field.name) for table in tables]) for field in fields(ChunkTable)))


def _windows(
    episode: Episode, number: int, builder: ObservationBuilder, gamma: float, judged_steps: int, reward: RewardConfig
) -> ChunkTable:
    layout: PolicyLayout = builder.layout
    horizon, steps = layout.horizon, len(episode)
    vectors = episode.observation_vectors(builder)
    actions = episode.action_rad[:, episode.joint_order(layout)].astype(np.float32)
    in_vain = episode.source == POLICY_SOURCE and episode.ending is not Ending.SUCCESS and not reward.goes_on
    is_final = episode.ending is Ending.FAILURE or in_vain or (episode.ending is Ending.SUCCESS and not reward.goes_on)
    starts = np.arange(steps if is_final else max(0, steps - horizon))
    after = starts + judged_steps
    ends_inside = after >= steps
    chunks, next_chunks = (actions[np.minimum(first[:, None] + np.arange(horizon), steps - 1)] for first in (starts, after))
    earned = np.concatenate([step_rewards(episode, reward, gamma), np.zeros(judged_steps)])
    rewards = earned[starts[:, None] + np.arange(judged_steps)] @ gamma ** np.arange(judged_steps)
    discounts = np.where(ends_inside | in_vain, 0.0, gamma**judged_steps)
    as_tensor = torch.from_numpy
    return ChunkTable(
        vector=as_tensor(vectors[starts]),
        chunk=as_tensor(chunks),
        reward=as_tensor(rewards.astype(np.float32)),
        next_vector=as_tensor(vectors[np.minimum(after, steps - 1)]),
        next_chunk=as_tensor(next_chunks),
        discount=as_tensor(discounts.astype(np.float32)),
        episode=torch.full((len(starts),), number, dtype=torch.int64),
        tick=as_tensor(starts),
        frame=as_tensor(starts),
    )

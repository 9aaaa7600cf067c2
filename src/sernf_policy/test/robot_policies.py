"""Checkpoints of small policies that move the whole robot a little about its home pose, for tests of the running policy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from small_policies import SMALL, awaken, small_critic
from torch import Tensor

from sernf_policy.acting import ActingConfig
from sernf_policy.checkpoint import CheckpointInfo, HeldOut, save_checkpoint
from sernf_policy.chunk_player import PlayerConfig
from sernf_policy.layout import CameraView, PolicyLayout
from sernf_policy.likelihood_monitor import LikelihoodThresholds
from sernf_policy.policy import ChunkPolicy, PolicyConfig
from sernf_robot.joints import ARM_JOINTS, JOINTS

HOME = np.zeros(len(JOINTS))
HOME[: len(ARM_JOINTS)] = 0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785
HOME[JOINTS.index("right_thumb_abd")] = -0.3
BLIND = ("joint_position", "commanded_position")
"""A policy that looks at nothing but the robot."""
PLAYER = PlayerConfig(execute_steps=3, blend_steps=1)


def robot_layout(
    *, observation: tuple[str, ...] = BLIND, rate_hz: float = 20.0, task: str = "duck", cameras: tuple[CameraView, ...] = ()
) -> PolicyLayout:
    """All joints, in another order than the robot's; six steps."""
    return PolicyLayout(
        task=task, observation=observation, joint_names=JOINTS[::-1], horizon=6, step_period_s=1.0 / rate_hz, cameras=cameras
    )


def robot_data(layout: PolicyLayout, rows: int, seed: int, drift_rad: float = 0.01) -> tuple[Tensor, Tensor]:
    """Vectors (n, o) at rest near home, and chunks (n, H, A) that leave it by about `drift_rad` a step."""
    generator = torch.Generator().manual_seed(seed)
    vectors = 0.3 * torch.randn(rows, layout.observation_size, generator=generator)
    commanded = torch.from_numpy(HOME[::-1].copy()).float() + 0.02 * torch.randn(rows, layout.action_size, generator=generator)
    for term in ("joint_position", "commanded_position"):
        vectors[:, layout.slice_of(term)] = commanded
    steps = drift_rad * torch.randn(rows, 1, layout.action_size, generator=generator).expand(-1, layout.horizon, -1)
    return vectors, commanded[:, None] + steps.cumsum(1)


def robot_policy(
    layout: PolicyLayout, *, config: PolicyConfig = SMALL, seed: int = 0, drift_rad: float = 0.01, heads: float = 0.05
) -> ChunkPolicy:
    """Normalised on `robot_data`; `heads`: size of the random heads."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        policy = ChunkPolicy(layout, config)
        awaken(policy, heads)
    policy.fit_normaliser(*robot_data(layout, 64, seed, drift_rad))
    return policy.eval()


def save_robot_policy(
    path: Path,
    *,
    layout: PolicyLayout | None = None,
    config: PolicyConfig = SMALL,
    seed: int = 0,
    drift_rad: float = 0.01,
    heads: float = 0.05,
    likelihood: LikelihoodThresholds | None = None,
    candidates: int = 1,
    stage: str = "imitation",
) -> CheckpointInfo:
    """Write a checkpoint that passes every check; other seeds give other weights."""
    layout = layout or robot_layout()
    policy = robot_policy(layout, config=config, seed=seed, drift_rad=drift_rad, heads=heads)
    return save_checkpoint(
        path,
        policy=policy,
        critic=small_critic(policy) if candidates > 1 else None,
        acting=ActingConfig(candidates=candidates, player=PLAYER),
        stage=stage,
        likelihood=likelihood,
        held_out=HeldOut.of(policy, *robot_data(layout, 16, seed + 1000, drift_rad)),
        seed=seed,
    )

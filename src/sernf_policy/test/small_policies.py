"""Small policies with weights that do something: what several tests share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sernf_policy.critic import ChunkCritic, CriticConfig
from sernf_policy.layout import PolicyLayout
from sernf_policy.policy import ChunkPolicy, PolicyConfig

SMALL = PolicyConfig(encoder_hidden=16, code_size=8, blocks=3, hidden=16, affine_hidden=16)
SMALL_CRITIC = CriticConfig(members=3, hidden=16, layers=2, components=5)


def small_layout(joints: int = 3, horizon: int = 4, absolute: int = 0) -> PolicyLayout:
    """Joints named as on the robot, the last ones `absolute`; the policy sees their positions and the commanded ones."""
    names = tuple(f"fr3_joint{number}" for number in range(1, joints + 1))
    return PolicyLayout(
        task="toy", observation=("joint_position", "commanded_position"), joint_names=names,
        absolute_joints=names[joints - absolute :], horizon=horizon,
    )  # fmt: skip


def small_data(layout: PolicyLayout, rows: int = 64, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Vectors (n, o) and chunks (n, H, A): random walks from the commanded position inside +-1.5 rad."""
    generator = torch.Generator().manual_seed(seed)
    vectors = 0.3 * torch.randn(rows, layout.observation_size, generator=generator)
    vectors[:, 3:4] -= 1.0
    steps = 0.05 * torch.randn(rows, layout.horizon, layout.action_size, generator=generator)
    return vectors, vectors[:, None, layout.slice_of("commanded_position")] + steps.cumsum(1)


def small_policy(layout: PolicyLayout | None = None, config: PolicyConfig = SMALL, seed: int = 0) -> ChunkPolicy:
    """Normalised on `small_data`; random heads, so that nothing is the identity by accident."""
    layout = layout or small_layout()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        policy = ChunkPolicy(layout, config)
        awaken(policy)
    policy.fit_normaliser(*small_data(layout))
    return policy.eval()


def small_critic(policy: ChunkPolicy, config: CriticConfig = SMALL_CRITIC, seed: int = 1) -> ChunkCritic:
    """With the policy's normalisation."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        critic = ChunkCritic(policy.layout, config)
    critic.copy_normalisation(policy.encoder.standardiser, policy.normaliser)
    return critic.eval()


def awaken(module: nn.Module, scale: float = 0.3) -> None:
    """Heads that start at zero get random numbers."""
    for parameter in module.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=scale)

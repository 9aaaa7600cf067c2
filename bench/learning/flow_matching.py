"""Flow matching over chunks, in the place of the normalizing flow: the same encoder, normaliser, critic and number of parameters.

Trained on straight paths from noise to data (arXiv 2210.02747), sampled with Euler steps. It has no likelihood: `log_prob` is the
negative loss, which training raises, and must not be read as a density.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sernf.bench.peer_policies import TIME_FEATURES, TRUNK_LAYERS, matching_width, parameters, time_features
from sernf_policy.encoder import mlp
from sernf_policy.flow import FLOWS, ChunkFlow, ConditionalFlow

EULER_STEPS = 8


class VelocityFlow(ChunkFlow):
    """Velocity of x (B, D) at a time in [0, 1], given a code (B, C); see `sernf_policy.flow.FLOWS`."""

    def __init__(
        self, size: int, code_size: int, *, blocks: int, hidden: int, affine_hidden: int, dropout: float = 0.0, seed: int = 0
    ) -> None:
        super().__init__()
        self.size = size
        flow = ConditionalFlow(
            size, code_size, blocks=blocks, hidden=hidden, affine_hidden=affine_hidden, dropout=dropout, seed=seed
        )
        inputs = size + code_size + TIME_FEATURES
        width = matching_width(parameters(flow), inputs, size)
        self.network = mlp((inputs, *[width] * TRUNK_LAYERS, size), dropout=dropout)

    def velocity(self, x: Tensor, code: Tensor, time: Tensor) -> Tensor:
        """`time` (B,) -> (B, D)."""
        velocity: Tensor = self.network(torch.cat([x, code, time_features(time)], dim=-1))
        return velocity

    def to_action(self, z: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """Noise (B, D) -> data (B, D), and zeros (B,) where a normalizing flow gives its log-determinant."""
        x = z
        for number in range(EULER_STEPS):
            x = x + self.velocity(x, code, x.new_full((len(x),), number / EULER_STEPS)) / EULER_STEPS
        return x, x.new_zeros(len(x))

    def log_prob(self, x: Tensor, code: Tensor) -> Tensor:
        """Negative loss (B,) of `x` (B, D) at one random time each."""
        noise, time = torch.randn_like(x), torch.rand(len(x), device=x.device)
        between = torch.lerp(noise, x, time[:, None])
        return -(self.velocity(between, code, time) - (x - noise)).square().sum(-1)


FLOWS["flow_matching"] = VelocityFlow

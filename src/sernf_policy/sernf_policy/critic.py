"""The chunk critic: value of a whole action chunk in an observation, by an ensemble.

The network lives beside the policy because a checkpoint may carry it: at run time it chooses among sampled chunks.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sernf_policy.layout import PolicyLayout
from sernf_policy.normaliser import LARGEST_DISTANCE, ChunkNormaliser, Standardiser


@dataclass(frozen=True, kw_only=True)
class CriticConfig:
    """`members`: Qs of the ensemble. `components`: how many principal components of a chunk the critic sees; 0: all of them.

    `steps`: how many first steps of a chunk it judges, and after how many it looks again; 0: the whole chunk.
    """

    members: int = 4
    hidden: int = 256
    layers: int = 3
    components: int = 32
    steps: int = 0

    def __post_init__(self) -> None:
        for name in ("members", "hidden", "layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        for name in ("components", "steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: expected 0 or more, got {getattr(self, name)}")


class EnsembleLinear(nn.Module):
    """E linear layers side by side: (E, B, in) -> (E, B, out)."""

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Batched product."""
        return torch.baddbmm(self.bias, x, self.weight)


class EnsembleNorm(nn.Module):
    """LayerNorm with weights of each member's own."""

    def __init__(self, members: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.weight = nn.Parameter(torch.ones(members, 1, size))
        self.bias = nn.Parameter(torch.zeros(members, 1, size))

    def forward(self, x: Tensor) -> Tensor:
        """(E, B, size) -> (E, B, size)."""
        return nn.functional.layer_norm(x, (self.size,)) * self.weight + self.bias


class ChunkCritic(nn.Module):
    """Q(observation, chunk) of each member, (E, B). It carries its own normalisation: the policy's may not change under it."""

    def __init__(self, layout: PolicyLayout, config: CriticConfig) -> None:
        super().__init__()
        self.layout, self.config = layout, config
        self._commanded = layout.slice_of("commanded_position")
        self.standardiser = Standardiser(layout.observation_size)
        self.steps = min(config.steps or layout.horizon, layout.horizon)
        self.normaliser = ChunkNormaliser(self.steps, layout.counted)
        judged = self.steps * layout.action_size
        self.components = min(config.components or judged, judged)
        sizes = (layout.observation_size + self.components, *[config.hidden] * config.layers)
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(sizes):
            layers += [EnsembleLinear(config.members, inputs, outputs), EnsembleNorm(config.members, outputs), nn.SiLU()]
        self.network = nn.Sequential(*layers, EnsembleLinear(config.members, sizes[-1], 1))

    def copy_normalisation(self, standardiser: Standardiser, normaliser: ChunkNormaliser) -> None:
        """Take over what the policy's data gave."""
        self.standardiser.load_state_dict(standardiser.state_dict())
        self.normaliser.load_state_dict(normaliser.first(self.steps).state_dict())

    def forward(self, vector: Tensor, chunk: Tensor) -> Tensor:
        """Vectors (B, n), chunks (B, H, A) rad -> (E, B)."""
        whitened, _ = self.normaliser(self.normaliser.scaled(chunk[:, : self.steps], vector[:, self._commanded]))
        seen = whitened[:, : self.components].clamp(-LARGEST_DISTANCE, LARGEST_DISTANCE)
        inputs = torch.cat([self.standardiser(vector), seen], dim=-1)
        values: Tensor = self.network(inputs.expand(self.config.members, *inputs.shape)).squeeze(-1)
        return values

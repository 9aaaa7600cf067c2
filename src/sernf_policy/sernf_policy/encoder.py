"""Observation encoders: from named observations to one code vector that conditions flow and critic.

An observation is a mapping of tensors: `vector` (B, n) always, and camera images (B, 3, height, width) for encoders that take
them.
The code is computed once per observation, not once per candidate chunk.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sernf_policy.normaliser import Standardiser

Observation = Mapping[str, Tensor]


def mlp(sizes: tuple[int, ...], *, dropout: float = 0.0) -> nn.Sequential:
    """Linear layers with LayerNorm and SiLU after all but the last."""
    layers: list[nn.Module] = []
    for number, (inputs, outputs) in enumerate(itertools.pairwise(sizes), start=1):
        layers.append(nn.Linear(inputs, outputs))
        if number < len(sizes) - 1:
            layers += [nn.LayerNorm(outputs), nn.SiLU()]
            if dropout > 0.0:
                layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


class VectorEncoder(nn.Module):
    """The observation vector, standardised, through an MLP. Output: (B, code_size)."""

    def __init__(self, observation_size: int, hidden: int, code_size: int, input_noise: float = 0.0) -> None:
        """`input_noise`: standard deviation of the noise on standardised observations in training mode."""
        super().__init__()
        self.code_size, self.input_noise = code_size, input_noise
        self.standardiser = Standardiser(observation_size)
        self.network = nn.Sequential(mlp((observation_size, hidden, hidden, code_size)), nn.LayerNorm(code_size))

    def forward(self, observation: Observation) -> Tensor:
        """(B, n) under `vector` -> (B, code_size)."""
        standardised = self.standardiser(observation["vector"])
        if self.training and self.input_noise > 0.0:
            standardised = standardised + self.input_noise * torch.randn_like(standardised)
        code: Tensor = self.network(standardised)
        return code

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

    body: Tensor

    def __init__(self, body: Tensor, hidden: int, code_size: int, input_noise: float = 0.0, body_dropout: float = 0.0) -> None:
        """`body` (n,) bool: which numbers do not come from pictures. In training mode standardised observations get noise of the
        standard deviation `input_noise`, and in a share `body_dropout` of them the body is left out.
        """
        super().__init__()
        self.code_size, self.input_noise, self.body_dropout = code_size, input_noise, body_dropout
        self.register_buffer("body", body, persistent=False)
        self.standardiser = Standardiser(len(body))
        self.network = nn.Sequential(mlp((len(body), hidden, hidden, code_size)), nn.LayerNorm(code_size))

    def forward(self, observation: Observation) -> Tensor:
        """(B, n) under `vector` -> (B, code_size)."""
        standardised = self.standardiser(observation["vector"])
        if self.training and self.input_noise > 0.0:
            standardised = standardised + self.input_noise * torch.randn_like(standardised)
        if self.training and self.body_dropout > 0.0:
            left_out = torch.rand(len(standardised), 1, device=standardised.device) < self.body_dropout
            standardised = standardised.masked_fill(left_out & self.body, 0.0)
        code: Tensor = self.network(standardised)
        return code

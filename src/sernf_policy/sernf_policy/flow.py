"""Conditional normalizing flow over vectors: exact densities, samples in one pass.

`z = to_latent(x, code)` with log |det dz/dx|, `x = to_action(z, code)` with log |det dx/dz|. Blocks: one conditional affine map
of all numbers (which alone is a Gaussian with a learned mean and width), then affine couplings (RealNVP, arXiv 1605.08803) with
fixed permutations between them. Heads start at zero, so the flow starts as the identity.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from sernf_policy.encoder import mlp

LOG_2PI = math.log(2.0 * math.pi)
LARGEST_LOG_SCALE = 2.0
LARGEST_AFFINE_LOG_SCALE = 5.0


def bounded(raw: Tensor, bound: float) -> Tensor:
    """Smoothly inside +-bound; slope 1 at 0."""
    return bound * torch.tanh(raw / bound)


class ConditionalAffine(nn.Module):
    """z = (x - shift(code)) * exp(-log_scale(code)) for all numbers at once."""

    def __init__(self, size: int, code_size: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.network = mlp((code_size, hidden, hidden, 2 * size), dropout=dropout)
        zero_(self.network[-1])

    def shift_and_log_scale(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C) -> (B, D) each."""
        shift, raw = self.network(code).chunk(2, dim=-1)
        return shift, bounded(raw, LARGEST_AFFINE_LOG_SCALE)

    def to_latent(self, x: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D) -> (B, D), log-determinant (B,)."""
        shift, log_scale = self.shift_and_log_scale(code)
        return (x - shift) * torch.exp(-log_scale), -log_scale.sum(-1)

    def to_action(self, z: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """Inverse of `to_latent`, log-determinant (B,) of this direction."""
        shift, log_scale = self.shift_and_log_scale(code)
        return z * torch.exp(log_scale) + shift, log_scale.sum(-1)


class Coupling(nn.Module):
    """Affine coupling: the first part of the numbers decides shift and scale of the rest."""

    def __init__(self, size: int, code_size: int, hidden: int) -> None:
        super().__init__()
        self.kept = size // 2
        self.network = mlp((self.kept + code_size, hidden, hidden, 2 * (size - self.kept)))
        zero_(self.network[-1])

    def _parameters_for(self, kept: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        shift, raw = self.network(torch.cat([kept, code], dim=-1)).chunk(2, dim=-1)
        return shift, bounded(raw, LARGEST_LOG_SCALE)

    def to_latent(self, x: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D) -> (B, D), log-determinant (B,)."""
        kept, moved = x[:, : self.kept], x[:, self.kept :]
        shift, log_scale = self._parameters_for(kept, code)
        return torch.cat([kept, (moved - shift) * torch.exp(-log_scale)], dim=-1), -log_scale.sum(-1)

    def to_action(self, z: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """Inverse of `to_latent`, log-determinant (B,) of this direction."""
        kept, moved = z[:, : self.kept], z[:, self.kept :]
        shift, log_scale = self._parameters_for(kept, code)
        return torch.cat([kept, moved * torch.exp(log_scale) + shift], dim=-1), log_scale.sum(-1)


class Permutation(nn.Module):
    """A fixed reordering; volume-preserving."""

    order: Tensor
    back: Tensor

    def __init__(self, order: Tensor) -> None:
        super().__init__()
        self.register_buffer("order", order)
        self.register_buffer("back", torch.argsort(order))

    def to_latent(self, x: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D) -> (B, D), log-determinant 0."""
        return x[:, self.order], x.new_zeros(len(x))

    def to_action(self, z: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """Inverse of `to_latent`."""
        return z[:, self.back], z.new_zeros(len(z))


Layer = ConditionalAffine | Coupling | Permutation


class ChunkFlow(nn.Module, ABC):
    """What a policy asks of its flow."""

    @abstractmethod
    def to_action(self, z: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """z (B, D) -> x (B, D) and log |det dx/dz| (B,)."""

    @abstractmethod
    def log_prob(self, x: Tensor, code: Tensor) -> Tensor:
        """(B,) nats."""

    def centre(self, code: Tensor) -> Tensor | None:
        """What x (B, D) is centred on before anything else; None for a flow without such a layer."""
        return None


class ConditionalFlow(ChunkFlow):
    """Density of x (B, D) given a code (B, C). `blocks` 0 leaves the conditional Gaussian."""

    def __init__(
        self, size: int, code_size: int, *, blocks: int, hidden: int, affine_hidden: int, dropout: float = 0.0, seed: int = 0
    ) -> None:
        super().__init__()
        self.size = size
        generator = torch.Generator().manual_seed(seed)
        layers: list[nn.Module] = [ConditionalAffine(size, code_size, affine_hidden, dropout)]
        for _ in range(blocks if size > 1 else 0):
            layers += [Permutation(torch.randperm(size, generator=generator)), Coupling(size, code_size, hidden)]
        self.layers = nn.ModuleList(layers)

    def blocks(self) -> list[Layer]:
        """The layers, from action to latent."""
        return [layer for layer in self.layers if isinstance(layer, Layer)]

    def centre(self, code: Tensor) -> Tensor:
        """The shift (B, D) of the first layer."""
        first = self.layers[0]
        assert isinstance(first, ConditionalAffine)
        return first.shift_and_log_scale(code)[0]

    def to_latent(self, x: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, D) -> z (B, D) and log |det dz/dx| (B,)."""
        log_det = x.new_zeros(len(x))
        for layer in self.blocks():
            x, change = layer.to_latent(x, code)
            log_det = log_det + change
        return x, log_det

    def to_action(self, z: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """z (B, D) -> x (B, D) and log |det dx/dz| (B,)."""
        log_det = z.new_zeros(len(z))
        for layer in reversed(self.blocks()):
            z, change = layer.to_action(z, code)
            log_det = log_det + change
        return z, log_det

    def log_prob(self, x: Tensor, code: Tensor) -> Tensor:
        """(B,) nats."""
        z, log_det = self.to_latent(x, code)
        return base_log_prob(z) + log_det


FLOWS: dict[str, Callable[..., ChunkFlow]] = {"coupling": ConditionalFlow}
"""By the name in `PolicyConfig.flow`. Others with the same constructor may be entered, to be compared: they are
trained, saved and loaded alike. Compiled inference knows `coupling` alone."""


def base_log_prob(z: Tensor) -> Tensor:
    """Standard normal density of (B, D), (B,) nats."""
    return -0.5 * (z.square() + LOG_2PI).sum(-1)


def zero_(layer: nn.Module) -> None:
    """Make a linear layer return zero."""
    assert isinstance(layer, nn.Linear)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)

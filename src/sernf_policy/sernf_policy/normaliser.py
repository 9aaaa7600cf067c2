"""Normalisation as part of the policy: fixed numbers computed from the data once, stored with the weights, differentiable.

The same modules run in training and on the robot, so the two can never disagree.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

SMALLEST_STD = 1e-3
"""m or rad; what hardly varies in the data must not shout when it varies a little on the robot: nothing was learnt from it."""
SMALLEST_SPREAD = 0.01
"""m or rad; distances from the data count in at least this much."""
LARGEST_DISTANCE = 10.0
"""Standardised numbers are clipped to +-this, so that one broken sensor value cannot dominate."""
EDGE = 1e-3
"""Scaled actions are clipped to +-(1 - EDGE): the likelihood stays finite at the bounds."""


class Standardiser(nn.Module):
    """(x - mean) / std per number, clipped to +-LARGEST_DISTANCE."""

    mean: Tensor
    std: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))

    def fit(self, values: Tensor) -> None:
        """Take mean and standard deviation of `values`, (n, size)."""
        self.mean.copy_(values.mean(0))
        self.std.copy_(values.std(0, correction=0).clamp_min(SMALLEST_STD))

    def forward(self, values: Tensor) -> Tensor:
        """(..., size) -> (..., size)."""
        normalised: Tensor = ((values - self.mean) / self.std).clamp(-LARGEST_DISTANCE, LARGEST_DISTANCE)
        return normalised

    def distance(self, values: Tensor) -> Tensor:
        """How far each number (..., size) lies from the mean, in standard deviations of at least SMALLEST_SPREAD."""
        distance: Tensor = (values - self.mean).abs() / self.std.clamp_min(SMALLEST_SPREAD)
        return distance


class ChunkNormaliser(nn.Module):
    """Bijection between chunks of joint targets inside bounds and decorrelated vectors, with its exact log-determinant.

    rad --minus the commanded position, scaling--> (-1, 1) --atanh--> R --whitening--> R^D. Counting from the commanded position
    makes chunks comparable all over the workspace; the bounds then say how far the policy may ever move within h steps: as far as
    the demonstrations did, with a margin. Joints that are not `counted` (A,) are taken as they are, and the bounds say where.
    Whitening is a fixed linear map: targets of neighbouring steps are almost equal, and a coupling flow would have to learn that
    from few demonstrations.
    """

    low: Tensor
    high: Tensor
    mean: Tensor
    whiten: Tensor
    colour: Tensor
    log_det_whiten: Tensor
    counted: Tensor

    def __init__(self, horizon: int, counted: Sequence[bool]) -> None:
        super().__init__()
        actions = len(counted)
        self.register_buffer("counted", torch.tensor(counted, dtype=torch.float32), persistent=False)
        self.horizon, self.actions = horizon, actions
        size = horizon * actions
        self.register_buffer("low", -torch.ones(horizon, actions))
        self.register_buffer("high", torch.ones(horizon, actions))
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("whiten", torch.eye(size))
        self.register_buffer("colour", torch.eye(size))
        self.register_buffer("log_det_whiten", torch.zeros(()))

    def fit(self, chunks: Tensor, commanded: Tensor, *, margin: float, smallest_half_range_rad: float, noise: float) -> None:
        """Bounds and whitening from `chunks` (n, H, A) and `commanded` (n, A), rad.

        `margin`: share of the half range added on each side. `noise`: standard deviation, in scaled units, of the noise that
        training adds.
        """
        moves = (chunks - self._origin(commanded)).double()
        low, high = moves.amin(0), moves.amax(0)
        half = ((high - low) / 2).clamp_min(smallest_half_range_rad) * (1.0 + margin)
        middle = (high + low) / 2
        self.low.copy_(middle - half)
        self.high.copy_(middle + half)
        scaled = ((moves - middle) / half).clamp(-1 + EDGE, 1 - EDGE).reshape(len(chunks), -1)
        unbounded = torch.atanh(scaled)
        mean = unbounded.mean(0)
        centred = unbounded - mean
        # What the noise of the training becomes behind atanh, whose slope is 1 in the middle of the range.
        noise_variance = (noise / (1.0 - scaled.square())).square().mean(0)
        self.mean.copy_(mean)
        self._whiten_by(centred.T @ centred / len(chunks) + torch.diag(noise_variance))

    def first(self, steps: int) -> ChunkNormaliser:
        """What the same data give for the first `steps` steps of each chunk."""
        if steps == self.horizon:
            return self
        part, size = ChunkNormaliser(steps, self.counted.bool().tolist()), steps * self.actions
        part.low.copy_(self.low[:steps])
        part.high.copy_(self.high[:steps])
        part.mean.copy_(self.mean[:size])
        colour = self.colour.double()
        part._whiten_by((colour @ colour.T)[:size, :size])
        return part

    def _whiten_by(self, covariance: Tensor) -> None:
        variance, directions = torch.linalg.eigh(covariance)
        deviation, directions = variance.clamp_min(1e-10).sqrt().flip(0), directions.flip(1)
        self.whiten.copy_((directions / deviation).T)
        self.colour.copy_(directions * deviation)
        self.log_det_whiten.copy_(-deviation.log().sum())

    def scaled(self, chunk: Tensor, commanded: Tensor) -> Tensor:
        """Chunk (B, H, A) and commanded position (B, A), rad -> (B, H, A), in (-1, 1) inside the bounds."""
        return (2.0 * (chunk - self._origin(commanded)) - (self.high + self.low)) / (self.high - self.low)

    def from_scaled(self, scaled: Tensor, commanded: Tensor) -> Tensor:
        """Inverse of `scaled`."""
        return 0.5 * (scaled * (self.high - self.low) + (self.high + self.low)) + self._origin(commanded)

    def _origin(self, commanded: Tensor) -> Tensor:
        """What chunks are counted from, (B, 1, A) rad."""
        return (commanded * self.counted)[:, None]

    def forward(self, scaled: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled chunk (B, H, A) -> whitened (B, D) and log |det d whitened / d rad| (B,). Saturated values are clipped."""
        inside = scaled.clamp(-1 + EDGE, 1 - EDGE).reshape(scaled.shape[0], -1)
        whitened = (torch.atanh(inside) - self.mean) @ self.whiten.T
        log_det = -torch.log1p(-inside.square()).sum(-1)
        return whitened, log_det + self.log_det_constant()

    def inverse(self, whitened: Tensor) -> tuple[Tensor, Tensor]:
        """Whitened (B, D) -> scaled chunk (B, H, A) and log |det d whitened / d rad| (B,) there."""
        scaled = torch.tanh(whitened @ self.colour.T + self.mean).clamp(-1 + EDGE, 1 - EDGE)
        log_det = -torch.log1p(-scaled.square()).sum(-1)
        return scaled.reshape(-1, self.horizon, self.actions), log_det + self.log_det_constant()

    def log_det_constant(self) -> Tensor:
        """Scaling and whitening: the same for every chunk."""
        return self.log_det_whiten + torch.log(2.0 / (self.high - self.low)).sum()

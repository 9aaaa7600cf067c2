"""Pictures of all episodes for training the eyes: each kept once, drawn by number, shown a little differently each time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from sernf_learner.episode import Episode
from sernf_learner.image_augmentation import ImageAugmentation
from sernf_policy.observation import Array32
from sernf_policy.vision import Eyes

AT_ONCE = 64
"""Pictures that go through the eyes together."""


class Frames:
    """Pictures (n, h, w, 3) uint8 of each camera, of one episode after the other, and what they are to tell, (n, 6)."""

    def __init__(self) -> None:
        self._parts: dict[str, list[Tensor]] = {}
        self._ahead: list[Tensor] = []
        self._count = 0

    def add(self, episode: Episode, ahead: Array32) -> int:
        """Number of the episode's first frame. `ahead`: its `way_ahead`."""
        first, self._count = self._count, self._count + len(episode)
        for name, pictures in episode.images.items():
            self._parts.setdefault(name, []).append(torch.from_numpy(np.ascontiguousarray(pictures)))
        self._ahead.append(torch.from_numpy(ahead))
        return first

    def take(self, index: Tensor) -> dict[str, Tensor]:
        """Camera -> (B, h, w, 3) uint8."""
        return {name: _joined(parts)[index] for name, parts in self._parts.items()}

    def ahead(self, index: Tensor) -> Tensor:
        """(B, 6)."""
        return _joined(self._ahead)[index]


def varied_images(images: Mapping[str, Tensor], config: ImageAugmentation) -> dict[str, Tensor]:
    """Camera -> (B, h, w, 3) uint8, each picture displaced and tinted at random; torch's generator.

    On the processor, where the pictures are kept.
    """
    return {name: _tinted(_shifted(batch, config.shift_px), config) for name, batch in images.items()}


@torch.no_grad()
def features_of(eyes: Eyes, episode: Episode) -> dict[str, Array32]:
    """Camera -> (T, F): what `eyes` make of the episode's pictures, a picture that stays for several ticks looked at once."""
    device = next(eyes.parameters()).device
    found = {}
    for name, pictures in episode.images.items():
        changes = np.r_[True, (pictures[1:] != pictures[:-1]).any(axis=(1, 2, 3))]
        batch = torch.from_numpy(np.ascontiguousarray(pictures[changes]))
        parts = [eyes({name: part.to(device)})[name].cpu() for part in torch.split(batch, AT_ONCE)]
        found[name] = torch.cat(parts).numpy()[np.cumsum(changes) - 1]
    return found


def _joined(parts: list[Tensor]) -> Tensor:
    """All of them, one below the other; kept like that."""
    parts[:] = [parts[0] if len(parts) == 1 else torch.cat(parts)]
    return parts[0]


def _shifted(batch: Tensor, most_px: int) -> Tensor:
    if most_px == 0:
        return batch
    _, height, width, _ = batch.shape
    border = (most_px, most_px)
    wider = torch.from_numpy(np.pad(batch.numpy(), ((0, 0), border, border, (0, 0)), mode="edge"))
    # Slices: picking each pixel by its index takes ten times as long.
    corners = torch.randint(2 * most_px + 1, (len(batch), 2)).tolist()
    return torch.stack([part[row : row + height, column : column + width] for part, (row, column) in zip(wider, corners)])


def _tinted(batch: Tensor, config: ImageAugmentation) -> Tensor:
    if config.brightness == config.contrast == config.colour == 0.0:
        return batch

    def factor(share: float, channels: int) -> Tensor:
        return 1.0 + share * (2.0 * torch.rand(len(batch), 1, 1, channels) - 1.0)

    pictures = batch.float()
    contrast, brightness, colour = factor(config.contrast, 1), factor(config.brightness, 1), factor(config.colour, 3)
    middle = pictures.mean((1, 2, 3), keepdim=True)
    tinted = pictures.mul_(contrast * colour).add_(middle * (brightness - contrast) * colour)
    return tinted.clamp_(0.0, 255.0).to(torch.uint8)

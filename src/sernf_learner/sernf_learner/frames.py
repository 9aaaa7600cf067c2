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
    """Pictures (n, h, w, 3) uint8 of each camera, of one episode after the other."""

    def __init__(self) -> None:
        self._parts: dict[str, list[Tensor]] = {}
        self._count = 0

    def add(self, episode: Episode) -> int:
        """Number of the episode's first frame."""
        first, self._count = self._count, self._count + len(episode)
        for name, pictures in episode.images.items():
            self._parts.setdefault(name, []).append(torch.from_numpy(np.ascontiguousarray(pictures)))
        return first

    def take(self, index: Tensor) -> dict[str, Tensor]:
        """Camera -> (B, h, w, 3) uint8."""
        for name, parts in self._parts.items():
            if len(parts) > 1:
                self._parts[name] = [torch.cat(parts)]
        return {name: parts[0][index] for name, parts in self._parts.items()}


def varied_images(images: Mapping[str, Tensor], config: ImageAugmentation) -> dict[str, Tensor]:
    """Camera -> (B, h, w, 3) uint8, each picture displaced and tinted at random; torch's generator."""
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


def _shifted(batch: Tensor, most_px: int) -> Tensor:
    if most_px == 0:
        return batch
    count, height, width, _ = batch.shape
    rows, columns = (torch.randint(-most_px, most_px + 1, (count, 1), device=batch.device) for _ in range(2))
    row = (torch.arange(height, device=batch.device) + rows).clamp(0, height - 1)
    column = (torch.arange(width, device=batch.device) + columns).clamp(0, width - 1)
    return batch[torch.arange(count, device=batch.device)[:, None, None], row[:, :, None], column[:, None, :]]


def _tinted(batch: Tensor, config: ImageAugmentation) -> Tensor:
    if config.brightness == config.contrast == config.colour == 0.0:
        return batch
    pictures = batch.float()

    def factor(share: float, *shape: int) -> Tensor:
        return 1.0 + share * (2.0 * torch.rand(len(batch), *shape, device=batch.device) - 1.0)

    middle = pictures.mean((1, 2, 3), keepdim=True)
    pictures = (pictures - middle) * factor(config.contrast, 1, 1, 1) + middle * factor(config.brightness, 1, 1, 1)
    return (pictures * factor(config.colour, 1, 1, 3)).clamp(0.0, 255.0).to(torch.uint8)

"""What a camera adds to a picture: noise. No two pictures of a real camera are alike, which tells a frozen one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NOISE_LEVELS = 1.5
"""Standard deviation, of 255."""


def with_noise(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """`picture` (h, w, 3) as a sensor would give it."""
    noise = rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(NOISE_LEVELS)
    noisy: NDArray[np.uint8] = np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)
    return noisy

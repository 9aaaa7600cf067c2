"""Measurements that a running node keeps in memory and writes when it ends, for benches: nothing is written in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class TimingRing:
    """The last `rows` rows of a structured `dtype`."""

    def __init__(self, dtype: np.dtype[Any], rows: int) -> None:
        self._ring = np.zeros(rows, dtype=dtype)
        self._count = 0

    def note(self, *row: float) -> None:
        """One row, in the order of the columns."""
        self._ring[self._count % len(self._ring)] = row
        self._count += 1

    def rows(self) -> NDArray[np.void]:
        """Oldest first."""
        if self._count <= len(self._ring):
            return self._ring[: self._count]
        return np.roll(self._ring, -(self._count % len(self._ring)), axis=0)

    def save(self, path: Path) -> None:
        """Write a structured array for `numpy.load`, and the folder if need be."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, self.rows())

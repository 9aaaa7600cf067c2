"""How far cubes have been turned, and how much of it counts: only what happens while enough fingertips touch their sides.

A cube that is flicked, or that lies on the palm, may turn as much as it likes; it earns nothing here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.integer[Any]] | NDArray[np.bool_] | slice
ALL = slice(None)

MIN_FINGERTIPS = 3
"""So many fingertips must touch while a rotation counts."""
DROP_M = 0.020
"""A cube that is lower than its place by more than this is dropped."""
LEFT_M = 0.035
"""A cube that is horizontally farther from its place than this has left the hand."""
TOPPLED_RAD = 0.70
"""A cube that is tilted by more than this has toppled."""


def dropped(offset_m: ArrayLike, tilt_rad: ArrayLike) -> NDArray[np.bool_]:
    """Whether cubes are lost: `offset_m` (..., 3) from their place, `tilt_rad` (...) of their upright axis."""
    offset = np.asarray(offset_m, dtype=float)
    away = np.hypot(offset[..., 0], offset[..., 1]) > LEFT_M
    lost: NDArray[np.bool_] = (offset[..., 2] < -DROP_M) | away | (np.asarray(tilt_rad) > TOPPLED_RAD)
    return lost


class RotationCount:
    """Counts the turns of `count` cubes about the vertical, each by its own yaw, which may jump by whole turns.

    `turned_rad`: all rotation; `counted_rad`: what happened with at least MIN_FINGERTIPS touching. Arrays (count,).
    """

    def __init__(self, count: int) -> None:
        self._yaw_rad = np.zeros(count)
        self.turned_rad, self.counted_rad, self.time_s, self.fingertip_s = np.zeros((4, count))

    def reset(self, yaw_rad: ArrayLike, rows: Rows = ALL) -> None:
        """Begin anew for `rows`, whose yaw is now `yaw_rad`."""
        self._yaw_rad[rows] = np.asarray(yaw_rad, dtype=float)
        for total in (self.turned_rad, self.counted_rad, self.time_s, self.fingertip_s):
            total[rows] = 0.0

    def update(self, yaw_rad: ArrayLike, fingertips: ArrayLike, period_s: float, rows: Rows = ALL) -> Floats:
        """Take in the yaw of `rows` and how many fingertips touch each; returns the rotation since the last time, rad."""
        yaw = np.asarray(yaw_rad, dtype=float)
        step: Floats = (yaw - self._yaw_rad[rows] + np.pi) % (2 * np.pi) - np.pi
        self._yaw_rad[rows] = yaw
        self.turned_rad[rows] += step
        self.counted_rad[rows] += np.where(np.asarray(fingertips) >= MIN_FINGERTIPS, step, 0.0)
        self.time_s[rows] += period_s
        self.fingertip_s[rows] += np.asarray(fingertips) * period_s
        return step

    def turns_per_minute(self) -> Floats:
        """Counted turns over all the time, (count,); 0 where no time has passed."""
        return self.counted_rad / (2 * np.pi) / np.maximum(self.time_s / 60.0, 1e-9)

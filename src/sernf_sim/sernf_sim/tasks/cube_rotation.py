"""How far cubes have been turned, and how much of it counts: only what happens while enough fingertips touch their sides.

A cube that is flicked, or that lies on the palm, may turn as much as it likes; it earns nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

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
    """Counts the turns of a cube about the vertical by its yaw, which may jump by whole turns.

    `turned_rad`: all rotation; `counted_rad`: what happened with at least MIN_FINGERTIPS touching; `fingertip_s`, `force_ns`:
    touching fingertips, and the mean force of one (N), times their time; `time_s`.
    """

    def __init__(self, yaw_rad: float) -> None:
        """Begin at `yaw_rad`."""
        self._yaw_rad = yaw_rad
        self.turned_rad = self.counted_rad = self.time_s = self.fingertip_s = self.force_ns = 0.0

    def update(self, yaw_rad: float, forces_n: Sequence[float], period_s: float) -> None:
        """Take in the yaw and the forces of the fingertips that touch."""
        step = (yaw_rad - self._yaw_rad + np.pi) % (2 * np.pi) - np.pi
        self._yaw_rad = yaw_rad
        self.turned_rad += step
        self.counted_rad += step if len(forces_n) >= MIN_FINGERTIPS else 0.0
        self.time_s += period_s
        self.fingertip_s += len(forces_n) * period_s
        self.force_ns += float(np.mean(forces_n)) * period_s if forces_n else 0.0

    def measures(self) -> dict[str, float]:
        """What `rotation_report` takes."""
        names = ("counted_rad", "turned_rad", "fingertip_s", "force_ns")
        return {"lived_s": self.time_s, **{name: getattr(self, name) for name in names}}


def rotation_report(
    *, counted_rad: Floats, turned_rad: Floats, lived_s: Floats, fingertip_s: Floats, force_ns: Floats, lost: NDArray[np.bool_]
) -> dict[str, float]:  # fmt: skip
    """What episodes (n,) came to; see RotationCount. `lost` (n,): dropped, or ended by a fault."""
    seconds = max(float(lived_s.sum()), 1e-9)
    minutes = seconds / 60.0
    return {
        "rpm": float(counted_rad.sum()) / (2 * np.pi) / minutes,
        "uncounted_rpm": float((turned_rad - counted_rad).sum()) / (2 * np.pi) / minutes,
        "degrees_per_episode": float(np.degrees(counted_rad).mean()), "drops_per_min": float(np.sum(lost)) / minutes,
        "survival": 1.0 - float(np.mean(lost)), "mean_fingertips": float(fingertip_s.sum()) / seconds,
        "mean_contact_force_n": float(force_ns.sum()) / seconds,
    }  # fmt: skip


def measured(task: str, measures: Sequence[Mapping[str, float]], lost: Sequence[bool]) -> dict[str, float]:
    """`rotation_report` of episodes of the cube by what was measured in each; empty for other tasks and without episodes."""
    known = [(row, gone) for row, gone in zip(measures, lost, strict=True) if row]
    if task != "cube" or not known:
        return {}
    columns = {name: np.array([row[name] for row, _ in known]) for name in known[0][0]}
    return rotation_report(**columns, lost=np.array([gone for _, gone in known]))

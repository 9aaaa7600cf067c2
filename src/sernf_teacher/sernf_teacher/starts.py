"""Where episodes begin: the shipped grasps, held or still open, and states out of running episodes that proved to be good ones.

Without the latter a policy that has learnt to turn the cube is always put back to a grasp from which nobody has turned it yet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sernf_teacher.grasps import Grasps

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
OPENING = (0.5, 0.9)
"""How far fingers open, as a share of how far they press."""


@dataclass(frozen=True)
class Start:
    """`qpos`, `qvel` (n, 22) of hand and cube, `target_rad` (n, 16)."""

    qpos: Floats
    qvel: Floats
    target_rad: Floats


class Starts:
    """Grasps, and a ring of at most `capacity` states, from which a `share` of starts is drawn once it holds `enough`.

    `open_share`: of grasps whose fingers are opened so far that nothing presses; somebody must hold the cube meanwhile.
    """

    def __init__(self, grasps: Grasps, *, share: float, open_share: float = 0.0, capacity: int = 4000, enough: int = 300) -> None:
        joints, degrees = grasps.target_rad.shape[1], grasps.position_rad.shape[1] + grasps.cube.shape[1]
        self._grasps = grasps
        self._share, self._open_share, self._enough = share, open_share, enough
        self.ring = Start(np.zeros((capacity, degrees)), np.zeros((capacity, degrees)), np.zeros((capacity, joints)))
        self.kept = 0
        """states put into the ring so far"""

    def keep(self, start: Start) -> None:
        """Put states into the ring; the oldest go."""
        capacity = len(self.ring.qpos)
        rows = (self.kept + np.arange(len(start.qpos))) % capacity
        self.ring.qpos[rows], self.ring.qvel[rows], self.ring.target_rad[rows] = start.qpos, start.qvel, start.target_rad
        self.kept += len(start.qpos)

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Start, NDArray[np.bool_]]:
        """Starts for `count` episodes, and which of them are open (n,)."""
        chosen = rng.integers(len(self._grasps), size=count)
        grasps = self._grasps.take(chosen)
        position, target = grasps.position_rad, grasps.target_rad
        opened = rng.random(count) < self._open_share
        opening = rng.uniform(*OPENING, size=count) * opened
        position = position - opening[:, None] * (target - position)
        target = np.where(opened[:, None], position, target)
        qpos = np.hstack([position, grasps.cube])
        qvel = np.zeros_like(qpos)
        filled = min(self.kept, len(self.ring.qpos))
        from_ring = rng.random(count) < self._share
        old = rng.integers(max(filled, 1), size=count)
        if filled >= self._enough:
            qpos = np.where(from_ring[:, None], self.ring.qpos[old], qpos)
            qvel = np.where(from_ring[:, None], self.ring.qvel[old], qvel)
            target = np.where(from_ring[:, None], self.ring.target_rad[old], target)
            opened &= ~from_ring
        return Start(qpos, qvel, target.copy()), opened

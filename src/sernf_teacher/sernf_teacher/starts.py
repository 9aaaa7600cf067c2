"""Where episodes begin: the shipped grasps, held or still open, and states out of running episodes that proved to be good ones.

Without the latter a policy that has learnt to turn the cube is always put back to a grasp from which nobody has turned it yet.
Grasps from which the cube is soon dropped are drawn more often than others.
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
EASY = 0.1
"""How often a grasp from which nothing is dropped is drawn, to one from which everything is."""
FORGETTING = 0.05
"""Share of what is known of a grasp that each attempt replaces."""


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
        self.failing = np.zeros(len(grasps))
        """for each grasp, how often the cube was soon dropped of late"""

    def keep(self, start: Start) -> None:
        """Put states into the ring; the oldest go."""
        capacity = len(self.ring.qpos)
        rows = (self.kept + np.arange(len(start.qpos))) % capacity
        self.ring.qpos[rows], self.ring.qvel[rows], self.ring.target_rad[rows] = start.qpos, start.qvel, start.target_rad
        self.kept += len(start.qpos)

    def judge(self, grasps: Rows, failed: NDArray[np.bool_]) -> None:
        """What came of attempts from `grasps` (k,), as `draw` told them; those from the ring, -1, do not count."""
        for grasp, outcome in zip(grasps.tolist(), failed.tolist(), strict=True):
            if grasp >= 0:
                self.failing[grasp] += FORGETTING * (outcome - self.failing[grasp])

    def draw(self, rng: np.random.Generator, ring_too: NDArray[np.bool_]) -> tuple[Start, NDArray[np.bool_], Rows]:
        """Starts for n episodes, which of them are open (n,), and the grasps' numbers (n,), -1 for the ring's states.

        `ring_too` (n,): which may begin from a state of the ring.
        """
        count = len(ring_too)
        weight = EASY + (1.0 - EASY) * self.failing
        chosen = rng.choice(len(weight), size=count, p=weight / weight.sum())
        grasps = self._grasps.take(chosen)
        position, target = grasps.position_rad, grasps.target_rad
        opened = rng.random(count) < self._open_share
        opening = rng.uniform(*OPENING, size=count) * opened
        position = position - opening[:, None] * (target - position)
        target = np.where(opened[:, None], position, target)
        qpos = np.hstack([position, grasps.cube])
        qvel = np.zeros_like(qpos)
        filled = min(self.kept, len(self.ring.qpos))
        from_ring = (rng.random(count) < self._share) & ring_too
        old = rng.integers(max(filled, 1), size=count)
        if filled >= self._enough:
            qpos = np.where(from_ring[:, None], self.ring.qpos[old], qpos)
            qvel = np.where(from_ring[:, None], self.ring.qvel[old], qvel)
            target = np.where(from_ring[:, None], self.ring.target_rad[old], target)
            opened &= ~from_ring
            chosen = np.where(from_ring, -1, chosen)
        return Start(qpos, qvel, target.copy()), opened, chosen

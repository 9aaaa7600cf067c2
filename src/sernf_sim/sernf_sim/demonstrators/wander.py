"""A hand that is never steady: it strays from its way a little and comes back.

Who only ever sees the straight way does not learn how to come back to it, and a policy always strays. Noise in demonstrations
shows that (DART, arXiv 1703.09327).
"""

from __future__ import annotations

import numpy as np

from sernf_robot.joints import ARM_JOINTS
from sernf_robot.kinematics import FloatArray

STRAYING_RAD = 0.02
"""What demonstrations for policies that see are made with: 1 to 2 cm at the hand."""
SLOW_S, FADING_S = 0.4, 0.25
"""Time constants: of straying, and of how soon it ends when care is taken."""


class Wander:
    """Displacement of the arm's joints (7,) rad, smooth, of standard deviation `spread_rad`; it fades while care is taken."""

    def __init__(self, rng: np.random.Generator, spread_rad: float, period_s: float) -> None:
        self._rng, self.spread_rad = rng, spread_rad
        self._share = period_s / SLOW_S
        self._fading = period_s / FADING_S
        # White noise through two low passes of the share a has the variance a (2 - 2a + a^2) / (2 - a)^3.
        a = self._share
        self._gain = float(np.sqrt((2.0 - a) ** 3 / (a * (2.0 - 2.0 * a + a * a))))
        self.start()

    def start(self) -> None:
        """At the way itself."""
        self._first, self._second = np.zeros(len(ARM_JOINTS)), np.zeros(len(ARM_JOINTS))
        self._free = 0.0

    def step(self, *, careful: bool) -> FloatArray:
        """A period later. A steady hand leaves the random numbers to others."""
        if self.spread_rad == 0.0:
            return np.zeros(len(ARM_JOINTS))
        self._free += self._fading * (float(not careful) - self._free)
        self._first = self._first + self._share * (self._rng.standard_normal(len(ARM_JOINTS)) - self._first)
        self._second = self._second + self._share * (self._first - self._second)
        return self._free * self._gain * self.spread_rad * self._second

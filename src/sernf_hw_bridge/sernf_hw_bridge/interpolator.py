"""From targets at 10-50 Hz to a reference that moves smoothly at the control rate.

A new target is approached along a straight line in joint space over one command period (measured, a little stretched so that
jitter does not make the motion stop and go), and longer when the joints' speed would exceed a given fraction of their limits. A
moving average over that line rounds the corners, so the reference's velocity is continuous. After a change of source (`reset`
with a catch-up fraction) the line is slow until the reference has caught up with the source's target.
"""

from __future__ import annotations

import numpy as np

from sernf_hw_bridge.trajectories import Array
from sernf_robot.limits import Limits

PERIOD_STRETCH = 1.1
SHORTEST_PERIOD_S = 0.01
LONGEST_PERIOD_S = 0.2


class Interpolator:
    """Reference for n joints, advanced once per control period of `period_s`."""

    def __init__(self, limits: Limits, period_s: float, *, smoothing_s: float, speed_fraction: float) -> None:
        self._period_s = period_s
        self._speed_rad_s: Array = limits.velocity_rad_s * speed_fraction
        joints = len(limits.joint_names)
        rows = max(1, round(smoothing_s / period_s))
        self._recent = np.zeros((rows, joints))
        self._average = np.full(rows, 1.0 / rows)
        self._next_row = 0
        self._reference = np.zeros(joints)
        self._start = np.zeros(joints)
        self._target = np.zeros(joints)
        self._duration_s = 0.0
        self._elapsed_s = 0.0
        self._catch_up_fraction: float | None = None

    def reset(self, position_rad: Array, *, catch_up_fraction: float | None = None) -> None:
        """Rest at `position_rad`, (n,) rad. With `catch_up_fraction` the next targets are approached at that fraction of the
        usual speed until the reference has reached one in time."""
        self._reference = position_rad.copy()
        self._start = self._target = self._reference
        self._recent[:] = position_rad
        self._next_row = 0
        self._duration_s = self._elapsed_s = 0.0
        self._catch_up_fraction = catch_up_fraction

    @property
    def catching_up(self) -> bool:
        return self._catch_up_fraction is not None

    @property
    def arrived(self) -> bool:
        """Whether the line to the last target has been travelled."""
        return self._elapsed_s >= self._duration_s

    @property
    def remaining_s(self) -> float:
        """Time until the line to the last target has been travelled."""
        return self._duration_s - self._elapsed_s

    def set_target(self, position_rad: Array, command_period_s: float) -> None:
        """Go from the present reference to `position_rad`, (n,) finite rad; commands come every `command_period_s`."""
        period_s = PERIOD_STRETCH * min(max(command_period_s, SHORTEST_PERIOD_S), LONGEST_PERIOD_S)
        needed_s = float((np.abs(position_rad - self._reference) / self._speed_rad_s).max())
        if self._catch_up_fraction is not None:
            needed_s /= self._catch_up_fraction
            if needed_s <= period_s:
                self._catch_up_fraction = None
        self._start, self._target = self._reference, position_rad
        self._duration_s, self._elapsed_s = max(period_s, needed_s), 0.0

    def advance(self) -> tuple[Array, Array]:
        """Reference position (n,) rad and velocity (n,) rad/s one control period later."""
        self._elapsed_s = min(self._elapsed_s + self._period_s, self._duration_s)
        share = self._elapsed_s / self._duration_s if self._duration_s > 0.0 else 1.0
        self._reference = self._start + share * (self._target - self._start)
        rows = len(self._recent)
        velocity = (self._reference - self._recent[self._next_row]) / (rows * self._period_s)
        self._recent[self._next_row] = self._reference
        self._next_row = (self._next_row + 1) % rows
        return self._average @ self._recent, velocity

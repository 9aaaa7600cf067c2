"""From targets at 10-50 Hz to a reference that moves smoothly at the control rate.

A new target is approached along a straight line in joint space over one command period (measured, a little stretched so that
jitter does not make the motion stop and go), and longer when the joints' speed would exceed a given fraction of their limits. A
moving average over that line rounds the corners, so the reference's velocity is continuous.

After a change of source (`reset` with a catch-up fraction) the distance to the new source is closed slowly, while the source's
own motion is followed as ever: a source that is always on the move would otherwise never be caught up with.
"""

from __future__ import annotations

import numpy as np

from sernf_hw_bridge.trajectories import Array
from sernf_robot.limits import Limits

PERIOD_STRETCH = 1.1
SHORTEST_PERIOD_S = 0.01
LONGEST_PERIOD_S = 0.2
SLOWEST_FOLLOWING = 0.1
"""Share of the usual speed at which a source's own motion is followed at least, however fast the distance to it is closed."""


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
        self._target = np.zeros(joints)
        self._own_motion = self._distance = np.zeros(joints)
        self._own_motion_s = self._distance_s = 0.0
        self._elapsed_s = 0.0
        self._catch_up_fraction: float | None = None
        self._has_target = False

    def reset(self, position_rad: Array, *, catch_up_fraction: float | None = None) -> None:
        """Rest at `position_rad`, (n,) rad. With `catch_up_fraction` the way from there to the next targets is travelled at that
        fraction of the usual speed until it has been travelled in time."""
        self._reference = position_rad.copy()
        self._target = self._reference
        self._recent[:] = position_rad
        self._next_row = 0
        self._own_motion = self._distance = np.zeros(len(position_rad))
        self._own_motion_s = self._distance_s = self._elapsed_s = 0.0
        self._catch_up_fraction = catch_up_fraction
        self._has_target = False

    @property
    def catching_up(self) -> bool:
        return self._catch_up_fraction is not None

    @property
    def arrived(self) -> bool:
        """Whether the line to the last target has been travelled."""
        return self.remaining_s <= 0.0

    @property
    def remaining_s(self) -> float:
        """Time until the line to the last target has been travelled."""
        return max(self._own_motion_s, self._distance_s) - self._elapsed_s

    def set_target(self, position_rad: Array, command_period_s: float) -> None:
        """Go from the present reference to `position_rad`, (n,) finite rad; commands come every `command_period_s`."""
        period_s = PERIOD_STRETCH * min(max(command_period_s, SHORTEST_PERIOD_S), LONGEST_PERIOD_S)
        fraction = self._catch_up_fraction
        if fraction is None:
            self._own_motion, self._distance = position_rad - self._reference, np.zeros(len(position_rad))
            self._own_motion_s, self._distance_s = max(period_s, self._needed_s(self._own_motion, 1.0)), 0.0
        else:
            before = self._target if self._has_target else position_rad
            self._own_motion, self._distance = position_rad - before, before - self._reference
            # Both together keep to the speed, as far as the source is still followed at all.
            self._own_motion_s = max(period_s, self._needed_s(self._own_motion, max(1.0 - fraction, SLOWEST_FOLLOWING)))
            self._distance_s = max(period_s, self._needed_s(self._distance, fraction))
            if self._distance_s <= period_s:
                self._catch_up_fraction = None
        self._target, self._has_target = position_rad, True
        self._elapsed_s = 0.0

    def advance(self) -> tuple[Array, Array]:
        """Reference position (n,) rad and velocity (n,) rad/s one control period later."""
        self._elapsed_s += self._period_s
        reference = self._target
        if self._elapsed_s < self._own_motion_s:
            reference = reference - (1.0 - self._elapsed_s / self._own_motion_s) * self._own_motion
        if self._elapsed_s < self._distance_s:
            reference = reference - (1.0 - self._elapsed_s / self._distance_s) * self._distance
        self._reference = reference
        rows = len(self._recent)
        velocity = (self._reference - self._recent[self._next_row]) / (rows * self._period_s)
        self._recent[self._next_row] = self._reference
        self._next_row = (self._next_row + 1) % rows
        return self._average @ self._recent, velocity

    def _needed_s(self, way_rad: Array, speed_share: float) -> float:
        return float((np.abs(way_rad) / (speed_share * self._speed_rad_s)).max())

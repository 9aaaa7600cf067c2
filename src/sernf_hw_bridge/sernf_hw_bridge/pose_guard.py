"""Whether the robot may go on from a pose: asks a pose checker about it and about the way to the standstill behind it.

A robot that starts in a pose that the checker objects to must have a way out: what is violated at the seed is tolerated as long
as it does not get deeper, and once it has got shallower it may not get deeper again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from sernf_hw_bridge.trajectories import Array, BrakingPlan

PoseCheck = Callable[[Array], Mapping[str, float]]
"""Violations of a pose (n,), rad: name, as it is reported in `clipped`, to depth in metres (> 0); empty for a good pose.

A checker should keep `PATH_MARGIN_M` more distance than is needed. It may have an attribute `reach_m`, (chains, n): how far
points of each kinematic chain move at most per radian of each joint; without it one chain and 1 m is assumed for all.
"""

PATH_MARGIN_M = 0.003
"""Between two checked poses of a path, the robot comes at most this much nearer to anything than at the two."""
BEND_M = PATH_MARGIN_M / 2.0
"""For each of the two reasons why the way between two poses is not straight."""
DEPTH_ROUNDING_M = 1e-6


def no_pose_check(_position_rad: Array) -> Mapping[str, float]:
    """A pose checker without objections, for robots and tests without a geometric model."""
    return {}


class PoseGuard:
    """Asks `pose_check` about the next pose, the stop and, if that is far, poses on the way; remembers what is tolerated."""

    def __init__(self, pose_check: PoseCheck, braking_rad_s2: Array) -> None:
        """`braking_rad_s2`: (n,), how hard the joints brake."""
        self._check = pose_check
        reach_m: Array = np.asarray(getattr(pose_check, "reach_m", np.ones((1, braking_rad_s2.size))))
        # On an arc a point leaves its line by at most (sum of sqrt(reach) * way)^2 / 8 ...
        self._arcs_per_rad: Array = np.sqrt(reach_m / (8.0 * BEND_M))
        # ... and because joints come to rest at different times, by at most the sum of reach * braking * time^2 / 8.
        self._bends_per_s2: Array = reach_m * braking_rad_s2 / (8.0 * BEND_M)
        self._tolerated_m: dict[str, float] = {}
        self._depths_m: dict[str, float] = {}

    def seed(self, position_rad: Array) -> None:
        """Tolerate what is violated at `position_rad`."""
        self._tolerated_m = dict(self._check(position_rad))

    def objections(self, position_rad: Array, plan: BrakingPlan) -> tuple[str, ...]:
        """What is violated, beyond what is tolerated, at `position_rad` or on the `plan` that begins there; empty if nothing."""
        self._depths_m = {}
        for pose in (*plan.poses_until_stop(self._arcs_per_rad, self._bends_per_s2), position_rad):
            objections = self._objections_at(pose)
            if objections:
                return objections
        return ()

    def accept(self) -> None:
        """The robot goes where `objections` found none: what has got better stays better."""
        if self._tolerated_m:
            depths = self._depths_m
            self._tolerated_m = {
                name: min(tolerated, depths[name]) for name, tolerated in self._tolerated_m.items() if name in depths
            }

    def _objections_at(self, position_rad: Array) -> tuple[str, ...]:
        violations = self._check(position_rad)
        if not violations:
            return ()
        for name, depth_m in violations.items():
            self._depths_m[name] = max(depth_m, self._depths_m.get(name, 0.0))
        return tuple(
            name
            for name, depth_m in violations.items()
            if not depth_m <= self._tolerated_m.get(name, 0.0) + DEPTH_ROUNDING_M  # NaN is an objection
        )

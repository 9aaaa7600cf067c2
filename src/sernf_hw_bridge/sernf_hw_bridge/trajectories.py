"""Jerk-limited trajectories through Ruckig: towards a moving target, and to a standstill.

Every joint moves by itself (no synchronisation), so a stop is as short as each joint allows. Between two calls position, velocity
and acceleration are continuous and the jerk is bounded; therefore the first three finite differences of positions sampled at a
fixed period are bounded by the limits too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import ruckig
from numpy.typing import NDArray

from sernf_hw_bridge.limits import Limits

Array = NDArray[np.float64]

PLANNING_FRACTION = 0.999
"""Trajectories use this fraction of each limit, so that rounding never reaches the limit itself."""


@dataclass(frozen=True)
class MotionState:
    """Commanded motion of n joints at one instant: `position_rad`, `velocity_rad_s`, `acceleration_rad_s2`, each (n,)."""

    position_rad: Array
    velocity_rad_s: Array
    acceleration_rad_s2: Array

    @classmethod
    def at_rest(cls, position_rad: Array) -> MotionState:
        return cls(position_rad.copy(), np.zeros_like(position_rad), np.zeros_like(position_rad))


class BrakingPlan:
    """The way to a standstill that starts at one motion state, and how far along it the robot is (`elapsed_s`)."""

    def __init__(self, joints: int) -> None:
        self._trajectory = ruckig.Trajectory(joints)
        self.elapsed_s = 0.0
        self.stop_position_rad: Array = np.zeros(joints)
        self.min_position_rad: Array = np.zeros(joints)
        self.max_position_rad: Array = np.zeros(joints)

    @property
    def duration_s(self) -> float:
        return float(self._trajectory.duration)

    def state_at(self, time_s: float) -> MotionState:
        """State `time_s` after the plan's start; at and after its end: exactly at rest at the stop position."""
        if time_s >= self.duration_s:
            return MotionState.at_rest(self.stop_position_rad)
        position, velocity, acceleration = self._trajectory.at_time(time_s)
        return MotionState(np.array(position), np.array(velocity), np.array(acceleration))

    def poses_until_stop(self, resolution_rad: float, most: int) -> list[Array]:
        """Poses along the plan, at most `most`, so that no joint moves much more than `resolution_rad` between two; last: the stop."""
        start = self._trajectory.at_time(0.0)[0]
        distance = float(np.abs(self.stop_position_rad - start).max())
        count = min(most, 1 + int(distance / resolution_rad))
        between = [np.array(self._trajectory.at_time(self.duration_s * step / count)[0]) for step in range(1, count)]
        return [*between, self.stop_position_rad]

    def compute(self, planner: ruckig.Ruckig, problem: ruckig.InputParameter) -> bool:
        """Fill this plan with the solution of `problem`; False when there is none."""
        try:
            result = planner.calculate(problem, self._trajectory)
        except ruckig.RuckigError:
            return False
        if result not in (ruckig.Result.Working, ruckig.Result.Finished):
            return False
        self.elapsed_s = 0.0
        self.stop_position_rad = np.array(self._trajectory.at_time(self.duration_s)[0])
        extrema = self._trajectory.position_extrema
        self.min_position_rad = np.array([bound.min for bound in extrema])
        self.max_position_rad = np.array([bound.max for bound in extrema])
        return bool(np.isfinite(self.stop_position_rad).all())


class Planner:
    """Ruckig's two problems for n joints, set up once."""

    def __init__(self, limits: Limits, period_s: float) -> None:
        joints = len(limits.joint_names)
        self.period_s = period_s
        self.velocity_rad_s: Array = limits.velocity_rad_s * PLANNING_FRACTION
        self.acceleration_rad_s2: Array = limits.acceleration_rad_s2 * PLANNING_FRACTION
        self.jerk_rad_s3: Array = limits.jerk_rad_s3 * PLANNING_FRACTION
        self._ruckig = ruckig.Ruckig(joints, period_s)
        self._trajectory = ruckig.Trajectory(joints)
        self._track = self._problem(joints, ruckig.ControlInterface.Position)
        self._brake = self._problem(joints, ruckig.ControlInterface.Velocity)

    def _problem(self, joints: int, interface: ruckig.ControlInterface) -> ruckig.InputParameter:
        problem = ruckig.InputParameter(joints)
        problem.control_interface = interface
        problem.synchronization = ruckig.Synchronization.No
        problem.max_velocity = self.velocity_rad_s.tolist()
        problem.max_acceleration = self.acceleration_rad_s2.tolist()
        problem.max_jerk = self.jerk_rad_s3.tolist()
        problem.target_velocity = [0.0] * joints
        problem.target_acceleration = [0.0] * joints
        return problem

    def track(self, state: MotionState, target_position_rad: Array, target_velocity_rad_s: Array) -> MotionState | None:
        """State one period later on the fastest way to the target, which is met with its velocity; None without a solution."""
        problem = self._track
        _start_from(problem, state)
        problem.target_position = target_position_rad.tolist()
        problem.target_velocity = target_velocity_rad_s.tolist()
        try:
            result = self._ruckig.calculate(problem, self._trajectory)
        except ruckig.RuckigError:
            return None
        if result not in (ruckig.Result.Working, ruckig.Result.Finished):
            return None
        position, velocity, acceleration = self._trajectory.at_time(self.period_s)
        return MotionState(np.array(position), np.array(velocity), np.array(acceleration))

    def brake(self, state: MotionState, plan: BrakingPlan) -> bool:
        """Fill `plan` with the fastest way from `state` to a standstill; False without a solution."""
        _start_from(self._brake, state)
        return plan.compute(self._ruckig, self._brake)


def _start_from(problem: ruckig.InputParameter, state: MotionState) -> None:
    problem.current_position = state.position_rad.tolist()
    problem.current_velocity = state.velocity_rad_s.tolist()
    problem.current_acceleration = state.acceleration_rad_s2.tolist()

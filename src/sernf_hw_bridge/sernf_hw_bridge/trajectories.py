"""Jerk-limited trajectories through Ruckig: towards a moving target, and to a standstill.

Every joint moves by itself (no synchronisation), so a stop is as short as each joint allows. Between two calls position, velocity
and acceleration are continuous and the jerk is bounded; therefore the first three finite differences of positions sampled at a
fixed period are bounded by the limits too.
"""

from __future__ import annotations

import math

import numpy as np
import ruckig
from numpy.typing import NDArray

from sernf_robot.limits import Limits

Array = NDArray[np.float64]

STANDING_RAD = 1e-5
"""A joint whose way is shorter counts as standing."""
PLANNING_FRACTION = 0.999
"""Trajectories use this fraction of each limit, so that rounding never reaches the limit itself."""
_SOLVED = (ruckig.Result.Working, ruckig.Result.Finished)


class MotionState:
    """Motion of n joints at one instant. `values`: (3, n), positions (rad), velocities (rad/s), accelerations (rad/s2)."""

    __slots__ = ("values",)

    def __init__(self, values: Array) -> None:
        self.values = values

    @classmethod
    def at_rest(cls, position_rad: Array) -> MotionState:
        values = np.zeros((3, len(position_rad)))
        values[0] = position_rad
        return cls(values)

    @property
    def position_rad(self) -> Array:
        position: Array = self.values[0]
        return position

    @property
    def velocity_rad_s(self) -> Array:
        velocity: Array = self.values[1]
        return velocity

    @property
    def acceleration_rad_s2(self) -> Array:
        acceleration: Array = self.values[2]
        return acceleration


class BrakingPlan:
    """The way to a standstill that starts at one motion state, and how far along it the robot is (`elapsed_s`)."""

    def __init__(self, joints: int, jerk_rad_s3: Array) -> None:
        self._trajectory = ruckig.Trajectory(joints)
        self._jerk_rad_s3 = jerk_rad_s3
        self.elapsed_s = 0.0
        self.duration_s = 0.0
        self.stop_position_rad: Array = np.zeros(joints)
        self.extreme_positions_rad: Array = np.zeros((2, joints))
        """(2, n): each joint's least and greatest position on the way."""

    def state_at(self, time_s: float) -> MotionState:
        """State `time_s` after the plan's start; at and after its end: exactly at rest at the stop position."""
        if time_s >= self.duration_s:
            return MotionState.at_rest(self.stop_position_rad)
        return MotionState(np.array(self._trajectory.at_time(time_s)))

    def poses_until_stop(self, arcs_per_rad: Array, bends_per_s2: Array) -> list[Array]:
        """The stop and as many poses before it as keep the way between two of them near the straight line; empty at rest.

        A point leaves its line for two reasons: joints turn it on an arc, which asks for `arcs_per_rad` (m, n) parts of the way,
        and joints come to rest at different times, which asks for sqrt(`bends_per_s2` (m, n)) parts of the time; see PoseGuard.
        """
        if self.duration_s == 0.0:
            return []
        way = self.extreme_positions_rad[1] - self.extreme_positions_rad[0]
        arcs = float(np.maximum.reduce(arcs_per_rad @ way))
        bends = self.duration_s * math.sqrt(np.maximum.reduce(bends_per_s2 @ (way > STANDING_RAD)))
        count = 1 + int(max(arcs, bends))
        # While braking evenly, the share s of the way is done after 1 - sqrt(1 - s) of the time.
        times_s = [self.duration_s * (1.0 - math.sqrt(1.0 - number / count)) for number in range(1, count)]
        return [self.stop_position_rad, *(np.array(self._trajectory.at_time(time_s)[0]) for time_s in times_s)]

    def compute(self, planner: ruckig.Ruckig, problem: ruckig.InputParameter, start: MotionState) -> bool:
        """Fill this plan with the solution of `problem`, which begins at `start`; False when there is none."""
        try:
            result = planner.calculate(problem, self._trajectory)
        except ruckig.RuckigError:
            return False
        if result not in _SOLVED:
            return False
        self.elapsed_s = 0.0
        self.duration_s = float(self._trajectory.duration)
        self.stop_position_rad = np.array(self._trajectory.at_time(self.duration_s)[0])
        turn = _turning_position(start, self._jerk_rad_s3)
        np.minimum(start.position_rad, self.stop_position_rad, out=self.extreme_positions_rad[0])
        np.maximum(start.position_rad, self.stop_position_rad, out=self.extreme_positions_rad[1])
        if turn is not None:
            np.minimum(turn, self.extreme_positions_rad[0], out=self.extreme_positions_rad[0])
            np.maximum(turn, self.extreme_positions_rad[1], out=self.extreme_positions_rad[1])
        return True


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
        if result not in _SOLVED:
            return None
        return MotionState(np.array(self._trajectory.at_time(self.period_s)))

    def brake(self, state: MotionState, plan: BrakingPlan) -> bool:
        """Fill `plan` with the fastest way from `state` to a standstill; False without a solution."""
        _start_from(self._brake, state)
        return plan.compute(self._ruckig, self._brake, state)


def _start_from(problem: ruckig.InputParameter, state: MotionState) -> None:
    problem.current_position, problem.current_velocity, problem.current_acceleration = state.values.tolist()


def _turning_position(start: MotionState, jerk_rad_s3: Array) -> Array | None:
    """Where each joint turns round while it brakes, (n,) rad, its start if it does not; None if none does.

    A joint turns when its deceleration a, taken back with jerk j, is more than it needs, a^2 > 2 j v: at v - a t + j t^2 / 2 = 0.
    (Ruckig's own extrema of a plan without a target position always include position zero.)
    """
    position, velocity, acceleration = start.values
    # The same multiplied by v, negative where the acceleration slows the joint down.
    turns = velocity * acceleration * np.abs(acceleration) < -2.0 * jerk_rad_s3 * velocity * velocity
    if not np.logical_or.reduce(turns):
        return None
    sign = np.sign(velocity)
    speed, deceleration = np.abs(velocity), np.abs(acceleration)
    root = np.sqrt(np.maximum(deceleration**2 - 2.0 * jerk_rad_s3 * speed, 0.0))
    time_s = np.where(turns, (deceleration - root) / jerk_rad_s3, 0.0)
    turning: Array = position + sign * time_s * (speed + time_s * (time_s * jerk_rad_s3 / 6.0 - deceleration / 2.0))
    return turning

"""The safety filter: no position reaches a motor except through here.

The filter always holds a *verified braking plan*: a way from the present commanded state to a standstill along which every limit
holds, and on which the pose checker finds nothing. Each tick it plans one step towards the target and computes the braking plan
from there. Only if the step and that plan pass every check does the robot take the step; otherwise the joints concerned take
one step along the plan that was verified before, and `FilterStep.clipped` says why. So, by induction, whatever targets come in,
the robot stays within its limits and can always stop within them.

A robot that is switched on outside of its limits must have a way out: `seed` accepts any finite pose. A violation that is there
at the seed is tolerated as long as it does not grow, and once it has shrunk it may not grow back.

The filter fails by braking: a target that is not finite or a planner without a solution is answered by a step along the plan.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sernf_hw_bridge.pose_guard import PoseCheck, PoseGuard, no_pose_check
from sernf_hw_bridge.trajectories import Array, BrakingPlan, MotionState, Planner
from sernf_robot.limits import Limits

Mask = NDArray[np.bool_]

_and = np.logical_and.reduce
"""`all` of a small array, without the detour through numpy's Python."""

TARGET_MARGIN_RAD = 1e-6
"""Targets are clipped this far inside the position limits, so that reaching one never counts as leaving the range."""
POSITION_ROUNDING_RAD = 1e-9
LIMIT_ROUNDING = 1e-6
"""Relative; the planner uses 0.999 of the limits, so a step that needs this tolerance is already wrong."""
RETRY_PERIOD_S = 0.05
"""A group of joints that was stopped by the pose checker stays at rest for so long before the next attempt: no chattering."""


class FilterStep(NamedTuple):
    """Result of one tick: the state to write, and what the filter changed, e.g. "position:fr3_joint4", "self_collision"."""

    state: MotionState
    clipped: tuple[str, ...]


class SafetyFilter:
    """Limits of n joints at a fixed period. `groups` ((m,) joint indices each) stop separately when the pose checker objects."""

    def __init__(
        self, limits: Limits, period_s: float, pose_check: PoseCheck = no_pose_check, groups: Sequence[Sequence[int]] = ()
    ) -> None:
        joints = len(limits.joint_names)
        self.limits = limits
        self.period_s = period_s
        self._planner = Planner(limits, period_s)
        self._guard = PoseGuard(pose_check, self._planner.acceleration_rad_s2)
        self._plan = BrakingPlan(joints, self._planner.jerk_rad_s3)
        self._spare_plan = BrakingPlan(joints, self._planner.jerk_rad_s3)
        self._groups = [_mask(joints, group) for group in groups if 0 < len(group) < joints]
        self._everything = np.ones(joints, dtype=bool)
        self._nothing = np.zeros(joints, dtype=bool)
        velocity, acceleration = limits.velocity_rad_s, limits.acceleration_rad_s2
        differences = [velocity * period_s, acceleration * period_s**2, limits.jerk_rad_s3 * period_s**3]
        self._row_limits = (1.0 + LIMIT_ROUNDING) * np.array([*differences, velocity, acceleration, velocity])
        self._rows = np.zeros((6, joints))
        self._ones = np.ones(joints)
        self._settling = 0.5 / self._planner.jerk_rad_s3
        self._target_low = limits.position_min_rad + TARGET_MARGIN_RAD
        self._target_high = limits.position_max_rad - TARGET_MARGIN_RAD
        self._stoppable = _StoppableVelocity(limits, self._planner)
        self._retry_ticks = max(1, round(RETRY_PERIOD_S / period_s))
        self._state: MotionState | None = None

    def seed(self, position_rad: Array) -> None:
        """Start at rest at `position_rad`, (n,) rad, normally the measured pose. Raises ValueError unless finite and (n,)."""
        position_rad = np.asarray(position_rad, dtype=np.float64)
        joints = len(self.limits.joint_names)
        if position_rad.shape != (joints,) or not np.isfinite(position_rad).all():
            raise ValueError(
                f"cannot seed the safety filter: expected {joints} finite joint positions in rad, got {position_rad}"
            )
        state = MotionState.at_rest(position_rad)
        if not self._planner.brake(state, self._plan):
            raise ValueError(f"cannot seed the safety filter: no braking plan from rest at {position_rad}")
        self._state = state
        self._lower = np.minimum(self.limits.position_min_rad, position_rad) - POSITION_ROUNDING_RAD
        self._upper = np.maximum(self.limits.position_max_rad, position_rad) + POSITION_ROUNDING_RAD
        limits = self.limits
        self._seeded_outside = bool(((position_rad < limits.position_min_rad) | (position_rad > limits.position_max_rad)).any())
        self._guard.seed(position_rad)
        self._first_difference = np.zeros(joints)
        self._second_difference = np.zeros(joints)
        self._blocked = self._nothing
        self._blocked_by: tuple[str, ...] = ()
        self._blocked_ticks = 0

    @property
    def state(self) -> MotionState:
        """The present commanded state. Raises RuntimeError before the first `seed`."""
        if self._state is None:
            raise RuntimeError("the safety filter has no state yet: call seed with the measured pose first")
        return self._state

    @property
    def moving(self) -> bool:
        """Whether the commanded pose still changes."""
        return self._plan.elapsed_s < self._plan.duration_s

    def brake(self) -> FilterStep:
        """One step along the verified braking plan; at its end the robot stands and stays."""
        state = self._next_on_plan()
        self._plan.elapsed_s = min(self._plan.elapsed_s + self.period_s, self._plan.duration_s)
        self._remember(state)
        return FilterStep(state, ())

    def step(self, target_position_rad: Array, target_velocity_rad_s: Array) -> FilterStep:
        """One step towards a target that is to be met at `target_velocity_rad_s`; both (n,). Any numbers may come in."""
        # A sum is finite only if every part is; so small an array makes `isfinite().all()` the dearer test.
        if not (math.isfinite(target_position_rad @ self._ones) and math.isfinite(target_velocity_rad_s @ self._ones)):
            return FilterStep(self.brake().state, ("not_finite",))
        target, clipped = self._clip_position(target_position_rad)
        wanted = self._planner.track(self.state, target, self._stoppable.clip(target, target_velocity_rad_s))
        if wanted is None:
            return FilterStep(self.brake().state, (*clipped, "no_trajectory"))
        return self._take_the_best(wanted, clipped)

    def _take_the_best(self, wanted: MotionState, clipped: list[str]) -> FilterStep:
        """Take `wanted` where all checks pass, with as few joints as possible on the old plan instead."""
        start = self._blocked if self._still_blocked() else self._nothing
        offenders = self._offenders(wanted)
        if offenders is not self._nothing:
            offenders = offenders & ~start
            clipped.extend(f"motion:{self.limits.joint_names[index]}" for index in np.flatnonzero(offenders))
        refused: tuple[str, ...] = self._blocked_by if start is not self._nothing else ()
        for stopped in self._alternatives(start):
            candidate, offenders = self._within_range(wanted, stopped, offenders, clipped)
            if candidate is None:
                continue
            objections = self._guard.objections(candidate.position_rad, self._spare_plan)
            if objections:
                refused = tuple(dict.fromkeys((*refused, *objections)))
                continue
            self._block(stopped, start, refused)
            self._accept(candidate)
            return FilterStep(candidate, (*clipped, *refused))
        self._block(self._everything, start, refused)
        return FilterStep(self.brake().state, (*clipped, *refused))

    def _within_range(
        self, wanted: MotionState, stopped: Mask, offenders: Mask, clipped: list[str]
    ) -> tuple[MotionState | None, Mask]:
        """`wanted`, with the joints `stopped`, `offenders` and those that could not stop within their range on the old plan.

        Fills the spare plan from there. Returns None without a solution, and the offenders found until then.
        """
        for _attempt in range(2):
            candidate = self._mixed(wanted, stopped, offenders)
            if not self._planner.brake(candidate, self._spare_plan):
                return None, offenders
            outside = self._leaves_range()
            if outside is self._nothing:
                return candidate, offenders
            outside &= ~(stopped | offenders)
            clipped.extend(f"stop_distance:{self.limits.joint_names[index]}" for index in np.flatnonzero(outside))
            offenders = offenders | outside
        return None, offenders

    def _alternatives(self, start: Mask) -> Iterator[Mask]:
        """Sets of joints to stop, from `start` upwards; the last resort, all of them, needs no check and is not listed."""
        yield start
        for group in self._groups:
            if not (group <= start).all() and not (start | group).all():
                yield start | group

    def _offenders(self, wanted: MotionState) -> Mask:
        """Joints whose step would break a limit of velocity, acceleration or jerk: a second opinion on the planner."""
        rows = self._rows
        np.subtract(wanted.values[0], self.state.values[0], out=rows[0])
        np.subtract(rows[0], self._first_difference, out=rows[1])
        np.subtract(rows[1], self._second_difference, out=rows[2])
        rows[3:5] = wanted.values[1:]
        # The velocity that is reached while the acceleration is taken back.
        np.abs(rows[4], out=rows[5])
        rows[5] *= rows[4]
        rows[5] *= self._settling
        rows[5] += rows[3]
        good: Mask = np.abs(rows) <= self._row_limits  # NaN is not good
        if _and(good, axis=None):
            return self._nothing
        bad: Mask = np.logical_not(good.all(axis=0))
        return bad

    def _leaves_range(self) -> Mask:
        """Joints that leave their range somewhere on the spare plan, or whose way is not a number."""
        extremes = self._spare_plan.extreme_positions_rad
        inside: Mask = (extremes[0] >= self._lower) & (extremes[1] <= self._upper)
        return self._nothing if _and(inside) else ~inside

    def _accept(self, candidate: MotionState) -> None:
        self._plan, self._spare_plan = self._spare_plan, self._plan
        self._remember(candidate)
        # What has got better stays better: violations present at the seed shrink to nothing and then are ordinary limits.
        if self._seeded_outside:
            least, greatest = self._plan.extreme_positions_rad
            lowest, highest = self.limits.position_min_rad, self.limits.position_max_rad
            self._lower = np.minimum(lowest - POSITION_ROUNDING_RAD, np.maximum(self._lower, least - POSITION_ROUNDING_RAD))
            self._upper = np.maximum(highest + POSITION_ROUNDING_RAD, np.minimum(self._upper, greatest + POSITION_ROUNDING_RAD))
        self._guard.accept()

    def _still_blocked(self) -> bool:
        """Whether joints that the pose checker stopped are to rest on: until they stand, and then for the retry period."""
        if self._blocked_ticks == 0:
            return False
        if not self.state.velocity_rad_s[self._blocked].any():
            self._blocked_ticks -= 1
        return self._blocked_ticks > 0

    def _block(self, stopped: Mask, before: Mask, refused: tuple[str, ...]) -> None:
        if stopped is before:
            if before is self._nothing:
                self._blocked_ticks = 0
            return
        self._blocked, self._blocked_by, self._blocked_ticks = stopped, refused, self._retry_ticks

    def _clip_position(self, target_rad: Array) -> tuple[Array, list[str]]:
        inside: Array = np.minimum(np.maximum(target_rad, self._target_low), self._target_high)
        change = inside - target_rad
        if change @ change <= TARGET_MARGIN_RAD:
            return inside, []
        changed = np.flatnonzero(np.abs(change) > 2.0 * TARGET_MARGIN_RAD)
        return inside, [f"position:{self.limits.joint_names[index]}" for index in changed]

    def _next_on_plan(self) -> MotionState:
        self.state  # noqa: B018 - raises before the first seed
        return self._plan.state_at(self._plan.elapsed_s + self.period_s)

    def _mixed(self, wanted: MotionState, stopped: Mask, offenders: Mask) -> MotionState:
        """`wanted`, but the verified plan's next step for the joints `stopped` and `offenders`."""
        if stopped is self._nothing and offenders is self._nothing:
            return wanted
        return MotionState(np.where(stopped | offenders, self._next_on_plan().values, wanted.values))

    def _remember(self, state: MotionState) -> None:
        first_difference = state.values[0] - self.state.values[0]
        self._second_difference = first_difference - self._first_difference
        self._first_difference = first_difference
        self._state = state


def _mask(joints: int, indices: Sequence[int]) -> Mask:
    mask = np.zeros(joints, dtype=bool)
    mask[list(indices)] = True
    return mask


class _StoppableVelocity:
    """With which velocity a target may be met such that the joint can still stop within its range."""

    def __init__(self, limits: Limits, planner: Planner) -> None:
        # From rest of the way s: v = sqrt((a^2 / 2j)^2 + 2 a s) - a^2 / 2j, upwards in row 0 and downwards in row 1.
        acceleration = planner.acceleration_rad_s2
        self._build_up = 0.5 * acceleration**2 / planner.jerk_rad_s3
        ends = np.stack((limits.position_max_rad, -limits.position_min_rad))
        self._offset = self._build_up**2 + 2.0 * acceleration * ends
        self._slope = 2.0 * acceleration * np.array([[1.0], [-1.0]])
        self._most = planner.velocity_rad_s * 0.999

    def clip(self, target_rad: Array, velocity_rad_s: Array) -> Array:
        """`velocity_rad_s` within what is possible at `target_rad`, which lies within the range."""
        bound = np.sqrt(self._offset - self._slope * target_rad)
        bound -= self._build_up
        np.minimum(bound, self._most, out=bound)
        clipped: Array = np.minimum(np.maximum(velocity_rad_s, -bound[1]), bound[0])
        return clipped

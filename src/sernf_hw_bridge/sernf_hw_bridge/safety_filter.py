"""The safety filter: no position reaches a motor except through here.

The filter always holds a *verified braking plan*: a way from the present commanded state to a standstill along which every limit
holds, and along which the pose checker finds nothing. Each tick it plans one step towards the target and computes the braking plan
from there. Only if the step and that plan pass every check does the robot take the step; otherwise the joints concerned take one
step along the plan that was verified before, and `FilterStep.clipped` says why. So, by induction, whatever targets come in, the
robot stays within its limits and can always stop within them.

A robot that is switched on outside of its limits, or in a pose that the checker objects to, must have a way out: `seed` accepts
any finite pose. A violation that is there at the seed is tolerated as long as it does not grow, and once it has shrunk it may not
grow back.

The filter fails by braking: a target that is not finite or a planner without a solution is answered by a step along the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sernf_hw_bridge.limits import Limits
from sernf_hw_bridge.trajectories import Array, BrakingPlan, MotionState, Planner

Mask = NDArray[np.bool_]

PoseCheck = Callable[[Array], Mapping[str, float]]
"""Violations of a pose (n,), rad: name, as it is reported in `clipped`, to depth in metres (> 0); empty for a good pose."""

TARGET_MARGIN_RAD = 1e-6
"""Targets are clipped this far inside the position limits, so that reaching one never counts as leaving the range."""
POSITION_ROUNDING_RAD = 1e-9
DEPTH_ROUNDING_M = 1e-6
LIMIT_ROUNDING = 1e-6
"""Relative; the planner uses 0.999 of the limits, so a step that needs this tolerance is already wrong."""
PATH_RESOLUTION_RAD = 0.1
PATH_POSES = 4
RETRY_PERIOD_S = 0.05
"""A group of joints that was stopped by the pose checker stays at rest for so long before the next attempt: no chattering."""


@dataclass(frozen=True)
class FilterStep:
    """Result of one tick: the state to write, and what the filter changed, e.g. "position:fr3_joint4", "self_collision"."""

    state: MotionState
    clipped: tuple[str, ...]


def no_pose_check(_position_rad: Array) -> Mapping[str, float]:
    """A pose checker without objections, for robots and tests without a geometric model."""
    return {}


class SafetyFilter:
    """Limits of n joints at a fixed period. `groups` ((m,) joint indices each) stop separately when the pose checker objects."""

    def __init__(
        self, limits: Limits, period_s: float, pose_check: PoseCheck = no_pose_check, groups: Sequence[Sequence[int]] = ()
    ) -> None:
        joints = len(limits.joint_names)
        self.limits = limits
        self.period_s = period_s
        self._pose_check = pose_check
        self._planner = Planner(limits, period_s)
        self._plan = BrakingPlan(joints)
        self._spare_plan = BrakingPlan(joints)
        self._groups = [_mask(joints, group) for group in groups if 0 < len(group) < joints]
        self._everything = np.ones(joints, dtype=bool)
        self._nothing = np.zeros(joints, dtype=bool)
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
        self._lower = np.minimum(self.limits.position_min_rad, position_rad)
        self._upper = np.maximum(self.limits.position_max_rad, position_rad)
        self._allowed_depth_m = dict(self._pose_check(position_rad))
        self._difference_velocity = np.zeros(joints)
        self._difference_acceleration = np.zeros(joints)
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
        if not (np.isfinite(target_position_rad).all() and np.isfinite(target_velocity_rad_s).all()):
            return FilterStep(self.brake().state, ("not_finite",))
        target, clipped = self._clip_position(target_position_rad)
        wanted = self._planner.track(self.state, target, self._clip_velocity(target, target_velocity_rad_s))
        if wanted is None:
            return FilterStep(self.brake().state, (*clipped, "no_trajectory"))
        return self._take_the_best(wanted, clipped)

    def _take_the_best(self, wanted: MotionState, clipped: list[str]) -> FilterStep:
        """Take `wanted` where all checks pass, with as few joints as possible on the old plan instead."""
        braking = self._next_on_plan()
        start = self._blocked if self._still_blocked() else self._nothing
        offenders = self._offenders(wanted) & ~start
        for index in np.flatnonzero(offenders):
            clipped.append(f"motion:{self.limits.joint_names[index]}")
        refused: tuple[str, ...] = self._blocked_by if start is not self._nothing else ()
        for stopped in self._alternatives(start):
            on_plan = stopped | offenders
            candidate = _mixed(wanted, braking, on_plan)
            if not self._planner.brake(candidate, self._spare_plan):
                continue
            outside = self._leaves_range() & ~on_plan
            if outside.any():
                for index in np.flatnonzero(outside):
                    clipped.append(f"stop_distance:{self.limits.joint_names[index]}")
                offenders = offenders | outside
                on_plan = on_plan | outside
                candidate = _mixed(wanted, braking, on_plan)
                if not self._planner.brake(candidate, self._spare_plan):
                    continue
            if self._leaves_range().any():
                continue
            depths, objections = self._pose_objections(candidate)
            if objections:
                refused = tuple(dict.fromkeys((*refused, *objections)))
                continue
            self._block(stopped, start, refused)
            self._accept(candidate, depths)
            return FilterStep(candidate, (*clipped, *refused))
        self._block(self._everything, start, refused)
        return FilterStep(self.brake().state, (*clipped, *refused))

    def _alternatives(self, start: Mask) -> list[Mask]:
        """Sets of joints to stop, from `start` upwards; the last resort, all of them, needs no check and is not listed."""
        return [start, *(start | group for group in self._groups if not (group <= start).all() and not (start | group).all())]

    def _offenders(self, wanted: MotionState) -> Mask:
        """Joints whose step would break a limit of velocity, acceleration or jerk: a second opinion on the planner."""
        limits = self.limits
        velocity = (wanted.position_rad - self.state.position_rad) / self.period_s
        acceleration = (velocity - self._difference_velocity) / self.period_s
        jerk = (acceleration - self._difference_acceleration) / self.period_s
        settling = np.abs(wanted.acceleration_rad_s2) * wanted.acceleration_rad_s2 / (2.0 * self._planner.jerk_rad_s3)
        tolerance = 1.0 + LIMIT_ROUNDING
        bad: Mask = ~(  # negated, so that NaN offends
            (np.abs(velocity) <= limits.velocity_rad_s * tolerance)
            & (np.abs(acceleration) <= limits.acceleration_rad_s2 * tolerance)
            & (np.abs(jerk) <= limits.jerk_rad_s3 * tolerance)
            & (np.abs(wanted.velocity_rad_s) <= limits.velocity_rad_s * tolerance)
            & (np.abs(wanted.acceleration_rad_s2) <= limits.acceleration_rad_s2 * tolerance)
            & (np.abs(wanted.velocity_rad_s + settling) <= limits.velocity_rad_s * tolerance)
        )
        return bad

    def _leaves_range(self) -> Mask:
        """Joints that leave their range somewhere on the spare plan."""
        plan = self._spare_plan
        outside: Mask = ~(
            (plan.min_position_rad >= self._lower - POSITION_ROUNDING_RAD)
            & (plan.max_position_rad <= self._upper + POSITION_ROUNDING_RAD)
        )
        return outside

    def _pose_objections(self, candidate: MotionState) -> tuple[dict[str, float], tuple[str, ...]]:
        """Check the candidate's pose and those until the stop; what is deeper than allowed, and the greatest depth of each."""
        deepest: dict[str, float] = {}
        poses = [candidate.position_rad]
        if self._spare_plan.duration_s > 0.0:
            poses = [*self._spare_plan.poses_until_stop(PATH_RESOLUTION_RAD, PATH_POSES), *poses]
        for pose in poses:
            for name, depth_m in self._pose_check(pose).items():
                deepest[name] = max(depth_m, deepest.get(name, 0.0))
            objections = tuple(
                name
                for name, depth_m in deepest.items()
                if not depth_m <= self._allowed_depth_m.get(name, 0.0) + DEPTH_ROUNDING_M
            )
            if objections:
                return deepest, objections
        return deepest, ()

    def _accept(self, candidate: MotionState, depths: dict[str, float]) -> None:
        self._plan, self._spare_plan = self._spare_plan, self._plan
        self._remember(candidate)
        # What has got better stays better: violations present at the seed shrink to nothing and then are ordinary limits.
        self._lower = np.minimum(self.limits.position_min_rad, np.maximum(self._lower, self._plan.min_position_rad))
        self._upper = np.maximum(self.limits.position_max_rad, np.minimum(self._upper, self._plan.max_position_rad))
        if self._allowed_depth_m:
            self._allowed_depth_m = {
                name: min(allowed, depths[name]) for name, allowed in self._allowed_depth_m.items() if name in depths
            }

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
        inside: Array = np.clip(
            target_rad, self.limits.position_min_rad + TARGET_MARGIN_RAD, self.limits.position_max_rad - TARGET_MARGIN_RAD
        )
        changed = np.abs(inside - target_rad) > 2.0 * TARGET_MARGIN_RAD
        if not changed.any():
            return inside, []
        return inside, [f"position:{self.limits.joint_names[index]}" for index in np.flatnonzero(changed)]

    def _clip_velocity(self, target_rad: Array, velocity_rad_s: Array) -> Array:
        """Velocity with which the target may be met such that the joint can still stop within its range."""
        ahead = np.where(velocity_rad_s > 0, self.limits.position_max_rad - target_rad, target_rad - self.limits.position_min_rad)
        acceleration = self._planner.acceleration_rad_s2
        build_up_s = acceleration / self._planner.jerk_rad_s3
        stoppable = acceleration * (
            np.sqrt(0.25 * build_up_s**2 + 2.0 * np.maximum(ahead, 0.0) / acceleration) - 0.5 * build_up_s
        )
        bound = np.minimum(stoppable, self._planner.velocity_rad_s * 0.999)
        clipped: Array = np.clip(velocity_rad_s, -bound, bound)
        return clipped

    def _next_on_plan(self) -> MotionState:
        self.state  # noqa: B018 - raises before the first seed
        return self._plan.state_at(self._plan.elapsed_s + self.period_s)

    def _remember(self, state: MotionState) -> None:
        velocity = (state.position_rad - self.state.position_rad) / self.period_s
        self._difference_acceleration = (velocity - self._difference_velocity) / self.period_s
        self._difference_velocity = velocity
        self._state = state


def _mask(joints: int, indices: Sequence[int]) -> Mask:
    mask = np.zeros(joints, dtype=bool)
    mask[list(indices)] = True
    return mask


def _mixed(wanted: MotionState, braking: MotionState, on_plan: Mask) -> MotionState:
    """`wanted`, but `braking` for the joints `on_plan`."""
    if not on_plan.any():
        return wanted
    return MotionState(
        np.where(on_plan, braking.position_rad, wanted.position_rad),
        np.where(on_plan, braking.velocity_rad_s, wanted.velocity_rad_s),
        np.where(on_plan, braking.acceleration_rad_s2, wanted.acceleration_rad_s2),
    )

"""The control loop without ROS: read, arbitrate, interpolate, filter, write, once per `tick`.

One thread calls everything. Whatever happens is a mode change, never an exception: a part that fails, a pose that cannot be
believed or a source that falls silent makes the loop brake along the filter's verified plan and hold. Faults and stops are
latched until `clear_fault`, the only way into the armed modes, which starts from the measured pose.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from enum import IntEnum

import numpy as np

from sernf_hw_bridge.arbitration import Arbiter
from sernf_hw_bridge.backends.protocol import Backend
from sernf_hw_bridge.command import HOME, NOBODY, TELEOP, Command, CommandValidator, Rejection
from sernf_hw_bridge.control_config import ControlConfig
from sernf_hw_bridge.interpolator import Interpolator
from sernf_hw_bridge.measurement import Fault, Part, TrackingCheck
from sernf_hw_bridge.pose_guard import PoseCheck
from sernf_hw_bridge.safety_filter import FilterStep, SafetyFilter
from sernf_hw_bridge.trajectories import Array, MotionState
from sernf_hw_bridge.watchdog import Tier
from sernf_robot.limits import Limits

HOME_TOLERANCE_RAD = 1e-3
HOME_TOLERANCE_RAD_S = 1e-2
HOME_PATIENCE_S = 2.0
"""Beyond the planned duration of a way home; then the robot holds where it is."""
PERIOD_MEMORY = 0.8


class Mode(IntEnum):
    """Modes as in sernf_msgs/BridgeState."""

    UNARMED = 0
    HOLD = 1
    TRACK = 2
    HOME = 3
    FAULT = 4
    STOPPED = 5


ARMED = (Mode.HOLD, Mode.TRACK, Mode.HOME)


class ControlError(RuntimeError):
    """A request that cannot be fulfilled now; the message says why and what to do."""


class ControlLoop:
    """`parts`: part name -> backend; their joints, one after the other, are the robot's vector of n joints, as in `limits`."""

    def __init__(self, parts: Mapping[str, Backend], limits: Limits, config: ControlConfig, pose_check: PoseCheck) -> None:
        self.config = config
        self.joint_names = tuple(name for backend in parts.values() for name in backend.joint_names)
        if self.joint_names != limits.joint_names:
            raise ValueError(f"expected limits in the order of the parts' joints {self.joint_names}, got {limits.joint_names}")
        self._limits = limits
        self._parts: list[Part] = []
        begin = 0
        for name, backend in parts.items():
            end = begin + len(backend.joint_names)
            self._parts.append(Part(name, backend, slice(begin, end), config.measurement))
            begin = end
        slices = {part.name: part.joints for part in self._parts}
        self._tracking = TrackingCheck(self.joint_names, slices, config.measurement, config.period_s)
        groups = [range(joints.start, joints.stop) for joints in slices.values()]
        self._filter = SafetyFilter(limits, config.period_s, pose_check, groups)
        self._interpolator = Interpolator(
            limits, config.period_s, smoothing_s=config.smoothing_s, speed_fraction=config.speed_fraction
        )
        self._home = self._home_pose()
        self._validator = CommandValidator(self.joint_names, config.command)
        self._arbiter = Arbiter()
        self._pending: deque[tuple[Command, float, bool]] = deque()
        self._clipped_target: tuple[str, ...] = ()
        self._watched_since_s: float | None = None
        self._home_deadline_s = 0.0
        self._command_period_s = config.command_period_s

        self.mode = Mode.UNARMED
        self.fault = ""
        self.reason = "not armed yet: call hw_bridge/clear_fault"
        self.tick_count = 0
        self.commands_accepted = 0
        self.rejections: dict[str, int] = {}
        """How often a command was refused, by the name of the rejection."""
        self.measured = MotionState.at_rest(np.full(begin, np.nan))
        """The last measurement that was good in all parts; accelerations are not measured and zero."""
        self.measured_stamp_s = 0.0
        self.measurement_is_good = False
        self.step: FilterStep | None = None
        """What the filter decided at the last tick; None while unarmed."""
        self.executed: tuple[Command, ...] = ()
        """Commands that the last tick began to execute, usually none or one."""
        self.executed_arrivals_s: tuple[float, ...] = ()
        """When each of them arrived, monotonic."""
        self.command_is_late = False
        """Whether the active source is in the watchdog's first tier."""
        self.last_command: Command | None = None
        """The last command that was accepted and executed."""
        self.last_command_s: float | None = None
        self.filter_s = 0.0

    def _home_pose(self) -> Array:
        given = self.config.home_position_rad
        missing = [name for name in self.joint_names if name not in given]
        unknown = [name for name in given if name not in self.joint_names]
        if missing or unknown:
            raise ValueError(f"home_position_rad: missing joints {missing}, unknown joints {unknown}")
        home = np.array([given[name] for name in self.joint_names])
        outside = (home < self._limits.position_min_rad) | (home > self._limits.position_max_rad)
        if outside.any():
            raise ValueError(f"home_position_rad: {self.joint_names[int(outside.argmax())]} lies outside of its position limits")
        return home

    @property
    def armed(self) -> bool:
        return self.mode in ARMED

    @property
    def selected_source(self) -> str:
        return self._arbiter.selected

    @property
    def active_source(self) -> str:
        """Who is executed at this moment."""
        if self.mode is Mode.HOME:
            return HOME
        return self._arbiter.active if self.mode is Mode.TRACK else NOBODY

    @property
    def commands_rejected(self) -> int:
        return sum(self.rejections.values())

    def command_age_s(self, now_s: float) -> float:
        """Time since the last executed command arrived; negative before the first."""
        return -1.0 if self.last_command_s is None else now_s - self.last_command_s

    def connect(self) -> None:
        """Connect all parts; nothing moves. Raises BackendError."""
        for part in self._parts:
            part.backend.connect()

    def disconnect(self) -> None:
        """Hold and disconnect all parts; a part that fails at it does not keep the others from it."""
        for part in self._parts:
            fault = part.disconnect()
            if fault is not None:
                self._latch(fault)

    def offer(
        self,
        *,
        source: str,
        stamp_ns: int,
        joint_names: Sequence[str],
        position_rad: Sequence[float] | Array,
        release: bool,
        now_s: float,
        now_ns: int,
        chunk_id: int = 0,
        step_in_chunk: int = 0,
        weights_sha256: str = "",
    ) -> Rejection | None:
        """Take a command that arrived at `now_s` (monotonic; `now_ns`: by the stamps' clock); None if it will be executed."""
        checked = self._validator.check(
            source=source,
            stamp_ns=stamp_ns,
            joint_names=joint_names,
            position_rad=position_rad,
            release=release,
            now_ns=now_ns,
            chunk_id=chunk_id,
            step_in_chunk=step_in_chunk,
            weights_sha256=weights_sha256,
        )
        refused = checked if isinstance(checked, Rejection) else self._admit(checked, now_s)
        if refused is not None:
            self.rejections[refused.name] = self.rejections.get(refused.name, 0) + 1
        else:
            self.commands_accepted += 1
        return refused

    def _admit(self, command: Command, now_s: float) -> Rejection | None:
        if not self.armed:
            return Rejection(
                "not_armed", f"the bridge is in mode {self.mode.name} and executes nothing: use hw_bridge/clear_fault"
            )
        if self.mode is Mode.HOME and command.source != TELEOP:
            return Rejection("homing", "the robot is on its way home; only teleop may interrupt it")
        active_before = self._arbiter.active
        refused = self._arbiter.offer(command)
        if refused is None:
            self._pending.append((command, now_s, self._arbiter.active != active_before))
        return refused

    def select(self, source: str) -> None:
        """Choose the source that may drive; the robot holds until that source's next command. Raises ValueError."""
        self._arbiter.select(source)
        self._hold()

    def stop(self, reason: str) -> None:
        """Brake and hold, latched."""
        if self.mode is not Mode.FAULT:
            self.mode, self.fault, self.reason = Mode.STOPPED, "", f"{reason}; continue with hw_bridge/clear_fault"
        self._forget_commands()

    def home(self, now_s: float) -> None:
        """Go to the home pose, then hold. Raises ControlError unless armed."""
        if not self.armed:
            raise ControlError(
                f"expected an armed bridge, got mode {self.mode.name} ({self.reason}); use hw_bridge/clear_fault first"
            )
        self._forget_commands()
        self._interpolator.reset(self._filter.state.position_rad, catch_up_fraction=self.config.home_fraction)
        self._interpolator.set_target(self._home, self.config.command_period_s)
        self._clipped_target = ()
        self._home_deadline_s = now_s + self._interpolator.remaining_s + HOME_PATIENCE_S
        self.mode, self.reason = Mode.HOME, ""

    def clear_fault(self, now_s: float) -> None:
        """Arm or re-arm: recover all parts, then hold the measured pose. May block as long as the parts' `recover`.

        Does nothing when armed. Raises ControlError when a part is not usable or the robot still brakes; the mode stays latched.
        """
        if self.armed:
            return
        if self.step is not None and self._filter.moving:
            raise ControlError("expected a robot at rest, got one that still brakes; try again in a second")
        for part in self._parts:
            part.writable = False
        for part in self._parts:
            fault = part.recover()
            if fault is not None:
                self._fail_to_arm(fault)
        fault = self._read(now_s)
        if fault is not None:
            self._fail_to_arm(fault)
        self._seed()
        for part in self._parts:
            part.writable = True
        self._validator.forget()
        self.mode, self.fault, self.reason = Mode.HOLD, "", ""

    def _fail_to_arm(self, fault: Fault) -> None:
        self._latch(fault)
        raise ControlError(fault.reason)

    def reseed(self, now_s: float) -> None:
        """Begin anew from the measured pose: after a simulated robot was put somewhere else."""
        if self._read(now_s) is None and self.armed:
            self._seed()
            self._hold()

    def _seed(self) -> None:
        self._forget_commands()
        pose = self.measured.position_rad
        self._filter.seed(pose)
        self._tracking.reset(pose)
        self.step = FilterStep(self._filter.state, ())

    def _forget_commands(self) -> None:
        self._pending.clear()
        self._arbiter.release()
        self._watched_since_s = None

    def _hold(self) -> None:
        """Armed modes only: brake and hold."""
        self._pending.clear()
        self._watched_since_s = None
        if self.armed:
            self.mode = Mode.HOLD

    def _latch(self, fault: Fault) -> None:
        """The first fault counts; a stop stays a stop, since both ask for the same."""
        if self.mode not in (Mode.FAULT, Mode.STOPPED):
            self.mode, self.fault, self.reason = Mode.FAULT, fault.name, fault.reason
        self._forget_commands()

    def fail(self, fault: Fault) -> None:
        """Latch a fault that somebody else found."""
        self._latch(fault)

    def tick(self, now_s: float) -> None:
        """One control period; `now_s` is monotonic. Never raises for what backends or commanders do."""
        self.tick_count += 1
        self.executed = self.executed_arrivals_s = ()
        fault = self._read(now_s)
        if fault is not None:
            self._latch(fault)
        elif self.armed and self.step is not None:
            disagreement = self._tracking.check(self.step.state.position_rad, self.measured.position_rad)
            if disagreement is not None:
                self._latch(disagreement)
        if self.armed:
            self._take_commands()
            self._watch(now_s)
        if self.step is None:
            return
        begin = time.perf_counter()
        self.step = self._next_step(now_s)
        self.filter_s = time.perf_counter() - begin
        self._write(self.step.state.position_rad)

    def _read(self, now_s: float) -> Fault | None:
        """Read all parts, also after one has failed, so that the others go on."""
        fault: Fault | None = None
        for part in self._parts:
            failed = part.read(now_s)
            fault = fault or failed
        self.measurement_is_good = fault is None
        if fault is None:
            readings = [part.reading for part in self._parts if part.reading is not None]
            position = np.concatenate([reading.position_rad for reading in readings])
            velocity = np.concatenate([reading.velocity_rad_s for reading in readings])
            self.measured = MotionState(np.stack((position, velocity, np.zeros_like(velocity))))
            self.measured_stamp_s = min(reading.stamp_s for reading in readings)
        return fault

    def _take_commands(self) -> None:
        executed, arrivals = [], []
        while self._pending:
            command, arrived_s, handover = self._pending.popleft()
            if command.release:
                self._watched_since_s = None
                if self.mode is not Mode.HOME:
                    self.mode = Mode.HOLD
                continue
            self._set_target(command, handover or self.mode is not Mode.TRACK)
            self.mode, self.reason = Mode.TRACK, ""
            self.last_command, self.last_command_s = command, arrived_s
            self._watched_since_s = arrived_s
            executed.append(command)
            arrivals.append(arrived_s)
        self.executed, self.executed_arrivals_s = tuple(executed), tuple(arrivals)

    def _set_target(self, command: Command, handover: bool) -> None:
        if handover or self.last_command is None:
            self._command_period_s = self.config.command_period_s
            self._interpolator.reset(self._filter.state.position_rad, catch_up_fraction=self.config.catch_up_fraction)
        else:
            elapsed_s = min((command.stamp_ns - self.last_command.stamp_ns) * 1e-9, 0.2)
            self._command_period_s += (1.0 - PERIOD_MEMORY) * (elapsed_s - self._command_period_s)
        target = np.clip(command.position_rad, self._limits.position_min_rad, self._limits.position_max_rad)
        changed = np.flatnonzero(target != command.position_rad)
        self._clipped_target = tuple(f"position:{self.joint_names[index]}" for index in changed)
        self._interpolator.set_target(target, self._command_period_s)

    def _watch(self, now_s: float) -> None:
        self.command_is_late = False
        if self._watched_since_s is None:
            return
        age_s = now_s - self._watched_since_s
        tier = self.config.watchdog.tier(age_s)
        self.command_is_late = tier is Tier.WARN
        if tier is Tier.FAULT:
            source = self.last_command.source if self.last_command is not None else NOBODY
            self._latch(
                Fault(
                    "command_age",
                    f"{source} sent nothing for {age_s:.2f} s without releasing (limit {self.config.watchdog.fault_age_s} s): "
                    "restart it, then re-arm",
                )
            )
        elif tier is Tier.HOLD and self.mode is Mode.TRACK:
            self._arbiter.silence()
            self.mode, self.reason = Mode.HOLD, f"the source sent nothing for {self.config.watchdog.hold_age_s} s"

    def _next_step(self, now_s: float) -> FilterStep:
        if self.mode not in (Mode.TRACK, Mode.HOME):
            return self._filter.brake()
        step = self._filter.step(*self._interpolator.advance())
        if self.mode is Mode.HOME:
            self._end_homing(step, now_s)
        elif self._clipped_target:
            step = FilterStep(step.state, (*self._clipped_target, *step.clipped))
        return step

    def _end_homing(self, step: FilterStep, now_s: float) -> None:
        there = np.abs(step.state.position_rad - self._home).max() < HOME_TOLERANCE_RAD
        at_rest = np.abs(step.state.velocity_rad_s).max() < HOME_TOLERANCE_RAD_S
        if there and at_rest and self._interpolator.arrived:
            self.mode = Mode.HOLD
        elif now_s > self._home_deadline_s:
            self.mode = Mode.HOLD
            self.reason = f"home was not reached: {', '.join(step.clipped) or 'too slow'}; move the robot by teleop"

    def _write(self, position_rad: Array) -> None:
        for part in self._parts:
            fault = part.write(position_rad)
            if fault is not None:
                self._latch(fault)

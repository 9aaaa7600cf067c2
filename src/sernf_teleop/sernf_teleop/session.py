"""Teleoperation without ROS: intents of one operator device to joint commands.

`TeleopSession.tick` is called once per control period. Targets start at what the bridge executes and never run further ahead of
it than `JogConfig.max_lead_rad`, so nothing jumps when the operator takes over, and nothing winds up behind a blocked robot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sernf_robot.joints import JOINTS
from sernf_teleop.jog import HandKinematics, Jogger, clamp_to_limits, keep_within
from sernf_teleop.operator_device import Button, DeviceError, HandPose, OperatorDevice, OperatorIntent, RobotView, Status
from sernf_teleop.synergies import HandSynergies
from sernf_teleop.takeover import Action, Phase, Takeover

Array = NDArray[np.float64]

DRIVABLE_MODES = ("hold", "track", "home")
UNKNOWN_RAD = np.full(len(JOINTS), np.nan)


@dataclass(frozen=True, kw_only=True)
class BridgeView:
    """The bridge's last word. `arrived_s`: monotonic; `mode`: lower case; `executed_position_rad`: (24,), order of JOINTS."""

    arrived_s: float
    mode: str
    fault: str
    reason: str
    selected_source: str
    active_source: str
    executed_position_rad: Array


@dataclass(frozen=True, kw_only=True)
class SessionConfig:
    """Timing of the operator's side."""

    source: str
    period_s: float
    bridge_stale_s: float = 0.5
    joint_states_stale_s: float = 0.5
    reopen_after_s: float = 1.0
    """how long after a lost device the next try to open it comes"""
    max_synergy_rate_1_s: float = 1.5
    max_finger_speed_rad_s: float = 2.5


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A joint command to send. `position_rad`: (24,), order of JOINTS."""

    position_rad: Array
    release: bool = False


@dataclass(frozen=True, kw_only=True)
class Tick:
    """Result of one control period."""

    command: Outgoing | None
    buttons: tuple[Button, ...]


class TeleopSession:
    """One operator device on one robot."""

    def __init__(
        self,
        device: OperatorDevice,
        kinematics: HandKinematics,
        jogger: Jogger,
        synergies: HandSynergies,
        limits_rad: tuple[Array, Array],
        config: SessionConfig,
        max_lead_rad: float,
    ) -> None:
        """`limits_rad`: lower and upper, each (24,)."""
        self._device = device
        self._kinematics = kinematics
        self._jogger = jogger
        self._synergies = synergies
        self._lower, self._upper = limits_rad
        self._config = config
        self._max_lead_rad = max_lead_rad
        self._takeover = Takeover()
        self._target = UNKNOWN_RAD
        self._bridge: BridgeView | None = None
        self._measured = UNKNOWN_RAD
        self._measured_s = -np.inf
        self._open = False
        self._next_open_s = -np.inf
        self.device_fault = ""
        self.motion = ""
        self.obstacle = ""

    @property
    def phase(self) -> Phase:
        """Where the takeover stands."""
        return self._takeover.phase

    @property
    def engagements(self) -> int:
        """How often the operator has taken over."""
        return self._takeover.engagements

    def set_bridge(self, bridge: BridgeView) -> None:
        """The bridge has spoken."""
        self._bridge = bridge

    def set_measured(self, position_rad: Array, arrived_s: float) -> None:
        """Measured joint positions (24,) have arrived."""
        self._measured, self._measured_s = position_rad, arrived_s

    def open(self) -> None:
        """Take hold of the device; raises DeviceError."""
        self._device.open()
        self._open = True

    def close(self) -> Outgoing | None:
        """Let go of the device. Returns a last command, if one is due, that leaves the robot holding.

        With another source selected there is none: a release would hand the robot to it, and quitting must leave the robot still.
        """
        self._device.close()
        self._open = False
        engaged = self._takeover.phase is not Phase.IDLE
        self._takeover = Takeover()
        hands_over = self._bridge is None or self._bridge.selected_source not in ("none", self._config.source)
        if not engaged or (hands_over and self._config.source == "teleop"):
            return None
        return Outgoing(position_rad=self._target, release=True)

    def tick(self, now_s: float) -> Tick:
        """One control period at monotonic time `now_s`."""
        self.obstacle = self._obstacle(now_s)
        executed = self._executed()
        if self._takeover.phase is not Phase.ENGAGED:
            self._target = executed
        intent = self._poll(now_s, self._view(now_s))
        self.device_fault = intent.fault
        if Button.STAY_ENGAGED in intent.buttons:
            self._takeover.toggle_stay_engaged()
        if Button.STOP in intent.buttons:
            self._takeover.stay_engaged = False
        # No release together with a stop: it could hand the robot to the policy a moment before the stop arrives.
        held = None if intent.fault or Button.STOP in intent.buttons else intent.takeover
        action = self._takeover.step(held, self.obstacle)
        if action is not Action.COMMAND:
            self.motion = ""
        return Tick(command=self._command(action, intent, executed), buttons=intent.buttons)

    def status(self, results: tuple[str, ...] = ()) -> Status:
        """What the operator needs to see."""
        bridge = self._bridge
        trouble = "; ".join(text for text in (self.device_fault, self.obstacle) if text)
        return Status(
            phase=self._takeover.phase.value,
            stay_engaged=self._takeover.stay_engaged,
            mode="unknown" if bridge is None else bridge.mode,
            selected_source="none" if bridge is None else bridge.selected_source,
            active_source="none" if bridge is None else bridge.active_source,
            trouble=trouble,
            motion=self.motion,
            results=results,
        )

    def _executed(self) -> Array:
        return UNKNOWN_RAD if self._bridge is None else self._bridge.executed_position_rad

    def _obstacle(self, now_s: float) -> str:
        bridge = self._bridge
        if bridge is None or now_s - bridge.arrived_s > self._config.bridge_stale_s:
            return "no fresh bridge_state: is hw_bridge running?"
        if bridge.mode not in DRIVABLE_MODES:
            return f"robot is {bridge.mode}: {bridge.fault or bridge.reason or 'arm it'}"
        if not np.isfinite(bridge.executed_position_rad).all():
            return "the bridge does not say what it executes"
        if self._config.source != "teleop" and bridge.selected_source != self._config.source:
            return f"selected source is {bridge.selected_source}: call hw_bridge/set_source with '{self._config.source}'"
        if self._config.source != "teleop" and bridge.active_source == "teleop":
            return "an operator has taken over"
        return ""

    def _view(self, now_s: float) -> RobotView:
        known = bool(np.isfinite(self._target).all())
        pose = self._kinematics.hand_pose(self._target) if known else None
        fresh = now_s - self._measured_s <= self._config.joint_states_stale_s
        return RobotView(
            joint_position_rad=self._measured if fresh else UNKNOWN_RAD,
            target_position_rad=self._target,
            hand=None if pose is None else HandPose(position_m=pose[0], rotation=pose[1]),
            engagement=self._takeover.engagements if self._takeover.phase is Phase.ENGAGED else 0,
            obstacle=self.obstacle,
        )

    def _poll(self, now_s: float, view: RobotView) -> OperatorIntent:
        """The device's intent; a lost device is reopened from time to time."""
        try:
            if not self._open:
                if now_s < self._next_open_s:
                    return OperatorIntent(fault=self.device_fault)
                self.open()
            return self._device.poll(now_s, view)
        except DeviceError as error:
            self._device.close()
            self._open = False
            self._next_open_s = now_s + self._config.reopen_after_s
            return OperatorIntent(fault=str(error))

    def _command(self, action: Action, intent: OperatorIntent, executed: Array) -> Outgoing | None:
        if action is Action.NOTHING:
            return None
        if action is Action.RELEASE:
            return Outgoing(position_rad=self._target, release=True)
        if action is Action.COMMAND:
            self._target = self._next_target(intent, executed)
        return Outgoing(position_rad=self._target)

    def _next_target(self, intent: OperatorIntent, executed: Array) -> Array:
        if intent.joint_target_rad is not None:
            return clamp_to_limits(intent.joint_target_rad, self._target, self._lower, self._upper)
        target = keep_within(self._move_fingers(self._move_arm(intent), intent), executed, self._max_lead_rad)
        return clamp_to_limits(target, self._target, self._lower, self._upper)

    def _move_arm(self, intent: OperatorIntent) -> Array:
        period_s = self._config.period_s
        if intent.hand_pose is not None:
            step = self._jogger.towards(self._target, intent.hand_pose.position_m, intent.hand_pose.rotation, period_s)
        elif intent.twist is None:
            self.motion = ""
            return self._target
        elif intent.twist_frame == "hand":
            step = self._jogger.follow_hand_frame(self._target, intent.twist, period_s)
        else:
            step = self._jogger.follow(self._target, intent.twist, period_s)
        self.motion = f"{', '.join(step.obstacles)}: follows {step.followed:.0%}" if step.obstacles else ""
        return step.position_rad

    def _move_fingers(self, target: Array, intent: OperatorIntent) -> Array:
        config = self._config
        for name, rate in intent.synergy_rate.items():
            limited = float(np.clip(rate, -config.max_synergy_rate_1_s, config.max_synergy_rate_1_s))
            target = self._synergies.move(target, name, limited, config.period_s)
        for name, value in intent.synergy_value.items():
            target = self._synergies.go_to(target, name, value, config.max_synergy_rate_1_s, config.period_s)
        if intent.finger_target_rad:
            target = target.copy()
            step = config.max_finger_speed_rad_s * config.period_s
            for joint, wanted in intent.finger_target_rad.items():
                index = JOINTS.index(joint)
                target[index] += np.clip(wanted - target[index], -step, step)
        return target

"""Messages of the bridge, built once and refilled, because building them is most of what a tick would cost."""

from __future__ import annotations

import array
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import JointState

from sernf_hw_bridge.command import Command
from sernf_hw_bridge.control_loop import ControlLoop
from sernf_msgs.msg import BridgeState

ROBOT_FRAME = "fr3_link0"
NANOSECONDS = 1_000_000_000


def set_time(message: Time, stamp_ns: int) -> None:
    """Fill a time message."""
    message.sec, message.nanosec = divmod(stamp_ns, NANOSECONDS)


def to_ns(message: Time) -> int:
    """Nanoseconds of a time message."""
    return int(message.sec) * NANOSECONDS + int(message.nanosec)


class JointStateMessage:
    """Measured joints, rad and rad/s."""

    def __init__(self, joint_names: Sequence[str]) -> None:
        self._message = JointState(name=list(joint_names))
        self._message.header.frame_id = ROBOT_FRAME

    def fill(self, loop: ControlLoop, stamp_ns: int) -> JointState:
        """The same message object each time."""
        message = self._message
        set_time(message.header.stamp, stamp_ns)
        message.position = _doubles(loop.measured.position_rad)
        message.velocity = _doubles(loop.measured.velocity_rad_s)
        return message


class BridgeStateMessage:
    """State of the control loop."""

    def __init__(self, joint_names: Sequence[str]) -> None:
        self._nothing = _doubles(np.full(len(joint_names), np.nan))
        self._message = BridgeState(
            joint_names=list(joint_names), requested_position_rad=self._nothing, executed_position_rad=self._nothing
        )
        self._message.executed_velocity_rad_s = self._nothing
        self._message.header.frame_id = ROBOT_FRAME
        self._command: Command | None = None

    def fill(self, loop: ControlLoop, command: Command | None, *, stamp_ns: int, now_s: float, late_ticks: int) -> BridgeState:
        """The same message object each time; `command` is the one that it speaks of, None before the first."""
        message = self._message
        set_time(message.header.stamp, stamp_ns)
        message.mode = int(loop.mode)
        message.fault, message.reason = loop.fault, loop.reason
        message.selected_source, message.active_source = loop.selected_source, loop.active_source
        if loop.step is not None:
            message.executed_position_rad = _doubles(loop.step.state.position_rad)
            message.executed_velocity_rad_s = _doubles(loop.step.state.velocity_rad_s)
            message.clipped = list(loop.step.clipped)
        if command is not None and command is not self._command:
            self._command = command
            message.requested_position_rad = _doubles(command.position_rad)
            set_time(message.command_stamp, command.stamp_ns)
            message.chunk_id, message.step_in_chunk = command.chunk_id, command.step_in_chunk
            message.weights_sha256 = command.weights_sha256
        message.command_age_s = loop.command_age_s(now_s)
        message.tick, message.late_ticks = loop.tick_count, late_ticks
        message.commands_accepted, message.commands_rejected = loop.commands_accepted, loop.commands_rejected
        message.handling_time_s = loop.filter_s
        return message


def _doubles(values: np.ndarray) -> array.array:  # type: ignore[type-arg]
    # The message's setter takes an array.array of doubles as it is; a list would be converted number by number.
    return array.array("d", np.ascontiguousarray(values, dtype=np.float64).tobytes())

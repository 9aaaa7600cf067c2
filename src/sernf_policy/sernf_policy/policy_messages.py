"""Messages of the policy: read into vectors in the robot's order, and written; built once where they are frequent."""

from __future__ import annotations

import array
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray

from sernf_msgs.msg import ActionChunk, BridgeState, JointCommand, PolicyVersion
from sernf_policy.loaded_weights import LoadedWeights
from sernf_policy.observation_sync import BridgeReading
from sernf_policy.policy_session import NewChunk, StepCommand
from sernf_robot.joints import indices_of

Array = NDArray[np.float64]
NS_PER_S = 1_000_000_000
BRIDGE_MODES = {
    value: name.removeprefix("MODE_").lower()
    for name, value in (
        (name, getattr(BridgeState, name))
        for name in ("MODE_UNARMED", "MODE_HOLD", "MODE_TRACK", "MODE_HOME", "MODE_FAULT", "MODE_STOPPED")
    )
}


def to_ns(stamp: Time) -> int:
    """Nanoseconds of a stamp."""
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


def set_stamp(stamp: Time, stamp_ns: int) -> None:
    """Fill a stamp."""
    stamp.sec, stamp.nanosec = divmod(stamp_ns, NS_PER_S)


class JointReader:
    """Vectors in the order of `wanted` from messages with names; the last order of names is remembered."""

    def __init__(self, wanted: Sequence[str]) -> None:
        self._wanted = tuple(wanted)
        self._known: list[str] = []
        self._order: NDArray[np.intp] = np.zeros(0, dtype=np.intp)

    def vector(self, names: list[str], values: Sequence[float]) -> Array:
        """(len(wanted),) rad. Raises ValueError when a joint is missing or double, or the lengths differ."""
        if len(names) != len(values):
            raise ValueError(f"expected as many positions as names, got {len(values)} and {len(names)}")
        if names != self._known:
            self._order = indices_of(names, self._wanted)
            self._known = list(names)
        vector: Array = np.array(values, dtype=np.float64)[self._order]
        return vector


def bridge_reading(message: BridgeState, joints: JointReader) -> BridgeReading:
    """Raises ValueError when the message does not speak of every joint."""
    return BridgeReading(
        stamp_ns=to_ns(message.header.stamp),
        mode=BRIDGE_MODES.get(message.mode, f"mode {message.mode}"),
        fault=message.fault,
        reason=message.reason,
        selected_source=message.selected_source,
        active_source=message.active_source,
        requested_rad=joints.vector(message.joint_names, message.requested_position_rad),
        executed_rad=joints.vector(message.joint_names, message.executed_position_rad),
        command_stamp_ns=to_ns(message.command_stamp),
        clipped=len(message.clipped) > 0,
    )


def position_and_quaternion(message: PoseStamped) -> tuple[Array, Array]:
    """(3,) m, and (4,) wxyz."""
    point, rotation = message.pose.position, message.pose.orientation
    return np.array([point.x, point.y, point.z]), np.array([rotation.w, rotation.x, rotation.y, rotation.z])


class CommandMessage:
    """`joint_command` of source policy."""

    def __init__(self, joint_names: Sequence[str]) -> None:
        self._message = JointCommand(source=JointCommand.SOURCE_POLICY, joint_names=list(joint_names))

    def fill(self, command: StepCommand, stamp_ns: int) -> JointCommand:
        """The same message object each time."""
        message = self._message
        set_stamp(message.header.stamp, stamp_ns)
        message.position_rad = array.array("d", np.ascontiguousarray(command.position_rad).tobytes())
        message.chunk_id, message.step_in_chunk = command.chunk_id, command.step_in_chunk
        message.weights_sha256 = command.sha256
        return message


def release_message(stamp_ns: int) -> JointCommand:
    """The policy ends its control."""
    message = JointCommand(source=JointCommand.SOURCE_POLICY, release=True)
    set_stamp(message.header.stamp, stamp_ns)
    return message


def chunk_message(chunk: NewChunk, joint_names: Sequence[str]) -> ActionChunk:
    """`action_chunk`."""
    planned, layout = chunk.planned, chunk.weights.layout
    message = ActionChunk(
        chunk_id=chunk.chunk_id,
        horizon=layout.horizon,
        joint_names=list(joint_names),
        position_rad=array.array("d", np.ascontiguousarray(chunk.position_rad).tobytes()),
        step_period_s=layout.step_period_s,
        log_likelihood=planned.log_prob,
        q_value=planned.q_value,
        candidates=planned.candidates,
        weights_sha256=chunk.weights.sha256,
        inference_time_s=planned.inference_s,
    )
    set_stamp(message.header.stamp, chunk.stamp_ns)
    return message


def version_message(weights: LoadedWeights, stamp_ns: int) -> PolicyVersion:
    """`policy_version`."""
    about = weights.description
    message = PolicyVersion(
        version=about.version, sha256=about.sha256, file=about.file, stage=about.stage, parent_sha256=about.parent_sha256
    )
    set_stamp(message.header.stamp, stamp_ns)
    return message

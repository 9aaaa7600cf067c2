"""Joint vectors of a recorded episode as arrays, with what is wrong in them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState

from sernf_msgs.msg import BridgeState, JointCommand
from sernf_robot.joints import JOINTS, indices_of
from sernf_teleop.episodes import EpisodeInfo, messages

STAMP = struct.Struct("<iI")
STAMP_OFFSET = 4
MOST_PROBLEMS = 5


@dataclass(frozen=True)
class Trace:
    """`time_s`: (T,) of arrival since the episode's first message. `values`: (T, 24) in the order of JOINTS, radians."""

    time_s: np.ndarray
    values: np.ndarray


@dataclass(kw_only=True)
class EpisodeContent:
    """What the messages of an episode say. `time_s`: by topic, (T,). `traces`: by name, such as "measured" or "requested"."""

    time_s: dict[str, np.ndarray] = field(default_factory=dict)
    traces: dict[str, Trace] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def complain(self, problem: str) -> None:
        """Note a problem once, and not more than a few."""
        if problem not in self.problems and len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)


def read_content(episode: EpisodeInfo, topics: Sequence[str] | None = None) -> EpisodeContent:
    """Read the whole episode, or only `topics` (relative names). Raises EpisodeError when the file cannot be read."""
    prefix = episode.namespace.rstrip("/") + "/"
    wanted = None if topics is None else {prefix + topic for topic in topics}
    content = EpisodeContent()
    times: dict[str, list[int]] = {}
    last_stamp: dict[str, tuple[int, int]] = {}
    samples = _Samples(content)
    for message in messages(episode, wanted):
        times.setdefault(message.topic, []).append(message.log_time_ns)
        name = message.topic.removeprefix(prefix)
        stream = message.topic
        if (name, message.msgtype) in READERS:
            try:
                stream += READERS[name, message.msgtype](samples, message.log_time_ns, message.data)
            except (RuntimeError, ValueError) as error:
                content.complain(f"{name}: {error}")
        if name != "episode_event" and len(message.data) >= STAMP_OFFSET + STAMP.size:
            stamp = STAMP.unpack_from(message.data, STAMP_OFFSET)
            if stamp < last_stamp.get(stream, stamp):
                content.complain(f"{name}: time goes backwards")
            last_stamp[stream] = stamp
    begin_ns = min((values[0] for values in times.values()), default=0)
    content.time_s = {topic: (np.array(values) - begin_ns) * 1e-9 for topic, values in times.items()}
    for trace, (trace_times, rows) in samples.rows.items():
        content.traces[trace] = Trace((np.array(trace_times) - begin_ns) * 1e-9, np.array(rows))
    return content


class _Samples:
    """Rows in the order of JOINTS, by trace."""

    def __init__(self, content: EpisodeContent) -> None:
        self.rows: dict[str, tuple[list[int], list[np.ndarray]]] = {}
        self._content = content
        self._order: dict[tuple[str, ...], np.ndarray] = {}

    def add(self, trace: str, time_ns: int, names: Sequence[str], values: Sequence[float], *, may_lack: bool = False) -> None:
        """`may_lack`: NaN stands for "none yet". Raises ValueError for wrong names or lengths."""
        key = tuple(names)
        order = self._order.get(key)
        if order is None:
            order = self._order[key] = indices_of(key, JOINTS)
        if len(values) != len(key):
            raise ValueError(f"expected {len(key)} values of {trace}, one for each joint, got {len(values)}")
        row = np.asarray(values, dtype=float)[order]
        if not may_lack and not np.isfinite(row).all():
            joint = JOINTS[int(np.flatnonzero(~np.isfinite(row))[0])]
            self._content.complain(f"{trace}: {joint} is not finite")
        times, rows = self.rows.setdefault(trace, ([], []))
        times.append(time_ns)
        rows.append(row)


def _joint_state(samples: _Samples, time_ns: int, data: bytes) -> str:
    message: Any = deserialize_message(data, JointState)
    samples.add("measured", time_ns, message.name, message.position)
    if len(message.velocity):
        samples.add("velocity", time_ns, message.name, message.velocity)
    return ""


def _bridge_state(samples: _Samples, time_ns: int, data: bytes) -> str:
    message: Any = deserialize_message(data, BridgeState)
    samples.add("requested", time_ns, message.joint_names, message.requested_position_rad, may_lack=True)
    samples.add("executed", time_ns, message.joint_names, message.executed_position_rad)
    return ""


def _joint_command(samples: _Samples, time_ns: int, data: bytes) -> str:
    message: Any = deserialize_message(data, JointCommand)
    if not message.release:
        samples.add("commanded", time_ns, message.joint_names, message.position_rad)
    # Stamps increase per source only.
    return f" of {message.source}"


READERS: dict[tuple[str, str], Callable[[_Samples, int, bytes], str]] = {
    ("joint_states", "sensor_msgs/msg/JointState"): _joint_state,
    ("bridge_state", "sernf_msgs/msg/BridgeState"): _bridge_state,
    ("joint_command", "sernf_msgs/msg/JointCommand"): _joint_command,
}
"""By relative topic and type; each answers which of the topic's streams the message belongs to."""

"""Small bags with chosen content: message by message, or a scripted robot whose numbers tell the time at which they were true."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from sernf_teleop.episode_files import write_custom_data
from sernf_teleop.episode_writer import EpisodeWriter
from sernf_teleop.episodes import EpisodeInfo, read_episode
from sernf_teleop.message_definitions import MessageDefinitions, typestore_from

JOINTS = ("a", "b", "c")
T0_NS = 1_700_000_000_000_000_000
HOLD, TRACK = 1, 2
CONTROL_MS, PUBLISHED_MS = 4, 20
TYPES = {
    "joint_states": "sensor_msgs/msg/JointState",
    "bridge_state": "sernf_msgs/msg/BridgeState",
    "joint_command": "sernf_msgs/msg/JointCommand",
    "task_state": "sernf_msgs/msg/TaskState",
}
POSE = "geometry_msgs/msg/PoseStamped"
DEFINITIONS = MessageDefinitions()


@functools.cache
def store_of(msgtype: str) -> Any:
    return typestore_from({msgtype: DEFINITIONS.of(msgtype)[0]})


def serialised(msgtype: str, **values: Any) -> bytes:
    """CDR of a message; fields that are not given are zero or empty. Nested messages as mappings."""
    store = store_of(msgtype)
    return bytes(store.serialize_cdr(built(store, msgtype, values), msgtype))


def built(store: Any, msgtype: str, values: dict[str, Any]) -> Any:
    fields = {}
    for name, (kind, content) in store.fielddefs[msgtype][1]:
        value = values.get(name)
        if kind.name == "NAME":
            fields[name] = built(store, content, value or {})
        elif kind.name == "BASE":
            fields[name] = value if value is not None else "" if content[0] == "string" else 0
        elif content[0][1][0] == "string":
            fields[name] = list(value or ())
        else:
            fields[name] = np.array(() if value is None else value, dtype=content[0][1][0])
    return SimpleNamespace(**fields)


def stamp(time_ns: int) -> dict[str, int]:
    return {"sec": time_ns // 10**9, "nanosec": time_ns % 10**9}


def _ns(at_ms: float) -> int:
    return T0_NS + round(at_ms * 1e6)


class Recording:
    """Collects messages, in ms since T0_NS, and writes them as an episode."""

    def __init__(self, joints: Sequence[str] = JOINTS) -> None:
        self.joints = tuple(joints)
        self._messages: list[tuple[int, str, str, bytes]] = []

    def add(self, topic: str, msgtype: str, at_ms: float, *, arrives_ms: float | None = None, **values: Any) -> None:
        """`at_ms`: of the message's stamp."""
        header = {"stamp": stamp(_ns(at_ms)), "frame_id": values.pop("frame_id", "")}
        arrival_ns = _ns(at_ms if arrives_ms is None else arrives_ms)
        self._messages.append((arrival_ns, topic, msgtype, serialised(msgtype, header=header, **values)))

    def joint_states(self, at_ms: float, position: Sequence[float], **values: Any) -> None:
        values = {"name": self.joints, "velocity": position, **values}
        self.add("joint_states", TYPES["joint_states"], at_ms, position=position, **values)

    def command(self, at_ms: float, position: Sequence[float], source: str, **values: Any) -> None:
        values = {"joint_names": self.joints, **values}
        self.add("joint_command", TYPES["joint_command"], at_ms, source=source, position_rad=position, **values)

    def bridge_state(self, at_ms: float, *, command_ms: float | None, **values: Any) -> None:
        """`command_ms`: stamp of the command executed last, None before the first."""
        command_stamp = {} if command_ms is None else stamp(_ns(command_ms))
        values = {"joint_names": self.joints, "mode": TRACK, "tick": 1000 + round(at_ms / CONTROL_MS), **values}
        self.add("bridge_state", TYPES["bridge_state"], at_ms, command_stamp=command_stamp, **values)

    def pose(self, at_ms: float, name: str, position: Sequence[float], frame_id: str = "fr3_link0") -> None:
        pose = {"position": dict(zip("xyz", position)), "orientation": {"x": 0.1, "y": 0.2, "z": 0.3, "w": 0.9}}
        self.add(f"objects/{name}/pose", POSE, at_ms, pose=pose, frame_id=frame_id)

    def task_state(self, at_ms: float, **values: Any) -> None:
        self.add("task_state", TYPES["task_state"], at_ms, task="duck", **{"seed": 7, "elapsed_s": 10.0 + at_ms * 1e-3, **values})

    def write(self, path: Path, **about: str) -> EpisodeInfo:
        """A finished episode in the new folder `path`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        namespace = about.get("namespace", "/")
        prefix = namespace.rstrip("/") + "/"
        writer = EpisodeWriter(path, DEFINITIONS)
        writer.open()
        for time_ns, topic, msgtype, data in sorted(self._messages, key=lambda message: message[0]):
            writer.add_topic(prefix + topic, msgtype)
            writer.write(prefix + topic, time_ns, data)
        custom = {
            "task": "duck", "label": "success", "labelled_by": "judge", "note": "", "source": "policy", "seed": "7",
            "sha256": writer.finish(), "topics": json.dumps({}), **about,
        }  # fmt: skip
        write_custom_data(path, custom)
        return read_episode(path)


@dataclass(frozen=True)
class Sent:
    """A command at `at_ms`: joint i to `value` + i. `executed`: whether the bridge follows it."""

    at_ms: float
    value: float
    source: str = "policy"
    executed: bool = True


def beat(count: int, period_ms: float = 50.0, begin_ms: float = 100.0, source: str = "policy", value: float = 1.0) -> list[Sent]:
    """Regular commands; the n-th asks for `value` + n / 100."""
    return [Sent(begin_ms + n * period_ms, value + n / 100, source) for n in range(count)]


def told(at_ms: float, offset: float = 0.0) -> list[float]:
    """Joint vector that tells a time in s."""
    return [offset + at_ms * 1e-3 + index for index in range(len(JOINTS))]


MEASURED = 100.0


def scripted(
    sent: Sequence[Sent],
    *,
    end_ms: float,
    clipped_ms: Callable[[float], bool] = lambda at_ms: False,
    holds_ms: Callable[[float], bool] = lambda at_ms: False,
    objects: Sequence[str] = ("duck",),
    first_pose_ms: float = 0.0,
) -> Recording:
    """A robot from 0 to `end_ms` that executes at t the joints told(t), and measures told(t, MEASURED) every 8 ms.

    A command is executed at the next control tick. `holds_ms`: when the bridge follows nobody. The bridge speaks at every newly
    executed command and every 20 ms, as do pose estimators: the x of an object is the time in s.
    """
    recording = Recording()
    waiting = sorted((command for command in sent if command.executed), key=lambda command: command.at_ms)
    last: Sent | None = None
    for command in sent:
        recording.command(command.at_ms, [command.value + index for index in range(len(JOINTS))], command.source)
    for at_ms in range(0, round(end_ms) + 1, CONTROL_MS):
        new = []
        while waiting and waiting[0].at_ms <= at_ms:
            new.append(waiting.pop(0))
        for command in new or ([last] if at_ms % PUBLISHED_MS == 0 else []):
            holds = holds_ms(at_ms) or command is None
            requested = [np.nan] * len(JOINTS) if command is None else [command.value + index for index in range(len(JOINTS))]
            recording.bridge_state(
                at_ms, command_ms=command and command.at_ms, mode=HOLD if holds else TRACK,
                active_source="none" if holds or command is None else command.source,
                requested_position_rad=requested, executed_position_rad=told(at_ms),
                clipped=["self_collision"] if clipped_ms(at_ms) else [],
            )  # fmt: skip
            last = command
        if at_ms % 8 == 0:
            recording.joint_states(at_ms, told(at_ms, MEASURED))
        if at_ms % PUBLISHED_MS == 0 and at_ms >= first_pose_ms:
            for name in objects:
                recording.pose(at_ms, name, (at_ms * 1e-3, 0.0, 0.0))
    return recording

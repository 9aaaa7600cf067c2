"""What a recorded episode says, as one array per topic in the order of stamps: joints by name, times in ns since the epoch.

Reads only the topics that learning needs, one bag at a time; all of them together are a few MB a minute. Raises EpisodeError
for a bag that cannot be read or lacks a joint, a topic or an object.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import TypesysError

from sernf_learner.cdr_table import Block, read_blocks, stamps_ns, time_fields
from sernf_robot.joints import indices_of
from sernf_teleop.episode_files import EpisodeError
from sernf_teleop.episodes import EpisodeInfo, open_bag

Array = NDArray[np.float64]
Times = NDArray[np.int64]

JOINT_STATES, BRIDGE_STATE, JOINT_COMMAND, TASK_STATE = "joint_states", "bridge_state", "joint_command", "task_state"
POSE_TYPE = "geometry_msgs/msg/PoseStamped"
ROBOT_FRAME = "fr3_link0"
MODE_TRACK = 2
SLEWED_NS = 50_000_000
"""Stamps may go back this far, since several clocks are read for one; beyond that a clock was set, and nothing can be aligned."""
UNREADABLE = (TypesysError, struct.error, ValueError, TypeError, LookupError, ArithmeticError, AssertionError, RuntimeError)
"""What the reading of damaged bytes raises, besides its own errors."""


@dataclass(frozen=True, kw_only=True)
class JointStates:
    """`position_rad` (n, A) measured."""

    stamp_ns: Times
    position_rad: Array


@dataclass(frozen=True, kw_only=True)
class BridgeStates:
    """`command_ns` (n,): stamp of the command executed last, 0 before the first; `requested_rad` (n, A): its targets.

    `executed_rad` (n, A): written to the motors at this tick. `tracks`: follows somebody. `clipped`: the filter changed
    something.
    """

    stamp_ns: Times
    command_ns: Times
    requested_rad: Array
    executed_rad: Array
    tracks: NDArray[np.bool_]
    clipped: NDArray[np.bool_]
    active_source: NDArray[np.object_]
    tick: Times


@dataclass(frozen=True, kw_only=True)
class JointCommands:
    """What sources sent, executed or not, releases left out. `position_rad` (n, A): NaN where other joints were named."""

    stamp_ns: Times
    source: NDArray[np.object_]
    position_rad: Array


@dataclass(frozen=True, kw_only=True)
class TaskStates:
    """The judge's opinions; empty on a real robot. `stage` (n,): the furthest one reached."""

    stamp_ns: Times
    seed: Times
    elapsed_s: Array
    success: NDArray[np.bool_]
    done: NDArray[np.bool_]
    stage: NDArray[np.object_]


@dataclass(frozen=True, kw_only=True)
class ObjectPoses:
    """`pose` (n, 7): position (m) and unit quaternion wxyz in `fr3_link0`."""

    stamp_ns: Times
    pose: Array


@dataclass(frozen=True, kw_only=True)
class Streams:
    """All of them; `objects` by name."""

    joint_states: JointStates
    bridge: BridgeStates
    commands: JointCommands
    task: TaskStates
    objects: Mapping[str, ObjectPoses]


def read_streams(info: EpisodeInfo, joint_names: Sequence[str], objects: Sequence[str] | None) -> Streams:
    """`objects`: names that are needed; None takes those that the bag holds, in alphabetical order."""
    known = _objects_in(info)
    wanted = tuple(known) if objects is None else tuple(objects)
    missing = [name for name in wanted if name not in known]
    if missing:
        raise EpisodeError(
            f"expected poses of {', '.join(wanted)}, got {', '.join(known) or 'none'}; record with a pose estimator for "
            f"{', '.join(missing)} running"
        )
    try:
        raw = _Raw(info, (JOINT_STATES, BRIDGE_STATE, JOINT_COMMAND, TASK_STATE, *(_pose_topic(name) for name in wanted)))
        return Streams(
            joint_states=_in_order(_joint_states(raw, joint_names), JOINT_STATES),
            bridge=_in_order(_bridge_states(raw, joint_names), BRIDGE_STATE),
            commands=_by_stamp(_joint_commands(raw, joint_names)),
            task=_in_order(_task_states(raw), TASK_STATE),
            objects={name: _in_order(_object_poses(raw, name), _pose_topic(name)) for name in wanted},
        )
    except EpisodeError:
        raise
    except UNREADABLE as error:
        raise EpisodeError(f"{info.file.name} cannot be understood: {error}") from error


def _pose_topic(name: str) -> str:
    return f"objects/{name}/pose"


def _objects_in(info: EpisodeInfo) -> list[str]:
    prefix, suffix = f"{info.namespace.rstrip('/')}/objects/", "/pose"
    return sorted(
        topic.name[len(prefix) : -len(suffix)]
        for topic in info.topics.values()
        if topic.name.startswith(prefix) and topic.name.endswith(suffix) and topic.msgtype == POSE_TYPE and topic.messages
    )


class _Raw:
    """Serialised messages by relative topic; gone as soon as the arrays are there."""

    def __init__(self, info: EpisodeInfo, topics: Sequence[str]) -> None:
        prefix = f"{info.namespace.rstrip('/')}/"
        self._data: dict[str, list[bytes]] = {prefix + topic: [] for topic in topics}
        self._types: dict[str, str] = {}
        self._prefix = prefix
        with open_bag(info) as bag:
            self._store = bag.types
            for message in bag.messages(self._data):
                self._data[message.topic].append(message.data)
                self._types[message.topic] = message.msgtype

    def columns(self, topic: str, fields: Sequence[str], *, may_lack: bool = False) -> tuple[int, list[Block]]:
        """How many messages, and their blocks. Raises EpisodeError when there is none, unless the topic `may_lack`."""
        data = self._data[self._prefix + topic]
        if not data and may_lack:
            return 0, []
        if not data:
            raise EpisodeError(f"expected messages on {topic}, got none: its node was not running; discard this episode")
        return len(data), list(read_blocks(data, self._store, self._types[self._prefix + topic], fields))


def _joint_states(raw: _Raw, joint_names: Sequence[str]) -> JointStates:
    count, blocks = raw.columns(JOINT_STATES, (*time_fields("header.stamp"), "name", "position"))
    stamp_ns, position = np.zeros(count, dtype=np.int64), np.full((count, len(joint_names)), np.nan)
    for block in blocks:
        stamp_ns[block.rows] = stamps_ns(block, "header.stamp")
        position[block.rows] = _joints(block, "name", "position", joint_names)
    return JointStates(stamp_ns=stamp_ns, position_rad=position)


def _bridge_states(raw: _Raw, joint_names: Sequence[str]) -> BridgeStates:
    vectors = ("requested_position_rad", "executed_position_rad")
    fields = (*time_fields("header.stamp", "command_stamp"), "joint_names", *vectors, "mode", "active_source", "clipped", "tick")
    count, blocks = raw.columns(BRIDGE_STATE, fields)
    stamp_ns, command_ns, tick = (np.zeros(count, dtype=np.int64) for _ in range(3))
    requested, executed = (np.full((count, len(joint_names)), np.nan) for _ in range(2))
    tracks, clipped = (np.zeros(count, dtype=bool) for _ in range(2))
    source = np.full(count, "", dtype=object)
    for block in blocks:
        rows = block.rows
        stamp_ns[rows] = stamps_ns(block, "header.stamp")
        command_ns[rows] = stamps_ns(block, "command_stamp")
        requested[rows] = _joints(block, "joint_names", vectors[0], joint_names)
        executed[rows] = _joints(block, "joint_names", vectors[1], joint_names)
        tracks[rows] = block.numbers["mode"] == MODE_TRACK
        clipped[rows] = bool(block.texts["clipped"])
        source[rows] = block.texts["active_source"][0]
        tick[rows] = block.numbers["tick"]
    return BridgeStates(
        stamp_ns=stamp_ns, command_ns=command_ns, requested_rad=requested, executed_rad=executed, tracks=tracks, clipped=clipped,
        active_source=source, tick=tick,
    )  # fmt: skip


def _joint_commands(raw: _Raw, joint_names: Sequence[str]) -> JointCommands:
    fields = (*time_fields("header.stamp"), "source", "joint_names", "position_rad", "release")
    count, blocks = raw.columns(JOINT_COMMAND, fields, may_lack=True)
    stamp_ns, position = np.zeros(count, dtype=np.int64), np.full((count, len(joint_names)), np.nan)
    source, is_release = np.full(count, "", dtype=object), np.zeros(count, dtype=bool)
    for block in blocks:
        stamp_ns[block.rows] = stamps_ns(block, "header.stamp")
        source[block.rows] = block.texts["source"][0]
        is_release[block.rows] = block.numbers["release"] != 0
        if set(block.texts["joint_names"]) >= set(joint_names):  # the bridge refuses any other command; a release needs no joints
            position[block.rows] = _joints(block, "joint_names", "position_rad", joint_names)
    kept = ~is_release
    return JointCommands(stamp_ns=stamp_ns[kept], source=source[kept], position_rad=position[kept])


def _task_states(raw: _Raw) -> TaskStates:
    fields = (*time_fields("header.stamp"), "seed", "elapsed_s", "success", "done", "stage")
    count, blocks = raw.columns(TASK_STATE, fields, may_lack=True)
    stamp_ns, seed = (np.zeros(count, dtype=np.int64) for _ in range(2))
    elapsed_s = np.zeros(count)
    success, done = (np.zeros(count, dtype=bool) for _ in range(2))
    stage = np.full(count, "", dtype=object)
    for block in blocks:
        stamp_ns[block.rows] = stamps_ns(block, "header.stamp")
        seed[block.rows] = block.numbers["seed"]
        elapsed_s[block.rows] = block.numbers["elapsed_s"]
        success[block.rows] = block.numbers["success"] != 0
        done[block.rows] = block.numbers["done"] != 0
        stage[block.rows] = block.texts["stage"][0]
    return TaskStates(stamp_ns=stamp_ns, seed=seed, elapsed_s=elapsed_s, success=success, done=done, stage=stage)


def _object_poses(raw: _Raw, name: str) -> ObjectPoses:
    parts = [f"pose.position.{axis}" for axis in "xyz"] + [f"pose.orientation.{axis}" for axis in "wxyz"]
    count, blocks = raw.columns(_pose_topic(name), (*time_fields("header.stamp"), "header.frame_id", *parts))
    stamp_ns, pose = np.zeros(count, dtype=np.int64), np.zeros((count, len(parts)))
    for block in blocks:
        frame = block.texts["header.frame_id"][0]
        if frame != ROBOT_FRAME:
            raise EpisodeError(
                f"{_pose_topic(name)}: expected poses in {ROBOT_FRAME}, got them in '{frame}'; transform, record anew"
            )
        stamp_ns[block.rows] = stamps_ns(block, "header.stamp")
        pose[block.rows] = np.stack([block.numbers[part] for part in parts], axis=1)
    return ObjectPoses(stamp_ns=stamp_ns, pose=pose)


def _joints(block: Block, names: str, values: str, joint_names: Sequence[str]) -> Array:
    """(k, A) in the order of `joint_names`; raises ValueError when one is missing."""
    numbers: Array = block.numbers[values]
    if numbers.shape[1] != len(block.texts[names]):
        raise ValueError(f"{values}: expected {len(block.texts[names])} numbers, one for each joint, got {numbers.shape[1]}")
    return numbers[:, indices_of(block.texts[names], joint_names)]


AnyStream = TypeVar("AnyStream", JointStates, BridgeStates, JointCommands, TaskStates, ObjectPoses)


def _in_order(stream: AnyStream, topic: str) -> AnyStream:
    steps = np.diff(stream.stamp_ns)
    if (steps < -SLEWED_NS).any():
        raise EpisodeError(f"{topic}: time goes back by {-int(steps.min()) * 1e-9:.3f} s: a clock was set; discard this episode")
    return _by_stamp(stream) if (steps < 0).any() else stream


def _by_stamp(stream: AnyStream) -> AnyStream:
    order = np.argsort(stream.stamp_ns, kind="stable")
    columns: dict[str, Any] = {name: values[order] for name, values in vars(stream).items()}
    return replace(stream, **columns)

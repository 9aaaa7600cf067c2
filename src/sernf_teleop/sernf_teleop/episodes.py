"""Reads a data set: a folder whose subfolders are episodes, each a rosbag2 bag that carries its label in metadata.yaml.

Needs no ROS: bags carry the definitions of their types. Whoever has rclpy deserialises the raw bytes faster with it. What cannot
be read is listed as broken and never ends a listing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rosbags.rosbag2 import Reader, ReaderError
from rosbags.typesys.store import Typestore

from sernf_teleop.episode_files import (
    BROKEN,
    LABELS,
    METADATA_FILE,
    REASON_FILE,
    UNFINISHED,
    EpisodeError,
    read_information,
    write_custom_data,
)
from sernf_teleop.message_definitions import typestore_from

MAGIC = b"\x89MCAP0\r\n"
READ_BYTES = 1 << 20
LABELLED_BY = re.compile(r"judge|operator:.+")


@dataclass(frozen=True, kw_only=True)
class TopicInfo:
    """One topic of one episode. `name`: absolute. None: not known, because the episode was recovered or recorded by other means.

    `dropped`: numbered by their publisher, but not in the bag. `late`: gaps of more than 1.5 expected periods between arrivals.
    `control`: loss makes an episode unfit for learning.
    """

    name: str
    msgtype: str
    messages: int
    dropped: int | None = None
    late: int | None = None
    longest_gap_s: float | None = None
    expected_hz: float | None = None
    control: bool = False


@dataclass(frozen=True, kw_only=True)
class EpisodeInfo:
    """What is known about an episode without reading its messages.

    `label`: "success", "failure", "discard", or empty while nobody has labelled it. `source`: whose commands were expected.
    `seed`: of the simulated scene, 0 on a real robot. `started_ns`: since the epoch. `sha256`: of `file`; empty when unknown.
    """

    episode_id: str
    path: Path
    file: Path
    task: str
    label: str
    labelled_by: str
    note: str
    operator: str
    source: str
    seed: int
    stack_version: str
    namespace: str
    recovered: bool
    started_ns: int
    seconds: float
    messages: int
    sha256: str
    topics: Mapping[str, TopicInfo]

    def topic(self, name: str) -> TopicInfo | None:
        """The topic `name`, relative to the recorder's namespace."""
        return self.topics.get(f"{self.namespace.rstrip('/')}/{name}")

    @property
    def dropped_control_messages(self) -> int:
        """Known losses on control topics."""
        return sum(topic.dropped or 0 for topic in self.topics.values() if topic.control)


@dataclass(frozen=True)
class BrokenEpisode:
    """A bag that cannot be read, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class DataSet:
    """All bags of a folder, in the order of their names, which is that of recording."""

    episodes: tuple[EpisodeInfo, ...]
    broken: tuple[BrokenEpisode, ...]
    unfinished: tuple[Path, ...]
    """being recorded at this moment, or waiting for the recorder's next start to be repaired"""


class RawMessage(NamedTuple):
    """`topic`: absolute. `log_time_ns`: of arrival at the recorder, since the epoch. `data`: CDR."""

    topic: str
    msgtype: str
    log_time_ns: int
    data: bytes


def list_episodes(directory: Path) -> list[EpisodeInfo]:
    """Every readable episode, whatever its label; empty when `directory` does not exist."""
    return list(read_dataset(directory).episodes)


def read_dataset(directory: Path) -> DataSet:
    """All bags in `directory`, or `directory` itself if it is one. Only metadata is read."""
    if not directory.is_dir():
        return DataSet((), (), ())
    paths = [directory] if _is_bag(directory) else _bags_in(directory)
    found = [_read_or_explain(path) for path in paths]
    episodes = tuple(item for item in found if isinstance(item, EpisodeInfo))
    broken = [item for item in found if isinstance(item, BrokenEpisode)]
    for path in _folders(directory / BROKEN):
        reason = path / REASON_FILE
        broken.append(BrokenEpisode(path, reason.read_text().strip() if reason.is_file() else "set aside without a reason"))
    return DataSet(episodes, tuple(broken), tuple(_folders(directory / UNFINISHED)))


def read_episode(path: Path) -> EpisodeInfo:
    """One episode. Raises EpisodeError when metadata or the file's end are missing or wrong."""
    information = read_information(path)
    try:
        info = _from_information(path, information)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EpisodeError(f"{METADATA_FILE} is not as expected: {type(error).__name__} {error}") from error
    try:
        with info.file.open("rb") as file:
            file.seek(max(0, info.file.stat().st_size - len(MAGIC)))
            is_whole = file.read() == MAGIC
    except OSError as error:
        raise EpisodeError(f"{info.file.name} cannot be read: {error.strerror}") from error
    if not is_whole:
        raise EpisodeError(f"truncated: {info.file.name} lacks its end; move the folder to {UNFINISHED}/ and start the recorder")
    return info


class OpenBag:
    """The file of one episode, open; see `open_bag`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    @property
    def types(self) -> Typestore:
        """For `types.deserialize_cdr(message.data, message.msgtype)`."""
        return typestore_from({connection.msgtype: connection.msgdef.data for connection in self._reader.connections})

    def messages(self, topics: Collection[str] | None = None) -> Iterator[RawMessage]:
        """Messages in the order of arrival, of the absolute `topics` or all of them."""
        wanted = [connection for connection in self._reader.connections if topics is None or connection.topic in topics]
        for connection, log_time_ns, data in self._reader.messages(wanted) if wanted else ():
            yield RawMessage(connection.topic, connection.msgtype, log_time_ns, data)


@contextlib.contextmanager
def open_bag(episode: EpisodeInfo) -> Iterator[OpenBag]:
    """For those who need both types and messages: opening takes as long as some thousand messages. Raises EpisodeError."""
    try:
        with Reader(episode.file) as reader:
            yield OpenBag(reader)
    except (ReaderError, OSError) as error:
        raise EpisodeError(f"{episode.file}: {error}") from error


def messages(episode: EpisodeInfo, topics: Collection[str] | None = None) -> Iterator[RawMessage]:
    """Messages in the order of arrival, of the absolute `topics` or all of them. Raises EpisodeError."""
    with open_bag(episode) as bag:
        yield from bag.messages(topics)


def typestore_of(episode: EpisodeInfo) -> Typestore:
    """Types of the episode. Raises EpisodeError."""
    with open_bag(episode) as bag:
        return bag.types


def sha256_of(file: Path) -> str:
    """Of the bag's content, as in `EpisodeInfo.sha256`. Raises OSError."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def relabel(path: Path, *, label: str, labelled_by: str, note: str) -> None:
    """Change an episode's label, durable on return. Raises ValueError, EpisodeError, OSError."""
    check_label(label, labelled_by)
    read_episode(path)
    write_custom_data(path, {"label": label, "labelled_by": labelled_by, "note": note})


def check_label(label: str, labelled_by: str) -> None:
    """Raises ValueError that says what is expected."""
    if label not in LABELS:
        raise ValueError(f"label: expected one of {', '.join(LABELS)}, got {label!r}")
    if not LABELLED_BY.fullmatch(labelled_by):
        raise ValueError(f"labelled_by: expected 'judge' or 'operator:NAME', got {labelled_by!r}")


def _from_information(path: Path, information: Mapping[str, Any]) -> EpisodeInfo:
    custom: Mapping[str, str] = information.get("custom_data") or {}
    counted: Mapping[str, Mapping[str, Any]] = json.loads(custom.get("topics", "{}"))
    topics = {}
    for entry in information["topics_with_message_count"]:
        name = entry["topic_metadata"]["name"]
        known = {key: value for key, value in counted.get(name, {}).items() if key != "messages"}
        topics[name] = TopicInfo(
            name=name, msgtype=entry["topic_metadata"]["type"], messages=int(entry["message_count"]), **known
        )
    files = information["relative_file_paths"]
    if information["storage_identifier"] != "mcap" or len(files) != 1:
        raise ValueError(f"expected one mcap file, got {information['storage_identifier']} with {len(files)} files")
    seconds = float(custom.get("seconds", information["duration"]["nanoseconds"] * 1e-9))
    return EpisodeInfo(
        episode_id=path.name,
        path=path,
        file=path / files[0],
        task=custom.get("task", ""),
        label=custom.get("label", ""),
        labelled_by=custom.get("labelled_by", ""),
        note=custom.get("note", ""),
        operator=custom.get("operator", ""),
        source=custom.get("source", ""),
        seed=int(custom.get("seed", "0")),
        stack_version=custom.get("stack_version", ""),
        namespace=custom.get("namespace", "/"),
        recovered=custom.get("recovered", "") == "true",
        started_ns=int(information["starting_time"]["nanoseconds_since_epoch"]),
        seconds=seconds,
        messages=int(information["message_count"]),
        sha256=custom.get("sha256", ""),
        topics=topics,
    )


def _read_or_explain(path: Path) -> EpisodeInfo | BrokenEpisode:
    try:
        return read_episode(path)
    except EpisodeError as error:
        return BrokenEpisode(path, str(error))


def _bags_in(directory: Path) -> list[Path]:
    return [path for path in _folders(directory) if path.name not in (BROKEN, UNFINISHED) and _is_bag(path)]


def _folders(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if path.is_dir() and not path.name.startswith("."))


def _is_bag(path: Path) -> bool:
    return (path / METADATA_FILE).is_file() or any(path.glob("*.mcap"))

"""Repairs episodes whose recording ended without warning: every intact message is written into a new bag, without a label.

A recorder that is killed leaves a file without index whose last chunk may be cut. What holds no intact message is set aside
together with the reason.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sernf_teleop.episode_files import (
    BROKEN,
    METADATA_FILE,
    REASON_FILE,
    START_FILE,
    UNFINISHED,
    EpisodeError,
    move_durably,
    read_information,
    write_custom_data,
    write_durably,
)
from sernf_teleop.episode_writer import EpisodeWriter
from sernf_teleop.message_definitions import MessageDefinitions, UnknownTypeError
from sernf_teleop.recorder_config import SUFFIX, TopicRule, rule_for

MAGIC = b"\x89MCAP0\r\n"
SCHEMA, CHANNEL, MESSAGE, CHUNK = 0x03, 0x04, 0x05, 0x06
RECORD_HEADER = struct.Struct("<BQ")
CHUNK_HEADER = struct.Struct("<QQQI")
MESSAGE_HEADER = struct.Struct("<HIQQ")
WORK_SUFFIX = "-repairing"
RECOVERED_NOTE = "recovered: the recording ended without warning"


@dataclass(frozen=True)
class IntactMessage:
    """One message found in a cut file."""

    topic: str
    msgtype: str
    log_time_ns: int
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Repair:
    """What became of an unfinished episode. `path`: where it is now. `is_readable`: it is part of the data set again."""

    episode_id: str
    path: Path
    is_readable: bool
    message: str
    messages: int = 0


def repair_unfinished(directory: Path, definitions: MessageDefinitions) -> list[Repair]:
    """Repair or set aside everything that lies unfinished in the data set. Raises OSError, for instance for a full disk."""
    folder = directory / UNFINISHED
    if not folder.is_dir():
        return []
    for leftover in folder.glob(f"*{WORK_SUFFIX}"):
        shutil.rmtree(leftover)
    return [repair_episode(path, directory, definitions) for path in sorted(folder.iterdir()) if path.is_dir()]


def repair_episode(path: Path, home: Path, definitions: MessageDefinitions, note: str = RECOVERED_NOTE) -> Repair:
    """Bring the unfinished episode `path` into the data set `home`, or set it aside. Raises OSError."""
    target = home / path.name
    if _is_finished(target):
        shutil.rmtree(path)
        return Repair(episode_id=path.name, path=target, is_readable=True, message="was repaired before, leftovers removed")
    if _is_finished(path):
        (path / START_FILE).unlink(missing_ok=True)
        target = _free_name(home, path.name)
        move_durably(path, target)
        return Repair(episode_id=path.name, path=target, is_readable=True, message="was complete, put into place")
    file = path / f"{path.name}.mcap"
    if not file.is_file() or file.stat().st_size == 0:
        return _set_aside(path, home, f"expected a file {file.name} with messages, got none")
    work = path.with_name(path.name + WORK_SUFFIX) / path.name
    shutil.rmtree(work.parent, ignore_errors=True)
    work.parent.mkdir(parents=True)
    try:
        return _rewrite(path, file, work, home, definitions, note)
    except UnknownTypeError as error:
        return _set_aside(path, home, str(error))
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(work.parent, ignore_errors=True)


def _rewrite(path: Path, file: Path, work: Path, home: Path, definitions: MessageDefinitions, note: str) -> Repair:
    about = _read_start(path)
    writer = EpisodeWriter(work, definitions)
    counts: dict[str, int] = {}
    first_ns, last_ns = 1 << 63, 0
    writer.open()
    try:
        for message in intact_messages(file):
            writer.add_topic(message.topic, message.msgtype)
            writer.write(message.topic, message.log_time_ns, message.data)
            counts[message.topic] = counts.get(message.topic, 0) + 1
            first_ns, last_ns = min(first_ns, message.log_time_ns), max(last_ns, message.log_time_ns)
        if not counts:
            writer.abort()
            return _set_aside(path, home, f"expected messages in {file.name} ({file.stat().st_size} bytes), found no intact one")
        digest = writer.finish()
    except BaseException:
        writer.abort()
        raise
    rules = [TopicRule(**rule) for rule in json.loads(about.pop("rules", "[]"))]
    namespace = about.get("namespace", "/")
    found = {name: rule_for(rules, name.removesuffix(SUFFIX), namespace) for name in counts}
    topics = {name: _topic_entry(found[name], count) for name, count in counts.items()}
    write_custom_data(
        work,
        {
            **about,
            "label": "", "labelled_by": "", "note": note, "recovered": "true",
            "seconds": f"{(last_ns - first_ns) * 1e-9:.3f}", "sha256": digest, "topics": json.dumps(topics),
        },
    )  # fmt: skip
    target = _free_name(home, path.name)
    move_durably(work, target)
    shutil.rmtree(path)
    total = sum(counts.values())
    return Repair(episode_id=path.name, path=target, is_readable=True, messages=total, message=f"recovered {total} messages")


def _topic_entry(rule: TopicRule | None, messages: int) -> dict[str, Any]:
    # How many were dropped or late died with the recorder.
    return {
        "messages": messages, "dropped": None, "late": None, "longest_gap_s": None,
        "expected_hz": None if rule is None else rule.expected_hz, "control": rule is not None and rule.control,
    }  # fmt: skip


def intact_messages(file: Path) -> Iterator[IntactMessage]:
    """Messages of an uncompressed MCAP file, cut or not, in file order, up to the first record that is not intact."""
    content = memoryview(file.read_bytes())
    if content[: len(MAGIC)] != MAGIC:
        return
    with contextlib.suppress(KeyError, struct.error, UnicodeDecodeError):
        yield from _messages(content[len(MAGIC) :])


def _messages(content: memoryview) -> Iterator[IntactMessage]:
    schemas: dict[int, str] = {}
    channels: dict[int, tuple[str, str]] = {}
    for kind, record in _records(content):
        if kind == CHUNK:
            size_end = CHUNK_HEADER.size + 4 + int.from_bytes(record[CHUNK_HEADER.size : CHUNK_HEADER.size + 4], "little")
            inner = _records(record[size_end + 8 :])
        else:
            inner = iter([(kind, record)])
        for inner_kind, inner_record in inner:
            if inner_kind == SCHEMA:
                schemas[int.from_bytes(inner_record[:2], "little")] = _text(inner_record, 2)
            elif inner_kind == CHANNEL:
                channel, schema = struct.unpack_from("<HH", inner_record)
                channels[channel] = (_text(inner_record, 4), schemas[schema])
            elif inner_kind == MESSAGE:
                channel, _, log_time_ns, _ = MESSAGE_HEADER.unpack_from(inner_record)
                topic, msgtype = channels[channel]
                yield IntactMessage(topic, msgtype, log_time_ns, bytes(inner_record[MESSAGE_HEADER.size :]))


def _records(content: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Kind and content of whole records; a cut chunk is passed on as far as it goes."""
    offset = 0
    while offset + RECORD_HEADER.size <= len(content):
        kind, size = RECORD_HEADER.unpack_from(content, offset)
        offset += RECORD_HEADER.size
        whole = offset + size <= len(content)
        if kind == 0 or not (whole or kind == CHUNK):
            return
        yield kind, content[offset : offset + size]
        offset += size


def _text(record: memoryview, offset: int) -> str:
    """A length-prefixed string."""
    end = offset + 4 + int.from_bytes(record[offset : offset + 4], "little")
    return bytes(record[offset + 4 : end]).decode()


def _read_start(path: Path) -> dict[str, str]:
    try:
        content = json.loads((path / START_FILE).read_text())
    except (OSError, ValueError):
        return {"task": "", "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(path.stat().st_mtime))}
    return {str(key): str(value) for key, value in content.items()}


def _is_finished(path: Path) -> bool:
    """Whether only the move into the data set is missing."""
    try:
        return "sha256" in (read_information(path).get("custom_data") or {}) and (path / METADATA_FILE).is_file()
    except EpisodeError:
        return False


def _set_aside(path: Path, home: Path, reason: str) -> Repair:
    target = _free_name(home / BROKEN, path.name)
    write_durably(path / REASON_FILE, reason + "\n")
    move_durably(path, target)
    return Repair(episode_id=path.name, path=target, is_readable=False, message=reason)


def _free_name(folder: Path, name: str) -> Path:
    taken = folder / name
    number = 2
    while taken.exists():
        taken = folder / f"{name}_{number}"
        number += 1
    return taken

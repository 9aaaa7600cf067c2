"""Folders of a data set, and writes that survive a crash: a file is either the old or the new one, never half of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

UNFINISHED = "unfinished"
"""holds the episode that is being recorded, and after a crash what was; renamed into the data set when durable"""
BROKEN = "broken"
"""holds what could not be repaired, each with a REASON_FILE"""
REASON_FILE = "reason.txt"
METADATA_FILE = "metadata.yaml"
START_FILE = "episode.json"
"""what is known about an episode from its start; replaced by METADATA_FILE at its end"""

LABELS = ("success", "failure", "discard")

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class EpisodeError(RuntimeError):
    """An episode that cannot be read; the message says what is wrong with it and what to do."""


def read_information(path: Path) -> dict[str, Any]:
    """The `rosbag2_bagfile_information` of the bag `path`; raises EpisodeError."""
    file = path / METADATA_FILE
    try:
        content = yaml.load(file.read_text(), Loader=_Loader)
    except FileNotFoundError:
        raise EpisodeError(
            f"missing {METADATA_FILE}: not closed properly; move it to {UNFINISHED}/ and start the recorder"
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise EpisodeError(f"{METADATA_FILE} cannot be read: {error}") from error
    information = content.get("rosbag2_bagfile_information") if isinstance(content, dict) else None
    if not isinstance(information, dict):
        raise EpisodeError(f"{METADATA_FILE}: expected a mapping rosbag2_bagfile_information, got something else")
    return information


def write_custom_data(path: Path, changes: Mapping[str, str]) -> None:
    """Change keys of `custom_data` in the bag's metadata.yaml, durable on return. Raises EpisodeError and OSError."""
    information = read_information(path)
    information["custom_data"] = {**(information.get("custom_data") or {}), **changes}
    write_durably(path / METADATA_FILE, yaml.dump({"rosbag2_bagfile_information": information}, Dumper=_Dumper, sort_keys=False))


def write_durably(path: Path, text: str) -> None:
    """Replace the file `path`; when this returns the new content survives a power cut, before that the old one does."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("w", encoding="utf8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync(path.parent)


def move_durably(source: Path, target: Path) -> None:
    """Rename the folder `source` to `target`, which must not exist; durable on return."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)
    sync(target.parent)
    sync(source.parent)


def sync(path: Path) -> None:
    """Wait until the file or folder `path` is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def free_mb(path: Path) -> float:
    """Space that is left for us on the disk of `path`, in MB."""
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize / 1e6

"""The two files of a checkpoint on the disk: replaced together although a file system renames only one at a time.

While a pair is being replaced the old weights stay beside the new ones as NAME.safetensors.previous; the JSON, renamed last,
decides which of the two belong to it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

WEIGHTS_SUFFIX, JSON_SUFFIX = ".safetensors", ".json"
PREVIOUS = ".previous"
ATTEMPTS = 3
"""Reading begins anew when another process replaces the pair meanwhile."""


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be used; the message names the file, what is wrong with it and what to do."""


def both_files(path: Path) -> tuple[Path, Path]:
    """NAME.safetensors and NAME.json for either of them or for NAME."""
    stem = str(path)
    for suffix in (WEIGHTS_SUFFIX, JSON_SUFFIX):
        stem = stem.removesuffix(suffix)
    return Path(stem + WEIGHTS_SUFFIX), Path(stem + JSON_SUFFIX)


def write_pair(weights_file: Path, weights: bytes, json_file: Path, text: str) -> None:
    """Replace both files; durable on return. Raises OSError and then leaves the old pair readable."""
    weights_file.parent.mkdir(parents=True, exist_ok=True)
    new_weights, new_json, previous = _beside(weights_file, ".new"), _beside(json_file, ".new"), _beside(weights_file, PREVIOUS)
    try:
        _write(new_weights, weights)
        _write(new_json, text.encode())
        if json_file.exists() and weights_file.exists():
            old = weights_file.read_bytes()
            if _sha256(old) == _wanted_sha256(_read(json_file)):
                _write(previous, old)
        new_weights.replace(weights_file)
        _sync(weights_file.parent)
        new_json.replace(json_file)
        _sync(weights_file.parent)
        previous.unlink(missing_ok=True)
    finally:
        for temporary in (new_weights, new_json):
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def read_pair(weights_file: Path, json_file: Path) -> tuple[bytes, bytes]:
    """The JSON, and the weights that it speaks of if they are there, else those that are. Raises CheckpointError."""
    text = _read(json_file)
    for _ in range(ATTEMPTS):
        weights = _read(weights_file)
        wanted = _wanted_sha256(text)
        if _sha256(weights) == wanted:
            break
        with contextlib.suppress(OSError):
            before = _beside(weights_file, PREVIOUS).read_bytes()
            if _sha256(before) == wanted:
                return text, before
        again = _read(json_file)
        if again == text:
            break
        text = again
    return text, weights


def header_of(weights: bytes) -> dict[str, str]:
    """Metadata in the header of safetensors bytes that were found valid."""
    length = int.from_bytes(weights[:8], "little")
    metadata: dict[str, str] = json.loads(weights[8 : 8 + length]).get("__metadata__", {})
    return metadata


def _wanted_sha256(text: bytes) -> str:
    """Hash of the weights that the JSON speaks of; empty when it cannot be read."""
    try:
        content = json.loads(text)
    except ValueError:
        return ""
    return str(content.get("sha256", "")) if isinstance(content, dict) else ""


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"{path}: expected this file, it does not exist; a checkpoint is two files, copy both") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

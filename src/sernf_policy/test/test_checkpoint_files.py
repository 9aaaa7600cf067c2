"""A pair of files is replaced as one: whatever crashes in between, the old or the new can be read."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path

import pytest

from sernf_policy import checkpoint_files
from sernf_policy.checkpoint_files import both_files, read_pair, write_pair


def pair(number: int) -> tuple[bytes, str]:
    weights = bytes([number % 256]) * 5000
    return weights, json.dumps({"sha256": hashlib.sha256(weights).hexdigest(), "number": number})


def write(path: Path, number: int) -> None:
    weights_file, json_file = both_files(path)
    weights, text = pair(number)
    write_pair(weights_file, weights, json_file, text)


def read(path: Path) -> int:
    """Raises AssertionError for a mixed pair."""
    text, weights = read_pair(*both_files(path))
    content = json.loads(text)
    assert hashlib.sha256(weights).hexdigest() == content["sha256"]
    return int(content["number"])


class Crash(Exception):
    pass


def crashing_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """The process dies at the `step`-th thing that it does to the disk: nothing is tidied up."""
    done = 0

    def counted(real):  # type: ignore[no-untyped-def]
        def call(*arguments: object, **named: object) -> object:
            nonlocal done
            done += 1
            if done >= step:
                raise Crash
            return real(*arguments, **named)

        return call

    for name in ("replace", "unlink"):
        monkeypatch.setattr(checkpoint_files.Path, name, counted(getattr(Path, name)))
    for name in ("_write", "_sync"):
        monkeypatch.setattr(checkpoint_files, name, counted(getattr(checkpoint_files, name)))


@pytest.mark.parametrize("step", range(1, 9))
def test_a_crash_at_any_point_leaves_the_old_or_the_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    path = tmp_path / "last"
    write(path, 1)
    with monkeypatch.context() as patch:
        crashing_at(patch, step)
        with pytest.raises(Crash):
            write(path, 2)
    assert read(path) in (1, 2)
    write(path, 3)
    assert read(path) == 3
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["last.json", "last.safetensors"]


@pytest.mark.parametrize("first", range(1, 9))
@pytest.mark.parametrize("second", range(1, 9))
def test_two_crashes_in_a_row_lose_nothing_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int, second: int
) -> None:
    path = tmp_path / "last"
    write(path, 1)
    for number, step in ((2, first), (3, second)):
        with monkeypatch.context() as patch:
            crashing_at(patch, step)
            with pytest.raises(Crash):
                write(path, number)
        assert read(path) in (1, 2, 3)


def test_a_full_disk_leaves_the_old_pair_and_no_remains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last"
    write(path, 1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_files, "_write", full)
        with pytest.raises(OSError, match="No space"):
            write(path, 2)
    assert read(path) == 1
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["last.json", "last.safetensors"]


def test_who_reads_while_another_writes_never_sees_a_mixed_pair(tmp_path: Path) -> None:
    path = tmp_path / "last"
    write(path, 0)
    finished = threading.Event()

    def writer() -> None:
        for number in range(1, 60):
            write(path, number)
        finished.set()

    thread = threading.Thread(target=writer)
    thread.start()
    seen = []
    while not finished.is_set():
        seen.append(read(path))
    thread.join(30.0)
    assert read(path) == 59
    assert seen == sorted(seen)

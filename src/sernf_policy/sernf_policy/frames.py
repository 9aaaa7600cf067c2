"""Messages between a process and its child over a pipe: a JSON mapping and any number of byte strings, and nothing executable."""

from __future__ import annotations

import json
import os
import select
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Any

SIZES = struct.Struct("<II")
SIZE = struct.Struct("<Q")
READ_BYTES = 1 << 16
LONGEST_WAIT_S = 0.5


class PipeClosed(RuntimeError):
    """The other side is gone."""


class PipeTimeout(RuntimeError):
    """The other side said nothing, or too slowly."""


def send(descriptor: int, message: Mapping[str, Any], parts: Sequence[bytes] = ()) -> None:
    """Write everything. Raises PipeClosed."""
    text = json.dumps(dict(message)).encode()
    head = SIZES.pack(len(text), len(parts)) + text + b"".join(SIZE.pack(len(part)) for part in parts)
    try:
        for piece in (head, *parts):
            view = memoryview(piece)
            while view:
                view = view[os.write(descriptor, view) :]
    except OSError as error:
        raise PipeClosed(str(error)) from error


def receive(descriptor: int, *, timeout_s: float | None) -> tuple[dict[str, Any], list[bytes]]:
    """The next message; None waits as long as the other side lives. Raises PipeClosed and PipeTimeout."""
    deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
    text_size, count = SIZES.unpack(_read(descriptor, SIZES.size, deadline_s))
    message: dict[str, Any] = json.loads(_read(descriptor, text_size, deadline_s))
    sizes = [SIZE.unpack(_read(descriptor, SIZE.size, deadline_s))[0] for _ in range(count)]
    return message, [_read(descriptor, size, deadline_s) for size in sizes]


def _read(descriptor: int, size: int, deadline_s: float | None) -> bytes:
    pieces: list[bytes] = []
    while size > 0:
        left_s = LONGEST_WAIT_S if deadline_s is None else deadline_s - time.monotonic()
        if left_s <= 0.0:
            raise PipeTimeout("nothing came in time")
        if not select.select([descriptor], [], [], min(left_s, LONGEST_WAIT_S))[0]:
            continue
        piece = os.read(descriptor, min(size, READ_BYTES))
        if not piece:
            raise PipeClosed("the other side has closed the pipe")
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)

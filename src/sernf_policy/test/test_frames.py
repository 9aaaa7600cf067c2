"""Messages over a pipe arrive whole, and the end of the other side is noticed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from sernf_policy.frames import PipeClosed, PipeTimeout, receive, send


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        try:
            os.close(descriptor)
        except OSError:
            continue


def test_messages_and_large_parts_arrive_in_order(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    parts = (os.urandom(3_000_000), b"", b"x")
    messages = [({"number": 1, "text": "größer"}, parts), ({"number": 2}, ())]
    thread = threading.Thread(target=lambda: [send(writer, *message) for message in messages], daemon=True)
    thread.start()
    for message, sent in messages:
        assert receive(reader, timeout_s=10.0) == (message, list(sent))
    thread.join(10.0)


def test_silence_and_half_a_message_end_in_time(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    with pytest.raises(PipeTimeout):
        receive(reader, timeout_s=0.05)
    os.write(writer, b"\x05\x00")
    with pytest.raises(PipeTimeout):
        receive(reader, timeout_s=0.05)


def test_a_closed_pipe_is_noticed_on_both_sides(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.close(writer)
    with pytest.raises(PipeClosed):
        receive(reader, timeout_s=None)
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(PipeClosed):
        send(writer, {})
    os.close(writer)

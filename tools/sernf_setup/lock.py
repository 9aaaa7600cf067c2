"""One set-up at a time per clone.

Child processes inherit the lock: when the set-up is killed, the lock stays until the last of its children has ended, so that a
new run never works beside an orphan. The kernel frees it, so there is no stale lock to remove.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sernf_setup.errors import SetupError


@contextlib.contextmanager
def exclusive(path: Path, say: Callable[[str], None], timeout_s: float = 1800.0) -> Iterator[int]:
    """Hold the lock; the value is its file descriptor, for children to inherit. Raises SetupError after `timeout_s`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _acquire(descriptor, path, say, timeout_s)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, say: Callable[[str], None], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode() or "unknown"
            if not told:
                say(f"another ./sernf is setting up this clone (process {holder}): waiting for it")
                told = True
        if time.monotonic() > deadline:
            raise SetupError(
                f"the other set-up to end within {timeout_s:.0f} s",
                f"process {holder} still holds {path}",
                f"see what it does: ps {holder}",
            )
        time.sleep(0.2)

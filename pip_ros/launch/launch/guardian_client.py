"""The launch's side of the guardian (see guardian.py)."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

PERIOD_S = 5.0


class GuardianClient:
    """Starts the guardian with the first group and tells it of every other."""

    def __init__(self, period_s: float = PERIOD_S) -> None:
        self._period_s = period_s
        self._process: subprocess.Popen[bytes] | None = None

    def watch(self, group: int) -> None:
        """From now on the group ends when this process does."""
        self._tell(f"+{group}\n")

    def release(self, group: int) -> None:
        """The group's leader has ended; what it left behind is ended too."""
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """Let the guardian end everything that is left, and wait for it."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=2 * self._period_s + 5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _tell(self, line: str) -> None:
        try:
            self._write(line)
        except BrokenPipeError:  # somebody killed it: the next one watches what starts from now on
            self._process = None
            self._write(line)

    def _write(self, line: str) -> None:
        if self._process is None:
            # -I -S: no site packages, so it starts in milliseconds and nothing of the environment can break it.
            command = [sys.executable, "-I", "-S", str(Path(__file__).with_name("guardian.py")), str(self._period_s)]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()

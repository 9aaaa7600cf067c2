"""A training process as its parent sees it: started at low priority, listened to, told things, stopped, and never waited for.

`poll` does all the work and returns at once. A process that is killed, be it because it said nothing for too long, ends as
CRASHED; one that gives up without saying how its job ended, as FAILED. Both come with the reason and the last words of its
stderr, which is kept in FOLDER/stderr.log.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any

STDERR_FILE = "stderr.log"
LAST_LINES = 6
MOST_BYTES = 1 << 16
LONGEST_LINE_BYTES = 1 << 20
DEFAULT_COMMAND = (sys.executable, "-m", "sernf_learner.train_job")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True, kw_only=True)
class ProcessConfig:
    """`command`: what JOBDIR and --attached are appended to; empty: `-m sernf_learner.train_job` with this Python.

    `nice`: 0 to 19, so that control comes first. `threads`: of the numerical libraries. `silence_timeout_s`: a process that says
    nothing for so long hangs. `stop_timeout_s`: how long it may take to save its state when it is told to stop.
    """

    command: tuple[str, ...] = ()
    nice: int = 10
    threads: int = 1
    silence_timeout_s: float = 300.0
    stop_timeout_s: float = 20.0

    def __post_init__(self) -> None:
        if not 0 <= self.nice <= 19:
            raise ValueError(f"nice: expected 0 to 19, got {self.nice}")
        if self.threads < 1:
            raise ValueError(f"threads: expected 1 or more, got {self.threads}")
        for name in ("silence_timeout_s", "stop_timeout_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: expected a positive number of seconds, got {getattr(self, name)}")


class EndKind(str, Enum):
    """How a training process ended. STOPPED: as it was told to. CRASHED: killed. After these two it can go on from its state."""

    DONE = "done"
    HALTED = "halted"
    FAILED = "failed"
    STOPPED = "stopped"
    CRASHED = "crashed"


@dataclass(frozen=True)
class ProcessEnd:
    """How it ended, and what is to be said about it."""

    kind: EndKind
    message: str


class TrainingProcess:
    """One run of the training process in `folder`, which holds job.json. A context manager: leaving it kills what still runs."""

    def __init__(self, folder: Path, config: ProcessConfig) -> None:
        self.end: ProcessEnd | None = None
        """set by the `poll` that finds the process ended, whose events are the last"""
        self._folder = folder
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        self._said = b""
        self._to_tell = b""
        self._ending: dict[str, Any] | None = None
        self._last_word_s = 0.0
        self._stop_deadline_s: float | None = None
        self._killed_because = ""
        self._stderr_start = 0

    def start(self) -> None:
        """Raises OSError."""
        command = [*(self._config.command or DEFAULT_COMMAND), str(self._folder), "--attached"]
        threads = dict.fromkeys(THREAD_VARIABLES, str(self._config.threads))
        stderr = self._folder / STDERR_FILE
        with stderr.open("ab") as log:
            self._stderr_start = log.tell()
            # A session of its own: a Ctrl-C in our terminal is ours alone, and the whole family can be killed.
            self._process = subprocess.Popen(
                ["nice", "-n", str(self._config.nice), *command], env={**os.environ, **threads}, start_new_session=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        os.set_blocking(self._process.stdout.fileno(), False)
        self._last_word_s = time.monotonic()

    @property
    def pid(self) -> int:
        """Of the process; raises RuntimeError before the start."""
        if self._process is None:
            raise RuntimeError("the training process has not been started; call start first")
        return self._process.pid

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send a line to the process's stdin, with the next `poll`s."""
        self._to_tell += json.dumps(dict(message)).encode() + b"\n"

    def stop(self) -> None:
        """Ask it to save its state and end; when it does not within `stop_timeout_s` it is killed."""
        if self._process is None or self._stop_deadline_s is not None:
            return
        self._stop_deadline_s = time.monotonic() + self._config.stop_timeout_s
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def poll(self) -> list[dict[str, Any]]:
        """Events since the last call, the oldest first. `end` is set when there will be no more."""
        if self._process is None or self.end is not None:
            return []
        status = self._process.poll()
        self._write()
        events = list(self._read())
        now = time.monotonic()
        if events:
            self._last_word_s = now
        if status is not None:
            self._finish(status)
        elif self._stop_deadline_s is not None:
            if now > self._stop_deadline_s:
                self._kill(f"did not stop within {self._config.stop_timeout_s:g} s")
        elif now > self._last_word_s + self._config.silence_timeout_s:
            self._kill(f"said nothing for {self._config.silence_timeout_s:g} s")
        return events

    def wait(self, timeout_s: float) -> list[dict[str, Any]]:
        """`poll` until the end, at most `timeout_s`; returns the events."""
        deadline = time.monotonic() + timeout_s
        events = self.poll()
        while self._process is not None and self.end is None and time.monotonic() < deadline:
            time.sleep(0.02)
            events += self.poll()
        return events

    def __enter__(self) -> TrainingProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process is not None and self.end is None:
            self._kill("its parent ended")
            self.wait(5.0)

    def _write(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        if self._to_tell:
            # What does not go into the pipe now goes with a later call; a process that has ended needs nothing.
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                self._to_tell = self._to_tell[os.write(self._process.stdin.fileno(), self._to_tell) :]

    def _read(self) -> Iterator[dict[str, Any]]:
        assert self._process is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._process.stdout.fileno(), MOST_BYTES):
                *lines, rest = (self._said + data).split(b"\n")
                self._said = rest[-LONGEST_LINE_BYTES:]
                for line in lines:
                    event = _parse(line)
                    if event is None:
                        logging.getLogger(__name__).warning("training says: %s", line.decode(errors="replace")[:300])
                    elif event["event"] in ("progress", "checkpoint"):
                        yield event
                    else:
                        self._ending = event

    def _finish(self, status: int) -> None:
        assert self._process is not None
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # children that it has left behind
        self.end = self._explain(status)

    def _explain(self, status: int) -> ProcessEnd:
        if self._ending is not None and self._ending["event"] in {kind.value for kind in EndKind}:
            return ProcessEnd(EndKind(self._ending["event"]), str(self._ending.get("message", "")))
        if self._stop_deadline_s is not None:
            return ProcessEnd(EndKind.STOPPED, self._killed_because)
        if self._killed_because:
            cause = f"training {self._killed_because} and was killed"
        elif status < 0:
            cause = f"training was killed by {signal.Signals(-status).name}"
        else:
            cause = f"training ended with status {status} without saying how"
        return ProcessEnd(EndKind.CRASHED if status < 0 else EndKind.FAILED, cause + self._last_words())

    def _last_words(self) -> str:
        file = self._folder / STDERR_FILE
        try:
            with file.open("rb") as log:
                log.seek(self._stderr_start)
                words = log.read().decode(errors="replace").split("\n")
        except OSError:
            return ""
        told = [line.strip() for line in words if line.strip()][-LAST_LINES:]
        return f"; its last words, more in {file}: {' | '.join(told)}" if told else ""

    def _kill(self, why: str) -> None:
        assert self._process is not None
        self._killed_because = self._killed_because or why
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None

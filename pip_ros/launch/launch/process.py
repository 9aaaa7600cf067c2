"""One running process: its output by lines, its end, and how it is made to end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .guardian_client import GuardianClient
from .output import Output, shown_on_screen

_READ_BYTES = 65536


@dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """What to run. Timeouts count from the signal before, in seconds."""

    name: str
    command: Sequence[str]
    cwd: str | None
    environment: Mapping[str, str]
    shell: bool
    output_mode: str
    sigterm_timeout_s: float
    sigkill_timeout_s: float


class ManagedProcess:
    """A process in a session of its own, so that signals reach all its children and a terminal's Ctrl-C reaches none.

    ``start`` and ``stop`` belong to the thread of the event loop; ``on_exit`` is called there with the return code, after the
    last line of output.
    """

    def __init__(self, spec: ProcessSpec, *, output: Output, guardian: GuardianClient, on_exit: Callable[[int], None]) -> None:
        self.spec = spec
        self._output = output
        self._guardian = guardian
        self._on_exit = on_exit
        self._process: subprocess.Popen[bytes] | None = None
        self._streams: dict[int, _LineStream] = {}
        self._escalation: asyncio.TimerHandle | None = None
        self._is_stopping = False

    @property
    def pid(self) -> int:
        """Process number; only after ``start``."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it. Raises OSError when the command cannot be run."""
        loop = asyncio.get_running_loop()
        self._process = subprocess.Popen(
            " ".join(self.spec.command) if self.spec.shell else self.spec.command,
            cwd=self.spec.cwd,
            env=self.spec.environment,
            shell=self.spec.shell,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._guardian.watch(self._process.pid)
        self._output.message("INFO", self.spec.name, f"process started with pid [{self._process.pid}]")
        for pipe, stream_name in ((self._process.stdout, "stdout"), (self._process.stderr, "stderr")):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            screen = shown_on_screen(self.spec.output_mode, stream_name)
            self._streams[pipe.fileno()] = _LineStream(f"[{self.spec.name}]", self._output, screen)
            loop.add_reader(pipe.fileno(), self._read, pipe.fileno())
        threading.Thread(target=self._wait, args=(loop, self._process), daemon=True).start()

    def stop(self) -> None:
        """Ask it to end with SIGINT; SIGTERM and SIGKILL follow when it does not. Further calls change nothing."""
        if not self._is_stopping:
            self._is_stopping = True
            self._signal(signal.SIGINT)
            self._escalate_after(self.spec.sigterm_timeout_s, signal.SIGINT, signal.SIGTERM)

    def _escalate_after(self, timeout_s: float, sent: signal.Signals, following: signal.Signals) -> None:
        def escalate() -> None:
            self._output.message(
                "ERROR",
                self.spec.name,
                f"process [{self.pid}] has not ended {timeout_s:g} seconds after '{sent.name}', escalating to '{following.name}'",
            )
            self._signal(following)
            if following is signal.SIGTERM:
                self._escalate_after(self.spec.sigkill_timeout_s, signal.SIGTERM, signal.SIGKILL)

        self._escalation = asyncio.get_running_loop().call_later(timeout_s, escalate)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        if self._process.returncode is not None:
            return
        self._output.message("INFO", self.spec.name, f"sending signal '{number.name}' to process [{self.pid}]")
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:  # it ended a moment ago and is about to be reported
            pass
        except PermissionError:
            self._output.message("ERROR", self.spec.name, f"not permitted to send '{number.name}' to process [{self.pid}]")

    def _wait(self, loop: asyncio.AbstractEventLoop, process: subprocess.Popen[bytes]) -> None:
        return_code = process.wait()
        with contextlib.suppress(RuntimeError):  # the loop was closed by an error: the guardian has ended the process
            loop.call_soon_threadsafe(self._ended, return_code)

    def _ended(self, return_code: int) -> None:
        if self._escalation is not None:
            self._escalation.cancel()
        for fd in list(self._streams):
            while self._read(fd):
                pass
            self._close(fd)
        assert self._process is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._process.stdout.close()
        self._process.stderr.close()
        self._guardian.release(self.pid)
        if return_code == 0:
            self._output.message("INFO", self.spec.name, f"process has finished cleanly [pid {self.pid}]")
        else:
            self._output.message(
                "ERROR",
                self.spec.name,
                f"process has died [pid {self.pid}, exit code {return_code}, cmd '{' '.join(self.spec.command)}']",
            )
        self._on_exit(return_code)

    def _read(self, fd: int) -> bool:
        """Take what is there; False when there is nothing (more)."""
        if fd not in self._streams:
            return False
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._close(fd)
            return False
        self._streams[fd].feed(data)
        return True

    def _close(self, fd: int) -> None:
        stream = self._streams.pop(fd, None)
        if stream is not None:
            asyncio.get_running_loop().remove_reader(fd)
            stream.finish()


class _LineStream:
    """Cuts bytes into lines with a prefix."""

    def __init__(self, prefix: str, output: Output, screen: bool) -> None:
        self._prefix = prefix
        self._output = output
        self._screen = screen
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._write(line)

    def finish(self) -> None:
        if self._rest:
            self._write(self._rest)
        self._rest = b""

    def _write(self, line: bytes) -> None:
        self._output.line(f"{self._prefix} {line.decode(errors='replace').rstrip()}", screen=self._screen)

"""A franky-sim server in a process of its own, on a loopback address of its own, that tests can kill, freeze and restart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

START_TIMEOUT_S = 60.0


class FrankySimServer:
    """Context manager; `host` is the address to connect to, different for every process that runs tests."""

    def __init__(self) -> None:
        self.host = f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}.{1 + os.getpid() // 25_000 % 250}"
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        """Start and wait until clients can connect."""
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "franky_sim.run_server", "-s", "mujoco", "--hostname", self.host],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._process = process
        output = process.stdout
        assert output is not None
        ready = threading.Event()
        lines: list[str] = []

        def drain() -> None:
            for line in output:
                lines.append(line)
                if "Press Ctrl+C" in line:
                    ready.set()

        self._reader = threading.Thread(target=drain, daemon=True)
        self._reader.start()
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not ready.wait(0.05):
            if process.poll() is not None or time.monotonic() > deadline_s:
                self.kill()
                raise RuntimeError(f"franky-sim did not start within {START_TIMEOUT_S} s; it said: {''.join(lines)}")

    def kill(self) -> None:
        """End it without any goodbye."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._reader is not None:
                self._reader.join(5.0)
            self._process = None

    def freeze(self) -> None:
        """Stop it in its tracks; the connection stays open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "the server does not run"
        self._process.send_signal(number)

    def __enter__(self) -> FrankySimServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

"""Runs launch descriptions as programs of their own, so that tests can send them signals."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

TIMEOUT_S = 30.0

HEAD = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import *
from launch.conditions import *
from launch.event_handlers import *
from launch.events import Shutdown as ShutdownEvent
from launch.substitutions import *
def shell(text, **keywords):
    return ExecuteProcess(cmd=["sh", "-c", text], output="screen", **keywords)
"""
TAIL = """
service = LaunchService()
service.include_launch_description(LaunchDescription(actions))
sys.exit(service.run())
"""


class Launch:
    """A running launch; `output` collects in a file, so nothing that a test leaves unread can block it."""

    def __init__(self, process: subprocess.Popen[bytes], output_file: Path) -> None:
        self.process = process
        self._output_file = output_file

    @property
    def output(self) -> str:
        return self._output_file.read_text(errors="replace")

    def wait_for(self, text: str, count: int = 1) -> None:
        wait_until(lambda: self.output.count(text) >= count, lambda: f"{count} x {text!r} in\n{self.output}")

    def wait(self) -> int:
        return self.process.wait(TIMEOUT_S)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)


def wait_until(condition: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {TIMEOUT_S} s for {what()}"
        time.sleep(0.02)


@contextlib.contextmanager
def running(actions: str, tmp_path: Path) -> Iterator[Launch]:
    """A launch of `actions`, Python text that sets the list `actions`."""
    script = tmp_path / "script.py"
    script.write_text(HEAD + actions + TAIL)
    output_file = tmp_path / "output.txt"
    with output_file.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(script)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "ROS_LOG_DIR": str(tmp_path / "log"), "PYTHONUNBUFFERED": "1"},
        )
    try:
        yield Launch(process, output_file)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def wait_gone(pid: int) -> None:
    wait_until(lambda: not is_running(pid), lambda: f"the end of process {pid}")

"""The running graph seen from a command: bringup as a child process, and a node that a background thread spins."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

import rclpy
from ament_index_python.packages import get_package_share_directory
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from sernf_node.node import spin_until

STOP_TIMEOUT_S = 30.0


class GraphError(RuntimeError):
    """The graph could not be started or has died; the message says where its log is."""


def launch_file() -> Path:
    """Bringup as installed; by path, because `ros2 launch` prefers a file `sernf` in the present folder to the package."""
    return Path(get_package_share_directory("sernf")) / "launch" / "bringup.launch.py"


def launch_command(arguments: Mapping[str, object]) -> list[str]:
    """Command line of bringup; booleans as launch files spell them."""
    spelled = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in arguments.items()}
    return ["ros2", "launch", str(launch_file()), *(f"{name}:={value}" for name, value in spelled.items())]


class Graph:
    """Bringup as a child process; its output goes to `log`. A context manager: leaving it stops every process."""

    def __init__(self, arguments: Mapping[str, object], log: Path) -> None:
        self._command = launch_command(arguments)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Graph:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            # A session of its own: Ctrl-C reaches this process first, which then ends the episode before it ends the graph.
            self._process = subprocess.Popen(self._command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        return self

    def check(self) -> None:
        """Raises GraphError if bringup has ended."""
        if self._process is not None and self._process.poll() is not None:
            raise GraphError(f"the graph ended with status {self._process.returncode}; its log is {self._log}\n{self.log_tail()}")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        process = self._process
        if process is None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    @property
    def pid(self) -> int:
        """Of the launch process, whose children are the nodes; raises GraphError before the start."""
        if self._process is None:
            raise GraphError("the graph has not been started; use it as a context manager")
        return self._process.pid

    def wait(self, timeout_s: float) -> int:
        """Exit status of bringup; raises GraphError when it does not end."""
        try:
            return self._process.wait(timeout_s) if self._process is not None else 0
        except subprocess.TimeoutExpired:
            raise GraphError(f"the graph did not end within {timeout_s:g} s; its log is {self._log}") from None

    def log_tail(self, lines: int = 12) -> str:
        """The last lines of what the graph said."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])


@contextlib.contextmanager
def spinning_node(name: str) -> Iterator[Node]:
    """A node whose callbacks run in a background thread."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node(name)
    done: Future[None] = Future()
    thread = threading.Thread(target=spin_until, args=(node, done), name="spin", daemon=True)
    thread.start()
    try:
        yield node
    finally:
        done.set_result(None)
        thread.join(timeout=10.0)
        node.destroy_node()
        rclpy.try_shutdown()

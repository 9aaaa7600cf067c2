"""The 250 Hz control loop under load: simulation, cameras, recorder and a CPU-bound process beside it.

Commands go out at 20 Hz as a policy would send them; the bridge's own clock readings per tick and per command (`timing_file`)
answer. A second process runs the same timer with an empty callback at the same time: what it misses, the machine misses.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rich.console import Console
from std_srvs.srv import Trigger

from sernf.bench.report import Metric, Report
from sernf.episode_series import PRIVATE_DOMAIN
from sernf.graph import Graph, spinning_node
from sernf.service_calls import ServiceCalls
from sernf_msgs.msg import BridgeState, JointCommand
from sernf_msgs.srv import EndEpisode, SetSource, StartEpisode
from sernf_robot.joints import JOINTS

CONTROL_RATE_HZ = 250.0
COMMAND_RATE_HZ = 20.0
AMPLITUDE_RAD = 0.05
LATE_MS = 10.0
WARM_UP_S = 3.0
LAST_ANSWERS_S = 1.0


class Commander:
    """Sends a slow sine about the executed pose from a thread of its own, and keeps the stamps."""

    def __init__(self, node: Node) -> None:
        self._clock = Clock(clock_type=ClockType.SYSTEM_TIME)
        self._publisher = node.create_publisher(JointCommand, "joint_command", QoSProfile(depth=10))
        node.create_subscription(BridgeState, "bridge_state", self._on_bridge_state, QoSProfile(depth=50))
        self.state: BridgeState | None = None
        self.sent_ns: list[int] = []

    def run(self, seconds: float) -> None:
        """Send for `seconds`, at COMMAND_RATE_HZ."""
        assert self.state is not None
        start = np.array(self.state.executed_position_rad)
        message = JointCommand(source=JointCommand.SOURCE_POLICY, joint_names=list(JOINTS))
        began = time.monotonic()
        for step in range(int(seconds * COMMAND_RATE_HZ)):
            time.sleep(max(0.0, began + step / COMMAND_RATE_HZ - time.monotonic()))
            phase = 2.0 * np.pi * 0.25 * step / COMMAND_RATE_HZ
            message.position_rad = start + AMPLITUDE_RAD * np.sin(phase)
            now = self._clock.now()
            message.header.stamp = now.to_msg()
            self._publisher.publish(message)
            self.sent_ns.append(now.nanoseconds)

    def _on_bridge_state(self, message: BridgeState) -> None:
        self.state = message


def measure(seconds: float, console: Console) -> Report:
    """Raises RuntimeError when the graph does not come up or ends early."""
    os.environ.setdefault("ROS_DOMAIN_ID", str(PRIVATE_DOMAIN))
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder)
        timing_file = files / "ticks.npy"
        bare_file = files / "bare.npy"
        arguments = {
            "robot": "sim", "operator": "none", "demonstrate": False, "policy": False, "learner": False, "recorder": True,
            "cameras": True, "headless": True, "episodes": files / "episodes", "timing_file": timing_file,
        }  # fmt: skip
        with Graph(arguments, files / "bringup.log") as graph, spinning_node("bench") as node:
            commander = Commander(node)
            calls = ServiceCalls(node, graph.check)
            first = _prepare(calls, commander)
            console.print(f"measuring for {seconds:g} s beside cameras, recorder and a CPU-bound process")
            with _cpu_bound_process(), _bare_timer(bare_file):
                time.sleep(WARM_UP_S)
                sender = threading.Thread(target=commander.run, args=(seconds,), daemon=True)
                window_start = time.monotonic()
                sender.start()
                while sender.is_alive():
                    sender.join(0.2)
                    graph.check()
                window_end = time.monotonic()
            time.sleep(LAST_ANSWERS_S)
            last = commander.state or first
            calls.call(EndEpisode, "recorder/end_episode", EndEpisode.Request(label="discard", labelled_by="judge"))
        window_s = (window_start, window_end)
        return _report(
            commander, first, last, _timings(timing_file), _timings(files / "ticks_commands.npy"), np.load(bare_file), window_s
        )


def _prepare(calls: ServiceCalls, commander: Commander) -> BridgeState:
    calls.call(Trigger, "hw_bridge/clear_fault", timeout_s=60.0)
    calls.call(SetSource, "hw_bridge/set_source", SetSource.Request(source=JointCommand.SOURCE_POLICY))
    request = StartEpisode.Request(task="duck", operator_name="bench", source=JointCommand.SOURCE_POLICY)
    calls.call(StartEpisode, "recorder/start_episode", request, timeout_s=30.0)
    calls.wait_until(lambda: commander.state is not None, 10.0)
    if commander.state is None:
        raise RuntimeError("no message on bridge_state within 10 s; look at the log of hw_bridge")
    return commander.state


def _report(
    commander: Commander,
    first: BridgeState,
    last: BridgeState,
    ticks: NDArray[np.void],
    commands: NDArray[np.void],
    bare_start_s: NDArray[np.float64],
    window_s: tuple[float, float],
) -> Report:
    ticks = ticks[_inside(ticks["start_ns"] / 1e9, window_s)]
    error_ms = _period_error_ms(ticks["start_ns"] / 1e9)
    bare_error_ms = _period_error_ms(bare_start_s[_inside(bare_start_s, window_s)])
    executed = commands[np.isin(commands["stamp_ns"], commander.sent_ns)]
    return Report(
        metrics={
            "period_error_ms": Metric.of(np.abs(error_ms), "ms"),
            "bare_period_error_ms": Metric.of(np.abs(bare_error_ms), "ms"),
            "command_to_execution_ms": Metric.of((executed["executed_ns"] - executed["stamp_ns"]) / 1e6, "ms"),
            "filter_ms": Metric.of(ticks["filter_s"] * 1e3, "ms"),
            "tick_ms": Metric.of(ticks["tick_s"] * 1e3, "ms"),
        },
        counts={
            "ticks": len(ticks),
            "late_ticks_10ms": int((error_ms > LATE_MS).sum()),
            "bare_late_ticks_10ms": int((bare_error_ms > LATE_MS).sum()),
            "sent_commands": len(commander.sent_ns),
            "lost_commands": len(commander.sent_ns) - len(executed),
            "rejected_commands": int(last.commands_rejected - first.commands_rejected),
        },
    )


def _inside(start_s: NDArray[np.float64], window: tuple[float, float]) -> NDArray[np.bool_]:
    return np.asarray((start_s >= window[0]) & (start_s <= window[1]))


def _period_error_ms(start_s: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((np.diff(start_s) - 1.0 / CONTROL_RATE_HZ) * 1e3)


def _timings(file: Path) -> NDArray[np.void]:
    if not file.is_file():
        raise RuntimeError(f"hw_bridge left no timing file at {file}; it did not end properly")
    rows: NDArray[np.void] = np.load(file)
    return rows


@contextlib.contextmanager
def _cpu_bound_process() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _bare_timer(file: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "sernf.bench.bare_timer", str(CONTROL_RATE_HZ), str(file)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        yield
        process.communicate(timeout=20.0)
    finally:
        process.kill()
        process.wait()

"""The real graph in real processes, as a test sees it: start bringup, watch the bridge, command the robot, kill nodes."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import SetParameters
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from std_srvs.srv import Trigger

from sernf.graph import Graph, spinning_node
from sernf.service_calls import ServiceCalls
from sernf_msgs.msg import BridgeState, JointCommand
from sernf_msgs.srv import EndEpisode, SetSource, StartEpisode
from sernf_node.realtime import freeze_garbage, thaw_garbage
from sernf_robot.joints import JOINTS

START_TIMEOUT_S = 60.0
COMMAND_PERIOD_S = 0.05


class RunningGraph:
    """One bringup and one node beside it."""

    def __init__(self, graph: Graph, node: Node, episodes: Path) -> None:
        self.graph = graph
        self.node = node
        self.episodes = episodes
        self.calls = ServiceCalls(node)
        self.bridge: BridgeState | None = None
        self._bridge_diagnostics: dict[str, str] = {}
        self._commands = node.create_publisher(JointCommand, "joint_command", QoSProfile(depth=10))
        self._clock = Clock(clock_type=ClockType.SYSTEM_TIME)
        node.create_subscription(BridgeState, "bridge_state", self._on_bridge_state, QoSProfile(depth=50))
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 50)

    def _on_bridge_state(self, message: BridgeState) -> None:
        self.bridge = message

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == "hw_bridge":
                self._bridge_diagnostics = {value.key: value.value for value in status.values}

    def refusals(self) -> set[str]:
        """Names of the reasons for which the bridge has refused commands, up to now."""
        self._bridge_diagnostics = {}
        self.wait(lambda: bool(self._bridge_diagnostics), 10.0, "diagnostics of the bridge")
        return {key.removeprefix("rejected_") for key in self._bridge_diagnostics if key.startswith("rejected_")}

    def wait(self, condition: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Fail with `what` and the bridge's state when the condition does not come true."""
        if not self.calls.wait_until(condition, timeout_s):
            state = self.bridge
            seen = "no bridge_state" if state is None else f"mode {state.mode}, fault '{state.fault}', reason '{state.reason}'"
            raise AssertionError(f"{what}: not within {timeout_s:g} s ({seen})\n{self.graph.log_tail(60)}")

    def wait_for_mode(self, mode: int, timeout_s: float = 20.0) -> BridgeState:
        self.wait(lambda: self.bridge is not None and self.bridge.mode == mode, timeout_s, f"bridge mode {mode}")
        assert self.bridge is not None
        return self.bridge

    def arm(self, source: str) -> None:
        """Clear faults, and let `source` command."""
        self.calls.call(Trigger, "hw_bridge/clear_fault", timeout_s=START_TIMEOUT_S)
        self.calls.call(SetSource, "hw_bridge/set_source", SetSource.Request(source=source))
        # A source that is sending already is followed within milliseconds: its hold may be too short to be seen.
        armed = (BridgeState.MODE_HOLD, BridgeState.MODE_TRACK)
        self.wait(lambda: self.bridge is not None and self.bridge.mode in armed, 20.0, "bridge armed")

    @contextlib.contextmanager
    def commander(self, *, clock_offset_s: Callable[[], float] = lambda: 0.0) -> Iterator[None]:
        """A policy that sends a slow sine at 20 Hz; `clock_offset_s` says how wrong its clock is."""
        assert self.bridge is not None
        start = np.array(self.bridge.executed_position_rad)
        stop = threading.Event()

        def send() -> None:
            began = time.monotonic()
            while not stop.wait(COMMAND_PERIOD_S):
                position = start + 0.05 * np.sin(time.monotonic() - began)
                message = JointCommand(source=JointCommand.SOURCE_POLICY, joint_names=list(JOINTS), position_rad=position)
                stamp_ns = self._clock.now().nanoseconds + int(clock_offset_s() * 1e9)
                message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
                self._commands.publish(message)

        thread = threading.Thread(target=send, daemon=True)
        freeze_garbage()  # as policies do: a collection over a whole test run's objects would make a command stale
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(5.0)
            thaw_garbage()

    def start_episode(self) -> str:
        request = StartEpisode.Request(task="duck", operator_name="test", source="policy")
        return str(self.calls.call(StartEpisode, "recorder/start_episode", request, timeout_s=START_TIMEOUT_S).episode_id)

    def end_episode(self, label: str = "success") -> Any:
        return self.calls.call(EndEpisode, "recorder/end_episode", EndEpisode.Request(label=label, labelled_by="judge"))

    def set_parameter(self, node: str, name: str, value: str) -> None:
        """Set a ROS parameter of a running node."""
        self.calls.wait_for_service(SetParameters, f"{node}/set_parameters", START_TIMEOUT_S)
        message: ParameterMessage = Parameter(name, value=value).to_parameter_msg()
        client = self.node.create_client(SetParameters, f"{node}/set_parameters")
        future = client.call_async(SetParameters.Request(parameters=[message]))
        self.wait(future.done, 10.0, f"answer of {node}/set_parameters")
        assert future.result().results[0].successful, future.result().results[0].reason

    def pid_of(self, executable: str) -> int:
        """The process of a node of this graph."""
        pids = pids_of(executable, root=self.graph.pid)
        assert len(pids) == 1, f"expected one process of {executable}, got {pids}"
        return pids[0]

    def publishers(self, topic: str) -> set[bytes]:
        """Identities of those who publish a topic; a restarted node has a new one."""
        return {bytes(info.endpoint_gid) for info in self.node.get_publishers_info_by_topic(topic)}

    def kill(self, executable: str) -> int:
        """kill -9; returns the pid that was killed."""
        pid = self.pid_of(executable)
        os.kill(pid, signal.SIGKILL)
        return pid


def pids_of(executable: str, *, root: int) -> list[int]:
    """Processes below `root` whose command line names an executable."""
    parents: dict[int, int] = {}
    commands: dict[int, list[bytes]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                commands[int(entry.name)] = (entry / "cmdline").read_bytes().split(b"\0")

    def is_below(pid: int) -> bool:
        return pid == root or (pid in parents and is_below(parents[pid]))

    name = f"/{executable}".encode()
    return [pid for pid, words in commands.items() if any(word.endswith(name) for word in words[:3]) and is_below(pid)]


@contextlib.contextmanager
def running_graph(folder: Path, **arguments: object) -> Iterator[RunningGraph]:
    """Bringup with launch arguments, without demonstrations unless asked for; what it said is shown when the test fails."""
    defaults = {"operator": "none", "demonstrate": False, "policy": False, "learner": False, "episodes": folder / "episodes"}
    with Graph({**defaults, **arguments}, folder / "bringup.log") as graph, spinning_node("test_graph") as node:
        running = RunningGraph(graph, node, folder / "episodes")
        running.wait(lambda: running.bridge is not None, START_TIMEOUT_S, "bridge_state")
        yield running

"""Real bridge and teleop processes, seen and driven from a test over ROS."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_srvs.srv import Trigger
from teleop_fixtures import CONFIG_FILE, CONFIG_FOLDER, KINEMATICS

from sernf_msgs.msg import BridgeState, JointCommand
from sernf_msgs.srv import SetSource
from sernf_robot.joints import JOINTS
from sernf_teleop.jog import joint_vector

DOMAIN = os.environ.get("ROS_DOMAIN_ID", "18")
START_TIMEOUT_S = 60.0
TIMEOUT_S = 20.0


@contextlib.contextmanager
def process(module: str, *parameters: str, **files: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A node in a process of its own; ended by SIGINT, or by SIGKILL if that does not help."""
    command = [sys.executable, "-m", module, "--ros-args", *(word for item in parameters for word in ("-p", item))]
    started = subprocess.Popen(command, env={**os.environ, "ROS_DOMAIN_ID": DOMAIN}, start_new_session=True, **files)
    try:
        yield started
    finally:
        if started.poll() is None:
            started.send_signal(signal.SIGINT)
        try:
            started.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait(TIMEOUT_S)


def teleop(*parameters: str, **files: Any) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    """`teleop_node` with the shipped configuration."""
    return process("sernf_teleop.teleop_node", f"config_file:={CONFIG_FILE}", *parameters, **files)


class Graph:
    """What the graph says, and a way to speak in it."""

    def __init__(self) -> None:
        self.node = Node("teleop_test")
        self.bridge: BridgeState | None = None
        self.releases = 0
        self.commands: dict[str, int] = {}
        self.diagnostics: dict[str, str] = {}
        """of teleop, all values that were ever told, newest last"""
        self.node.create_subscription(BridgeState, "bridge_state", self._on_bridge, QoSProfile(depth=50))
        self.node.create_subscription(JointCommand, "joint_command", self._on_command, QoSProfile(depth=50))
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, QoSProfile(depth=50))
        self._policy = self.node.create_publisher(JointCommand, "joint_command", QoSProfile(depth=10))
        self._policy_timer = self.node.create_timer(0.05, self._command_as_policy)
        self._policy_speaks = False
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._executor.shutdown()
        self._thread.join(TIMEOUT_S)
        self.node.destroy_node()

    def until(
        self, condition: Callable[[], bool], timeout_s: float = TIMEOUT_S, meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        """Wait for `condition`, calling `meanwhile` 25 times a second."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"timeout; bridge: {self.mode} {self.active}, diagnostics: {self.diagnostics}"
            meanwhile()
            time.sleep(0.04)

    def call(self, service: Any, name: str, request: Any = None) -> Any:
        client = self.node.create_client(service, name)
        self.until(client.service_is_ready, START_TIMEOUT_S)
        future = client.call_async(service.Request() if request is None else request)
        self.until(future.done)
        self.node.destroy_client(client)
        return future.result()

    def arm(self) -> None:
        self.until(lambda: self.call(Trigger, "hw_bridge/clear_fault").success)
        self.until(lambda: self.mode == BridgeState.MODE_HOLD)

    def select(self, source: str) -> None:
        assert self.call(SetSource, "hw_bridge/set_source", SetSource.Request(source=source)).success
        self._policy_speaks = source == "policy"
        self.until(lambda: self.bridge is not None and self.bridge.selected_source == source)

    @property
    def mode(self) -> int | None:
        return None if self.bridge is None else self.bridge.mode

    @property
    def active(self) -> str:
        return "" if self.bridge is None else self.bridge.active_source

    @property
    def at_rest(self) -> bool:
        return self.bridge is not None and not any(self.bridge.executed_velocity_rad_s)

    @property
    def executed_rad(self) -> np.ndarray:
        assert self.bridge is not None
        return joint_vector(self.bridge.joint_names, self.bridge.executed_position_rad, JOINTS)

    @property
    def hand_m(self) -> np.ndarray:
        return KINEMATICS.hand_pose(self.executed_rad)[0]

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def _command_as_policy(self) -> None:
        if self._policy_speaks and self.bridge is not None:
            command = JointCommand(source="policy", joint_names=self.bridge.joint_names)
            command.position_rad = self.bridge.executed_position_rad
            command.header.stamp = self.node.get_clock().now().to_msg()
            self._policy.publish(command)

    def hears(self, source: str) -> bool:
        """Whether commands of `source` reach this test too: the bridge may discover it first, and a release comes once."""
        return self.commands.get(source, 0) > 0

    def _on_bridge(self, message: BridgeState) -> None:
        self.bridge = message

    def _on_command(self, message: JointCommand) -> None:
        self.commands[message.source] = self.commands.get(message.source, 0) + 1
        self.releases += message.release

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == "teleop":
                self.diagnostics.update({value.key: value.value for value in status.values})


@contextlib.contextmanager
def live_graph(*bridge_parameters: str) -> Iterator[Graph]:
    """A bridge with its own process, and a window into the graph."""
    os.environ["ROS_DOMAIN_ID"] = DOMAIN
    rclpy.init()
    graph = Graph()
    try:
        config_file = f"config_file:={CONFIG_FOLDER / 'hw_bridge.yaml'}"
        with process("sernf_hw_bridge.hw_bridge_node", config_file, *bridge_parameters) as bridge:
            graph.until(lambda: graph.bridge is not None or bridge.poll() is not None, START_TIMEOUT_S)
            assert bridge.poll() is None, "the bridge ended at once, see its log above"
            yield graph
    finally:
        graph.close()
        rclpy.try_shutdown()

"""A real bridge with a mock robot and a real policy node, seen and driven from a test over ROS."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from live_graph import DOMAIN, TIMEOUT_S, process
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_srvs.srv import Trigger

from sernf_msgs.msg import ActionChunk, BridgeState, JointCommand, PolicyVersion
from sernf_msgs.srv import LoadWeights, SetPolicyMode, SetSource
from sernf_robot.config_files import config_path

START_TIMEOUT_S = 120.0
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class PolicyGraph:
    """What the graph says, and a way to speak in it."""

    def __init__(self) -> None:
        self.node = Node("policy_test")
        self.bridge: BridgeState | None = None
        self.commands: list[JointCommand] = []
        """of source policy"""
        self.chunks: list[ActionChunk] = []
        self.versions: list[PolicyVersion] = []
        self.level, self.message = -1, ""
        self.values: dict[str, str] = {}
        """the policy's last diagnosis"""
        self.largest_step_rad = 0.0
        """between two executed poses"""
        self.operator_speaks = self.duck_is_seen = False
        subscribe = self.node.create_subscription
        subscribe(BridgeState, "bridge_state", self._on_bridge, 50)
        subscribe(JointCommand, "joint_command", self._on_command, 50)
        subscribe(ActionChunk, "action_chunk", self.chunks.append, 50)
        subscribe(PolicyVersion, "policy_version", self.versions.append, LATCHED)
        subscribe(DiagnosticArray, "/diagnostics", self._on_diagnostics, 50)
        self._operator = self.node.create_publisher(JointCommand, "joint_command", 10)
        self._duck = self.node.create_publisher(PoseStamped, "objects/duck/pose", 10)
        self.learner = self.node.create_publisher(PolicyVersion, "learner/policy_version", LATCHED)
        self.node.create_timer(0.03, self._speak)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._executor.shutdown()
        self._thread.join(TIMEOUT_S)
        self.node.destroy_node()

    def until(self, condition: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, f"waited in vain; {self.bridge}\npolicy: {self.message} {self.values}"
            time.sleep(0.02)

    def call(self, service: Any, name: str, request: Any = None, timeout_s: float = START_TIMEOUT_S) -> Any:
        client = self.node.create_client(service, name)
        self.until(client.service_is_ready, START_TIMEOUT_S)
        future = client.call_async(service.Request() if request is None else request)
        self.until(future.done, timeout_s)
        self.node.destroy_client(client)
        return future.result()

    def set_mode(self, mode: str) -> Any:
        return self.call(SetPolicyMode, "policy/set_mode", SetPolicyMode.Request(mode=mode))

    def load(self, file: Path | str, sha256: str = "") -> Any:
        return self.call(LoadWeights, "policy/load_weights", LoadWeights.Request(file=str(file), sha256=sha256))

    def arm(self, source: str) -> None:
        assert self.call(SetSource, "hw_bridge/set_source", SetSource.Request(source="none")).success
        self.until(lambda: self.call(Trigger, "hw_bridge/clear_fault").success)
        assert self.call(SetSource, "hw_bridge/set_source", SetSource.Request(source=source)).success
        self.until(lambda: self.bridge is not None and self.bridge.selected_source == source)
        self.largest_step_rad = 0.0

    def drive(self) -> None:
        """Armed, selected, in mode policy, and followed."""
        self.arm("policy")
        answer = self.set_mode("policy")
        assert answer.success, answer.message
        self.until(lambda: self.active == "policy")

    @property
    def mode(self) -> int | None:
        return None if self.bridge is None else self.bridge.mode

    @property
    def active(self) -> str:
        return "" if self.bridge is None else self.bridge.active_source

    def until_runs(self, sha256: str) -> None:
        """Until commands of these weights come."""
        self.until(lambda: bool(self.commands) and self.commands[-1].weights_sha256 == sha256)

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def _speak(self) -> None:
        stamp = self.node.get_clock().now().to_msg()
        if self.operator_speaks and self.bridge is not None:
            command = JointCommand(source="teleop", joint_names=self.bridge.joint_names)
            command.position_rad = self.bridge.executed_position_rad
            command.header.stamp = stamp
            self._operator.publish(command)
        if self.duck_is_seen:
            pose = PoseStamped()
            pose.header.stamp = stamp
            pose.pose.orientation.w = 1.0
            self._duck.publish(pose)

    def let_go(self) -> None:
        """The operator hands back."""
        self.operator_speaks = False
        command = JointCommand(source="teleop", release=True)
        command.header.stamp = self.node.get_clock().now().to_msg()
        self._operator.publish(command)

    def _on_bridge(self, message: BridgeState) -> None:
        if self.bridge is not None:
            step = np.abs(np.subtract(message.executed_position_rad, self.bridge.executed_position_rad)).max()
            self.largest_step_rad = max(self.largest_step_rad, 0.0 if np.isnan(step) else float(step))
        self.bridge = message

    def _on_command(self, message: JointCommand) -> None:
        if message.source == "policy":
            self.commands.append(message)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == "policy":
                self.values = {value.key: value.value for value in status.values}
                self.level, self.message = status.level[0], status.message


def policy(**parameters: object) -> contextlib.AbstractContextManager[Any]:
    """`policy_node` with the shipped configuration."""
    given = {"config_file": config_path("policy.yaml"), "priority": 0, "loader.nice": 0, **parameters}
    return process("sernf_policy.policy_node", *(f"{name}:={value}" for name, value in given.items()))


@contextlib.contextmanager
def policy_graph() -> Iterator[PolicyGraph]:
    """A bridge in a process of its own, and a window into the graph; no policy yet."""
    os.environ["ROS_DOMAIN_ID"] = DOMAIN
    rclpy.init()
    graph = PolicyGraph()
    try:
        config = f"config_file:={config_path('hw_bridge.yaml')}"
        with process("sernf_hw_bridge.hw_bridge_node", config, "arm:=mock", "hand:=mock", "priority:=0") as bridge:
            graph.until(lambda: graph.bridge is not None or bridge.poll() is not None, START_TIMEOUT_S)
            assert bridge.poll() is None, "the bridge ended at once, see its log above"
            yield graph
    finally:
        graph.close()
        rclpy.try_shutdown()

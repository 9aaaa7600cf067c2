"""The whole bridge, as a process with a real arm protocol behind it: hw_bridge with arm franka and hand mock, over ROS."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from franky_sim_server import FrankySimServer
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from tracking_error import lag_compensated_error

from sernf_hw_bridge.trajectories import Array
from sernf_msgs.msg import BridgeState, JointCommand
from sernf_msgs.srv import SetSource
from sernf_robot.config_files import config_path
from sernf_robot.joints import ARM_JOINTS, JOINTS, indices_of

START_TIMEOUT_S = 60.0
TIMEOUT_S = 20.0
ARM = len(ARM_JOINTS)
PERIOD_S = 0.02
SINE_HZ = 0.1
AMPLITUDE_RAD = np.array([0.2, 0.15, 0.2, 0.15, 0.2, 0.2, 0.3] + [0.0] * (len(JOINTS) - ARM))
FRANKA_FILE = """
host: {host}
realtime: ignore
payload: {{mass_kg: 0.0, center_m: [0.0, 0.0, 0.0], inertia_kgm2: [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]}}
"""


class Operator:
    """Commands the bridge at 50 Hz as source "policy" and listens to it."""

    def __init__(self) -> None:
        self.node = Node("franka_bridge_test")
        self.bridge: BridgeState | None = None
        self.measured: list[tuple[float, Array]] = []
        self.commanded: list[tuple[float, Array]] = []
        states = QoSProfile(depth=50)
        self.node.create_subscription(BridgeState, "bridge_state", self._on_bridge, states)
        self.node.create_subscription(JointState, "joint_states", self._on_joints, states)
        self._commands = self.node.create_publisher(JointCommand, "joint_command", QoSProfile(depth=10))

    def _on_bridge(self, message: BridgeState) -> None:
        self.bridge = message

    def _on_joints(self, message: JointState) -> None:
        position = np.array(message.position)[indices_of(message.name, JOINTS)]
        self.measured.append((message.header.stamp.sec + message.header.stamp.nanosec * 1e-9, position))

    def spin(self, duration_s: float) -> None:
        end_s = time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0.0:
            rclpy.spin_once(self.node, timeout_sec=left_s)

    def until(self, condition: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, f"waited in vain; the bridge says {self.bridge}"
            self.spin(0.02)

    def call(self, service: Any, name: str, request: Any) -> Any:
        client = self.node.create_client(service, name)
        self.until(client.service_is_ready, START_TIMEOUT_S)
        future = client.call_async(request)
        self.until(future.done)
        self.node.destroy_client(client)
        return future.result()

    def arm(self) -> None:
        answer = self.call(Trigger, "hw_bridge/clear_fault", Trigger.Request())
        assert answer.success, answer.message
        self.until(lambda: self.mode == BridgeState.MODE_HOLD)
        answer = self.call(SetSource, "hw_bridge/set_source", SetSource.Request(source="policy"))
        assert answer.success, answer.message
        self.measured.clear()
        self.until(lambda: bool(self.measured))

    def command(self, position_rad: Array) -> None:
        message = JointCommand(source="policy", joint_names=list(JOINTS), position_rad=position_rad.tolist())
        now_ns = time.time_ns()
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(now_ns, 1_000_000_000)
        self.commanded.append((now_ns * 1e-9, position_rad))
        self._commands.publish(message)

    def follow(self, target_at: Callable[[float], Array], duration_s: float) -> None:
        begin_s = time.monotonic()
        tick = 0
        while (now_s := time.monotonic() - begin_s) < duration_s:
            self.command(target_at(now_s))
            tick += 1
            self.spin(max(0.001, begin_s + tick * PERIOD_S - time.monotonic()))

    def sine_error_rad(self) -> float:
        """Largest error of an arm joint over 6 s of a sine, the lag compensated."""
        start = self.position
        self.measured.clear()
        self.commanded.clear()
        self.follow(lambda now_s: start + AMPLITUDE_RAD * np.sin(2.0 * np.pi * SINE_HZ * now_s), 6.0)
        commanded = [(stamp, value[:ARM]) for stamp, value in self.commanded]
        return lag_compensated_error(commanded, [(stamp, value[:ARM]) for stamp, value in self.measured])[0]

    @property
    def mode(self) -> int | None:
        return None if self.bridge is None else self.bridge.mode

    @property
    def position(self) -> Array:
        return self.measured[-1][1]


@contextlib.contextmanager
def bridge_process(franka_file: Path) -> Iterator[subprocess.Popen[bytes]]:
    parameters = [f"config_file:={config_path('hw_bridge.yaml')}", "arm:=franka", "hand:=mock", f"franka_file:={franka_file}"]
    arguments = [word for parameter in parameters for word in ("-p", parameter)]
    command = [sys.executable, "-m", "sernf_hw_bridge.hw_bridge_node", "--ros-args", *arguments]
    process = subprocess.Popen(command, env=dict(os.environ))
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def operator() -> Iterator[Operator]:
    rclpy.init()
    operator = Operator()
    yield operator
    operator.node.destroy_node()
    rclpy.try_shutdown()


def test_follows_a_sine_survives_the_death_of_the_arm_and_recovers_on_re_arm(operator: Operator, tmp_path: Path) -> None:
    with FrankySimServer() as server:
        franka_file = tmp_path / "franka.yaml"
        franka_file.write_text(FRANKA_FILE.format(host=server.host))
        with bridge_process(franka_file) as bridge:
            operator.arm()
            errors_rad: list[float] = []
            while (
                not errors_rad or errors_rad[-1] >= 0.05
            ):  # a machine that is busy elsewhere slows the simulated arm for a while
                assert len(errors_rad) < 3, f"expected to follow within 0.05 rad, got {errors_rad}"
                errors_rad.append(operator.sine_error_rad())
            assert operator.mode == BridgeState.MODE_TRACK

            server.kill()
            operator.until(lambda: operator.mode == BridgeState.MODE_FAULT)
            assert operator.bridge is not None
            assert operator.bridge.fault.startswith("arm_")
            answer = operator.call(Trigger, "hw_bridge/clear_fault", Trigger.Request())
            assert not answer.success
            assert "FCI" in answer.message
            server.start()
            operator.spin(1.0)
            assert operator.mode == BridgeState.MODE_FAULT  # it latches although the arm is back

            operator.arm()
            held = operator.position
            operator.follow(lambda now_s: held + AMPLITUDE_RAD * 0.5 * min(1.0, now_s), 1.5)
            operator.until(lambda: bool(np.abs(operator.position - held - AMPLITUDE_RAD * 0.5)[:ARM].max() < 0.03))
            assert bridge.poll() is None

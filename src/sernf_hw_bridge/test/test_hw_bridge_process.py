"""hw_bridge as a process of its own, over ROS: arming, tracking, killed commanders, faults, simulation, clean ends."""

from __future__ import annotations

import contextlib
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
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rcl_interfaces.msg import ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from sernf_msgs.msg import BridgeState, SimState, TaskState
from sernf_msgs.srv import ResetScene, SetSource
from sernf_robot.config_files import config_path
from sernf_robot.joints import JOINTS

TIMEOUT_S = 60.0
COMMANDER = """
import sys, time
import numpy as np, rclpy
from rclpy.node import Node
from sernf_msgs.msg import BridgeState, JointCommand
rclpy.init()
node = Node("commander")
start = []
node.create_subscription(BridgeState, "bridge_state", lambda m: start or start.extend(m.executed_position_rad), 50)
publisher = node.create_publisher(JointCommand, "joint_command", 10)
while not start:
    rclpy.spin_once(node, timeout_sec=0.1)
begin = time.monotonic()
while True:
    phase = time.monotonic() - begin
    target = np.array(start) + 0.1 * np.sin(phase) * (np.arange(len(start)) < 7)
    message = JointCommand(source=sys.argv[1], joint_names=sys.argv[2:], position_rad=target.tolist())
    message.header.stamp = node.get_clock().now().to_msg()
    publisher.publish(message)
    time.sleep(0.05)
"""


class Listener:
    """Hears what the bridge says, and calls its services."""

    def __init__(self) -> None:
        self.node = Node("listener")
        self.latest: dict[type, Any] = {}
        self.joint_states = 0
        best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        for kind, topic, qos in (
            (BridgeState, "bridge_state", 50),
            (JointState, "joint_states", 50),
            (DiagnosticArray, "/diagnostics", 10),
            (SimState, "sim/state", best_effort),
            (TaskState, "task_state", 10),
            (PoseStamped, "objects/duck/pose", 10),
        ):
            self.node.create_subscription(kind, topic, lambda message, kind=kind: self._hear(kind, message), qos)

    def _hear(self, kind: type, message: Any) -> None:
        self.latest[kind] = message
        self.joint_states += kind is JointState

    @property
    def bridge(self) -> BridgeState:
        return self.latest[BridgeState]

    @property
    def diagnosed(self) -> bytes | None:
        """Level of the bridge's last diagnosis."""
        return self.latest[DiagnosticArray].status[0].level if DiagnosticArray in self.latest else None

    def until(self, condition: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, f"waited in vain; the bridge says {self.latest.get(BridgeState)}"
            rclpy.spin_once(self.node, timeout_sec=0.05)

    def until_mode(self, mode: int) -> None:
        self.until(lambda: BridgeState in self.latest and self.bridge.mode == mode)

    def call(self, service: Any, name: str, request: Any = None) -> Any:
        client = self.node.create_client(service, name)
        self.until(client.service_is_ready)
        future = client.call_async(service.Request() if request is None else request)
        self.until(future.done)
        self.node.destroy_client(client)
        return future.result()

    def set_parameter(self, name: str, value: str) -> Any:
        parameter = Parameter(name, value=value).to_parameter_msg()
        assert isinstance(parameter.value, ParameterValue)
        return self.call(SetParameters, "hw_bridge/set_parameters", SetParameters.Request(parameters=[parameter])).results[0]

    def arm(self) -> None:
        answer = self.call(Trigger, "hw_bridge/clear_fault")
        assert answer.success, answer.message
        self.until_mode(BridgeState.MODE_HOLD)


@pytest.fixture
def listener() -> Iterator[Listener]:
    rclpy.init()
    listener = Listener()
    yield listener
    listener.node.destroy_node()
    rclpy.try_shutdown()


@contextlib.contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[str]]:
    running = subprocess.Popen([sys.executable, *command], stderr=subprocess.PIPE, text=True)
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


def bridge(**parameters: object) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
    given = {"config_file": config_path("hw_bridge.yaml"), "arm": "mock", "hand": "mock", **parameters}
    words = [word for name, value in given.items() for word in ("-p", f"{name}:={value}")]
    return process("-m", "sernf_hw_bridge.hw_bridge_node", "--ros-args", *words)


def end(running: subprocess.Popen[str], number: int = signal.SIGINT) -> str:
    """Ask for the end; returns what was said on stderr."""
    running.send_signal(number)
    said = running.communicate(timeout=TIMEOUT_S)[1]
    assert running.returncode == 0, said
    return said


def test_a_killed_commander_ends_in_hold_and_then_in_a_fault(listener: Listener, tmp_path: Path) -> None:
    with bridge(timing_file=tmp_path / "ticks.npy") as running:
        listener.until_mode(BridgeState.MODE_UNARMED)
        assert np.isnan(listener.bridge.executed_position_rad).all()
        listener.arm()
        assert listener.call(SetSource, "hw_bridge/set_source", SetSource.Request(source="policy")).success
        with process("-c", COMMANDER, "policy", *JOINTS) as commander:
            listener.until_mode(BridgeState.MODE_TRACK)
            start = np.array(listener.latest[JointState].position)
            listener.until(lambda: abs(listener.latest[JointState].position[0] - start[0]) > 0.05)
            assert listener.bridge.active_source == "policy"
            assert listener.bridge.command_stamp.sec > 0
            commander.kill()
            listener.until_mode(BridgeState.MODE_HOLD)
            held = np.array(listener.bridge.executed_position_rad)
            listener.until_mode(BridgeState.MODE_FAULT)
        assert listener.bridge.fault == "command_age"
        np.testing.assert_allclose(listener.bridge.executed_position_rad, held, atol=0.05)
        with process("-c", COMMANDER, "policy", *JOINTS):
            rejected = listener.bridge.commands_rejected
            listener.until(lambda: listener.bridge.commands_rejected > rejected + 5)
            assert listener.bridge.mode == BridgeState.MODE_FAULT
        listener.arm()
        assert listener.call(Trigger, "hw_bridge/home").success
        listener.until_mode(BridgeState.MODE_HOME)
        listener.until_mode(BridgeState.MODE_HOLD)
        assert listener.bridge.executed_position_rad[1] == pytest.approx(-0.785, abs=2e-3)
        end(running)
    assert len(np.load(tmp_path / "ticks.npy")) > 100
    assert len(np.load(tmp_path / "ticks_commands.npy")) > 0


def test_injected_faults_latch_and_are_explained(listener: Listener) -> None:
    with bridge() as running:
        listener.arm()
        refused = listener.set_parameter("hand_fault", "tired")
        assert not refused.successful
        assert "read_raises" in refused.reason
        assert listener.set_parameter("hand_fault", "frozen").successful
        listener.until_mode(BridgeState.MODE_FAULT)
        assert listener.bridge.fault == "hand_frozen"
        answer = listener.call(Trigger, "hw_bridge/clear_fault")
        assert not answer.success
        assert "hand" in answer.message
        listener.until(lambda: listener.diagnosed == b"\x02")
        values = {value.key: value.value for value in listener.latest[DiagnosticArray].status[0].values}
        assert values["fault"] == "hand_frozen"
        assert values["scheduling"]
        assert listener.set_parameter("hand_fault", "none").successful
        listener.arm()
        assert listener.call(Trigger, "hw_bridge/stop").success
        listener.until_mode(BridgeState.MODE_STOPPED)
        assert not listener.call(Trigger, "hw_bridge/home").success
        assert not listener.call(SetSource, "hw_bridge/set_source", SetSource.Request(source="nobody")).success
        end(running, signal.SIGTERM)


def test_a_bridge_that_was_killed_comes_back_unarmed(listener: Listener) -> None:
    with bridge() as running:
        listener.arm()
        running.kill()
        running.wait(TIMEOUT_S)
    listener.latest.clear()
    with bridge():
        listener.until_mode(BridgeState.MODE_UNARMED)
        before = listener.joint_states
        listener.until(lambda: listener.joint_states > before + 50)
        assert listener.bridge.mode == BridgeState.MODE_UNARMED


def test_a_simulated_robot_shows_its_world_and_starts_anew(listener: Listener) -> None:
    with bridge(arm="sim", hand="sim", task="duck", seed=3) as running:
        listener.arm()
        for kind in (SimState, TaskState, PoseStamped, JointState):
            listener.until(lambda kind=kind: kind in listener.latest)  # type: ignore[misc]
        assert listener.latest[SimState].seed == 3
        assert listener.latest[PoseStamped].header.frame_id == "fr3_link0"
        first = listener.latest[PoseStamped].pose.position
        assert listener.call(SetSource, "hw_bridge/set_source", SetSource.Request(source="policy")).success
        with process("-c", COMMANDER, "policy", *JOINTS):
            listener.until_mode(BridgeState.MODE_TRACK)
        assert listener.call(ResetScene, "sim/reset", ResetScene.Request(seed=4)).success
        listener.until_mode(BridgeState.MODE_HOLD)
        listener.until(lambda: listener.latest[TaskState].seed == 4 and listener.latest[SimState].seed == 4)
        assert listener.latest[TaskState].elapsed_s < 30.0
        listener.until(lambda: abs(listener.latest[PoseStamped].pose.position.x - first.x) > 1e-3)
        ticks = listener.bridge.tick
        listener.until(lambda: listener.bridge.tick > ticks + 250)
        assert listener.bridge.mode == BridgeState.MODE_HOLD, listener.bridge.reason
        end(running)


def test_an_arm_in_simulation_goes_with_a_mock_hand(listener: Listener) -> None:
    with bridge(arm="sim") as running:
        listener.arm()
        listener.until(lambda: JointState in listener.latest and SimState in listener.latest)
        assert len(listener.latest[JointState].position) == len(JOINTS)
        end(running)


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"arm": "orca"}, "expected backend sim, mock or franka"),
        ({"limits_file": "/nowhere/limits.yaml"}, "/nowhere/limits.yaml"),
        ({"joint_states_rate_hz": 1e6}, "joint_states_rate_hz"),
        ({"arm": "sim", "arm_fault": "frozen"}, "mock only"),
    ],
)
def test_a_wrong_configuration_ends_the_process(parameters: dict[str, object], complaint: str) -> None:
    with bridge(**parameters) as running:
        said = running.communicate(timeout=TIMEOUT_S)[1]
        assert running.returncode == 1
        assert complaint in said

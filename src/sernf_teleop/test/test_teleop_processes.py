"""Teleop, bridge and terminal as real processes: an operator drives, takes over, hands back, and nothing that dies does harm."""

from __future__ import annotations

import contextlib
import os
import signal
import termios
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from geometry_msgs.msg import PoseStamped
from live_graph import START_TIMEOUT_S, TIMEOUT_S, Graph, live_graph, teleop
from sensor_msgs.msg import Joy
from std_msgs.msg import Bool

from sernf_msgs.msg import BridgeState


@pytest.fixture(scope="module")
def bridge() -> Iterator[Graph]:
    with live_graph("arm:=mock", "hand:=mock", "priority:=0") as graph:
        yield graph


@pytest.fixture
def graph(bridge: Graph) -> Graph:
    bridge.select("none")
    bridge.arm()
    bridge.releases, bridge.commands, bridge.diagnostics = 0, {}, {}
    return bridge


class Console:
    """A terminal with a keyboard teleop in it."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._master, self.slave = os.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.output = bytearray()
        self._stack = contextlib.ExitStack()
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Console:
        files = dict.fromkeys(("stdin", "stdout", "stderr"), self.slave)
        self.process = self._stack.enter_context(teleop("device:=keyboard", **files))  # type: ignore[arg-type]
        self._graph.until(lambda: b"robot: hold" in self.output, START_TIMEOUT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        os.close(self.slave)

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def is_restored(self) -> bool:
        left_screen = self.output.rfind(b"\x1b[?1049l") > self.output.rfind(b"\x1b[H")
        return left_screen and termios.tcgetattr(self.slave) == self.before

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self._master, 65536):
                self.output += data
        os.close(self._master)


@pytest.fixture
def console(graph: Graph) -> Iterator[Console]:
    with Console(graph) as opened:
        yield opened


def test_a_held_key_moves_the_hand_and_letting_go_leaves_it_there(graph: Graph, console: Console) -> None:
    start_m = graph.hand_m
    graph.until(lambda: graph.hand_m[0] - start_m[0] > 0.04 and graph.hears("teleop"), meanwhile=lambda: console.type("w"))
    assert graph.active == "teleop"
    graph.until(lambda: graph.mode == BridgeState.MODE_HOLD)
    graph.until(lambda: graph.releases > 0)  # it comes on another topic than the bridge's answer to it
    assert graph.releases == 1
    assert abs(graph.hand_m[1:] - start_m[1:]).max() < 0.01


def test_keys_close_the_hand_arm_stop_and_show_the_answers(graph: Graph, console: Console) -> None:
    start_rad = graph.executed_rad
    graph.until(lambda: graph.executed_rad[12:].max() - start_rad[12:].max() > 0.3, meanwhile=lambda: console.type("g"))
    console.type("x")
    graph.until(lambda: graph.mode == BridgeState.MODE_STOPPED)
    graph.until(lambda: b"stop: ok" in console.output and b"robot is stopped" in console.output)
    graph.until(lambda: graph.at_rest)
    console.type("A")
    graph.until(lambda: graph.mode == BridgeState.MODE_HOLD)
    console.type("1")
    graph.until(lambda: b"no service recorder/end_episode" in console.output)


def test_quitting_restores_the_terminal_and_leaves_the_robot_holding(graph: Graph, console: Console) -> None:
    assert not console.is_restored()
    graph.until(lambda: graph.active == "teleop", meanwhile=lambda: console.type(" "))
    console.type("q")
    assert console.process.wait(TIMEOUT_S) == 0
    graph.until(console.is_restored)
    graph.until(lambda: graph.mode == BridgeState.MODE_HOLD)


def test_a_killed_teleop_leaves_a_good_terminal_and_hands_the_robot_to_nobody(graph: Graph, console: Console) -> None:
    graph.select("policy")
    graph.until(lambda: graph.active == "policy")
    graph.until(lambda: graph.active == "teleop", meanwhile=lambda: console.type(" "))
    console.process.send_signal(signal.SIGKILL)
    graph.until(console.is_restored)
    graph.until(lambda: graph.active == "none")
    graph.until(lambda: graph.mode == BridgeState.MODE_FAULT)
    assert graph.releases == 0


def test_takeover_preempts_the_policy_and_hands_back_without_a_jump(graph: Graph, console: Console) -> None:
    graph.select("policy")
    graph.until(lambda: graph.active == "policy")
    before_rad = graph.executed_rad
    graph.until(lambda: graph.active == "teleop" and graph.hears("teleop"), meanwhile=lambda: console.type(" "))
    graph.until(lambda: graph.active == "policy")
    graph.until(lambda: graph.releases > 0)  # it comes on another topic than the bridge's answer to it
    assert graph.releases == 1
    assert abs(graph.executed_rad - before_rad).max() < 1e-3


def publish(graph: Graph, publisher: Any, message: Any) -> None:
    if hasattr(message, "header"):
        message.header.stamp = graph.node.get_clock().now().to_msg()
    publisher.publish(message)


def test_a_tracker_drives_through_its_clutch_and_its_silence_stops_commands_without_release(graph: Graph) -> None:
    poses = graph.node.create_publisher(PoseStamped, "operator/hand_pose", 10)
    clutches = graph.node.create_publisher(Bool, "operator/clutch", 10)
    pose, clutch = PoseStamped(), Bool(data=False)
    pose.pose.orientation.w = 1.0

    def track() -> None:
        if graph.active == "teleop" and pose.pose.position.y < 0.05:
            pose.pose.position.y += 0.004
        publish(graph, poses, pose)
        publish(graph, clutches, clutch)

    start_m = graph.hand_m
    with teleop("device:=pose_topic"):
        graph.until(lambda: "no message" in graph.diagnostics.get("device_fault", ""), START_TIMEOUT_S)
        graph.until(lambda: graph.diagnostics["device_fault"] == "", meanwhile=track)
        clutch.data = True
        graph.until(lambda: graph.hand_m[1] - start_m[1] > 0.04, meanwhile=track)
        graph.select("policy")
        graph.until(lambda: graph.active == "teleop", meanwhile=track)
        graph.until(lambda: graph.active == "none")
        assert "silent" in graph.diagnostics["device_fault"]
        sent = graph.commands["teleop"]
        graph.until(lambda: graph.mode == BridgeState.MODE_FAULT)
        assert (graph.commands["teleop"], graph.releases) == (sent, 0)


def test_a_gamepad_drives_while_its_button_is_held(graph: Graph) -> None:
    joys = graph.node.create_publisher(Joy, "joy", 10)
    joy = Joy(axes=[0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0], buttons=[0] * 11)
    start_m = graph.hand_m
    with teleop("device:=gamepad"):
        graph.until(
            lambda: graph.diagnostics.get("device_fault") == "", START_TIMEOUT_S, meanwhile=lambda: publish(graph, joys, joy)
        )
        joy.axes[1], joy.buttons[4] = -1.0, 1
        graph.until(lambda: graph.hand_m[0] - start_m[0] < -0.04, meanwhile=lambda: publish(graph, joys, joy))
        joy.buttons[4] = 0
        graph.until(lambda: graph.mode == BridgeState.MODE_HOLD, meanwhile=lambda: publish(graph, joys, joy))
        assert graph.releases == 1

"""The tool that moves one joint, against a bridge with mocks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from sernf_robot.config_files import config_path

TIMEOUT_S = 60.0
NODE = [sys.executable, "-m"]
CLEAR_FAULT = """
import rclpy
from std_srvs.srv import Trigger
rclpy.init()
node = rclpy.create_node("arming")
client = node.create_client(Trigger, "hw_bridge/clear_fault")
assert client.wait_for_service(30.0)
future = client.call_async(Trigger.Request())
rclpy.spin_until_future_complete(node, future, timeout_sec=30.0)
assert future.result().success, future.result().message
"""


@pytest.fixture
def bridge() -> Iterator[subprocess.Popen[bytes]]:
    parameters = [f"config_file:={config_path('hw_bridge.yaml')}", "arm:=mock", "hand:=mock"]
    arguments = [word for parameter in parameters for word in ("-p", parameter)]
    process = subprocess.Popen([*NODE, "sernf_hw_bridge.hw_bridge_node", "--ros-args", *arguments], env=dict(os.environ))
    yield process
    process.send_signal(signal.SIGINT)
    try:
        process.wait(TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def nudge(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*NODE, "sernf_hw_bridge.nudge_node", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def test_moves_one_joint_there_and_back_once_the_bridge_is_armed(bridge: subprocess.Popen[bytes]) -> None:
    refused = nudge("right_index_mcp", "0.1", "--duration", "1")
    assert refused.returncode == 1
    assert "clear_fault" in refused.stdout + refused.stderr
    subprocess.run([sys.executable, "-c", CLEAR_FAULT], timeout=TIMEOUT_S, check=True)
    time.sleep(0.2)
    done = nudge("right_index_mcp", "0.1", "--duration", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "right_index_mcp: from" in done.stdout + done.stderr
    assert bridge.poll() is None


@pytest.mark.parametrize("arguments", [("right_toe", "0.1"), ("right_index_mcp", "0.5"), ("right_index_mcp", "0")])
def test_refuses_what_makes_no_sense(arguments: tuple[str, str]) -> None:
    assert nudge(*arguments).returncode == 2

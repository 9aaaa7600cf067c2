"""Whoever dies, the robot holds: the policy by kill -9 and by SIGINT, the process that loads weights, and no weights at all."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_graph import TIMEOUT_S
from policy_graph import START_TIMEOUT_S, PolicyGraph, policy, policy_graph
from robot_policies import save_robot_policy

from sernf_msgs.msg import BridgeState


@pytest.fixture(scope="module")
def bridge() -> Iterator[PolicyGraph]:
    with policy_graph() as graph:
        yield graph


@pytest.fixture
def graph(bridge: PolicyGraph) -> PolicyGraph:
    bridge.commands.clear()
    bridge.values, bridge.message = {}, ""
    return bridge


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "a.safetensors"
    save_robot_policy(path, seed=1)
    return path


def children_of(pid: int) -> list[int]:
    answer = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, timeout=10, check=False)
    return [int(word) for word in answer.stdout.split()]


def is_alive(pid: int) -> bool:
    """Zombies, whose parent is gone and whose new one does not care, are dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_policy_without_weights_waits_in_hold_outlives_its_loader_and_is_outlived_by_the_bridge(
    graph: PolicyGraph, file: Path
) -> None:
    with policy(weights="/nowhere/w.safetensors", task="duck") as process:
        graph.until(lambda: graph.level == 1 and "/nowhere/w.safetensors" in graph.message, START_TIMEOUT_S)
        refused = graph.set_mode("policy")
        assert not refused.success
        assert "policy/load_weights" in refused.message
        loaders = children_of(process.pid)
        assert len(loaders) == 1
        os.kill(loaders[0], signal.SIGKILL)
        answer = graph.load(file)
        if not answer.success:  # it had taken the request already
            assert "has ended" in answer.message
            answer = graph.load(file)
        assert answer.success, answer.message
        graph.drive()
        loaders = children_of(process.pid)
        process.kill()
        graph.until(lambda: graph.mode == BridgeState.MODE_HOLD)
        graph.until(lambda: graph.mode == BridgeState.MODE_FAULT)
        assert graph.bridge is not None
        assert graph.bridge.fault == "command_age"
        assert not graph.commands[-1].release
        graph.until(lambda: not any(is_alive(pid) for pid in loaders))


def test_an_interrupted_policy_gives_the_robot_up_and_ends_well(graph: PolicyGraph, file: Path) -> None:
    with policy(weights=file, mode="policy") as process:
        graph.arm("policy")
        graph.until(lambda: graph.active == "policy", START_TIMEOUT_S)
        loaders = children_of(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 0
        graph.until(lambda: graph.mode == BridgeState.MODE_HOLD)
        graph.until(lambda: bool(graph.commands) and graph.commands[-1].release)
        assert not any(is_alive(pid) for pid in loaders)

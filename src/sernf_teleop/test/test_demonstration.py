"""The scripted demonstrator over ROS, on the simulated robot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from live_graph import START_TIMEOUT_S, Graph, live_graph, teleop
from std_srvs.srv import Trigger

from sernf_msgs.msg import BridgeState, TaskState
from sernf_msgs.srv import ResetScene

DEMONSTRATION_TIMEOUT_S = 60.0


@pytest.fixture(scope="module")
def simulation() -> Iterator[Graph]:
    with live_graph("arm:=sim", "hand:=sim", "priority:=0") as graph, teleop("device:=demonstrator"):
        yield graph


@pytest.fixture
def graph(simulation: Graph) -> Graph:
    simulation.select("none")
    assert simulation.call(ResetScene, "sim/reset", ResetScene.Request(seed=3)).success
    simulation.arm()
    simulation.releases, simulation.commands = 0, {}
    return simulation


def demonstrate(graph: Graph) -> Trigger.Response:
    return graph.call(Trigger, "teleop/demonstrate")


def test_it_is_refused_while_the_demonstrator_is_not_selected(graph: Graph) -> None:
    answer = demonstrate(graph)
    assert not answer.success
    assert "hw_bridge/set_source" in answer.message
    assert graph.commands == {}


def test_cancel_ends_it_with_a_release_and_the_robot_holds(graph: Graph) -> None:
    graph.select("demonstrator")
    answer = demonstrate(graph)
    assert answer.success, answer.message
    assert "running already" in demonstrate(graph).message
    graph.until(lambda: graph.active == "demonstrator")
    assert graph.call(Trigger, "teleop/cancel").success
    graph.until(lambda: graph.releases == 1 and graph.mode == BridgeState.MODE_HOLD)
    graph.until(lambda: graph.diagnostics["demonstration_outcome"] == "cancelled")
    assert graph.call(Trigger, "teleop/cancel").message == "no demonstration was running"


@pytest.mark.slow
def test_a_demonstration_works_on_the_duck_and_ends_by_itself(graph: Graph) -> None:
    stages: set[str] = set()
    graph.node.create_subscription(TaskState, "task_state", lambda message: stages.add(message.stage), 10)
    graph.select("demonstrator")
    assert demonstrate(graph).success
    graph.until(lambda: graph.releases == 1, DEMONSTRATION_TIMEOUT_S)
    graph.until(lambda: graph.diagnostics["demonstration_outcome"] == "done", START_TIMEOUT_S)
    assert "lifted" in stages

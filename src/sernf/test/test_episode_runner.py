"""The sequence of an episode against a graph whose behaviour the test decides."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from fake_graph import FakeGraph

from sernf.episode_runner import EpisodeRunner, EpisodeRunnerConfig
from sernf.graph import spinning_node
from sernf.service_calls import CallError, Interrupted
from sernf_msgs.msg import BridgeState

CONFIG = EpisodeRunnerConfig(record=True, longest_episode_s=2.0, settle_s=0.5, service_timeout_s=5.0, startup_timeout_s=5.0)


@pytest.fixture
def stage() -> Iterator[tuple[FakeGraph, EpisodeRunner]]:
    with spinning_node("runner_test") as node:
        yield FakeGraph(node), EpisodeRunner(node, CONFIG)


Stage = tuple[FakeGraph, EpisodeRunner]


def test_a_success_is_recorded_from_a_fresh_scene_with_the_judges_label(stage: Stage) -> None:
    graph, runner = stage
    graph.demonstration = lambda graph: graph.judge(success=True)
    outcome = runner.run(7)
    assert (outcome.label, outcome.cause, outcome.seed, outcome.seconds) == ("success", "", 7, 4.0)
    assert (outcome.episode_id, outcome.messages) == ("e1", 1234)
    assert graph.calls == [
        "hw_bridge/set_source:none",
        "sim/reset",
        "hw_bridge/clear_fault",
        "hw_bridge/set_source:demonstrator",
        "recorder/start_episode:demonstrator",
        "teleop/demonstrate",
        "teleop/cancel",
        "hw_bridge/set_source:none",
        "recorder/end_episode:success",
    ]


def test_an_armed_bridge_is_not_armed_again(stage: Stage) -> None:
    graph, runner = stage
    graph.demonstration = lambda graph: graph.judge(success=True)
    runner.run(1)
    graph.calls.clear()
    runner.run(2)
    assert "hw_bridge/clear_fault" not in graph.calls


def test_a_judged_failure_keeps_its_cause(stage: Stage) -> None:
    graph, runner = stage
    graph.demonstration = lambda graph: graph.judge(success=False, failure="dropped")
    outcome = runner.run(1)
    assert (outcome.label, outcome.cause) == ("failure", "dropped")


def test_a_released_robot_without_a_verdict_is_a_failure(stage: Stage) -> None:
    graph, runner = stage
    graph.demonstration = FakeGraph.release
    assert runner.run(1).label == "failure"
    assert graph.calls[-1] == "recorder/end_episode:failure"


def test_the_judge_may_speak_shortly_after_the_release(stage: Stage) -> None:
    graph, runner = stage

    def demonstration(graph: FakeGraph) -> None:
        graph.release()
        time.sleep(0.2)
        graph.judge(success=True)

    graph.demonstration = demonstration
    assert runner.run(1).label == "success"


def test_a_bridge_fault_ends_the_episode_and_names_the_fault(stage: Stage) -> None:
    graph, runner = stage

    def demonstration(graph: FakeGraph) -> None:
        graph.mode, graph.fault = BridgeState.MODE_FAULT, "tracking_error"

    graph.demonstration = demonstration
    outcome = runner.run(1)
    assert (outcome.label, outcome.cause) == ("failure", "bridge: tracking_error")


def test_a_demonstrator_that_never_ends_is_cancelled(stage: Stage) -> None:
    graph, runner = stage
    outcome = runner.run(1)
    assert (outcome.label, outcome.cause) == ("failure", "timeout")
    assert "teleop/cancel" in graph.calls


def test_a_refused_demonstration_is_discarded_with_the_reason(stage: Stage) -> None:
    graph, runner = stage
    graph.refuse.add("teleop/demonstrate")
    outcome = runner.run(1)
    assert outcome.label == "discard"
    assert "refused on purpose" in outcome.cause


@pytest.mark.parametrize("service", ["sim/reset", "hw_bridge/set_source", "recorder/start_episode"])
def test_an_episode_that_cannot_begin_names_the_service(stage: Stage, service: str) -> None:
    graph, runner = stage
    graph.refuse.add(service)
    with pytest.raises(CallError, match=service):
        runner.run(1)


def test_an_interrupted_episode_is_discarded_and_the_source_taken_away(stage: Stage) -> None:
    graph, _ = stage

    def interrupt() -> None:
        if "teleop/demonstrate" in graph.calls and "teleop/cancel" not in graph.calls:
            raise KeyboardInterrupt

    runner = EpisodeRunner(graph.node, CONFIG, interrupt)
    with pytest.raises(KeyboardInterrupt):
        runner.run(1)
    assert graph.calls[-3:] == ["teleop/cancel", "hw_bridge/set_source:none", "recorder/end_episode:discard"]


def test_a_missing_node_is_named() -> None:
    with spinning_node("runner_test") as node:
        runner = EpisodeRunner(node, EpisodeRunnerConfig(startup_timeout_s=0.5))
        with pytest.raises(CallError, match="hw_bridge/clear_fault"):
            runner.wait_for_graph()


def test_waiting_ends_when_interrupted_from_another_thread(stage: Stage) -> None:
    _, runner = stage
    runner.calls.interrupt()
    with pytest.raises(Interrupted):
        runner.calls.wait_until(lambda: False, 60.0)

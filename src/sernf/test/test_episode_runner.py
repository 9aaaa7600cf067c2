"""The sequence of an episode against a graph whose behaviour the test decides."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from fake_graph import FakeGraph

from sernf.episode_referees import OperatorReferee
from sernf.episode_runner import EpisodeOutcome, EpisodeRunner, EpisodeRunnerConfig
from sernf.graph import spinning_node
from sernf.service_calls import CallError, Interrupted
from sernf_msgs.msg import BridgeState, JointCommand, PolicyVersion, TaskState

CONFIG = EpisodeRunnerConfig(record=True, longest_demonstration_s=0.5, settle_s=0.5, service_timeout_s=5.0, startup_timeout_s=5.0)
POLICY = replace(CONFIG, source="policy", longest_rollout_s=0.5)


@pytest.fixture
def stage() -> Iterator[tuple[FakeGraph, EpisodeRunner]]:
    with spinning_node("runner_test") as node:
        yield FakeGraph(node), EpisodeRunner(node, CONFIG)


Stage = tuple[FakeGraph, EpisodeRunner]


def test_a_success_is_recorded_from_a_fresh_scene_with_the_judges_label(stage: Stage) -> None:
    graph, runner = stage
    graph.attempt = lambda graph: graph.judge(success=True)
    outcome = runner.run(7)
    assert (outcome.label, outcome.cause, outcome.seed, outcome.seconds) == ("success", "", 7, 4.0)
    assert (outcome.episode_id, outcome.messages) == ("e1", 1234)
    assert graph.calls == [
        "teleop/cancel",
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
    graph.attempt = lambda graph: graph.judge(success=True)
    runner.run(1)
    graph.calls.clear()
    runner.run(2)
    assert "hw_bridge/clear_fault" not in graph.calls


def test_a_judged_failure_keeps_its_cause(stage: Stage) -> None:
    graph, runner = stage
    graph.attempt = lambda graph: graph.judge(success=False, failure="dropped")
    outcome = runner.run(1)
    assert (outcome.label, outcome.cause) == ("failure", "dropped")


def test_a_released_robot_without_a_verdict_is_a_failure(stage: Stage) -> None:
    graph, runner = stage
    graph.attempt = FakeGraph.release
    assert runner.run(1).label == "failure"
    assert graph.calls[-1] == "recorder/end_episode:failure"


def test_the_judge_may_speak_shortly_after_the_release(stage: Stage) -> None:
    graph, runner = stage

    def attempt(graph: FakeGraph) -> None:
        graph.release()
        time.sleep(0.2)
        graph.judge(success=True)

    graph.attempt = attempt
    assert runner.run(1).label == "success"


def test_a_bridge_fault_ends_the_episode_and_names_the_fault(stage: Stage) -> None:
    graph, runner = stage

    def attempt(graph: FakeGraph) -> None:
        graph.mode, graph.fault = BridgeState.MODE_FAULT, "tracking_error"

    graph.attempt = attempt
    outcome = runner.run(1)
    assert (outcome.label, outcome.cause) == ("failure", "bridge: tracking_error")


def test_a_demonstrator_that_never_ends_is_cancelled(stage: Stage) -> None:
    graph, runner = stage
    outcome = runner.run(1)
    assert (outcome.label, outcome.cause) == ("failure", "timeout")
    assert graph.calls[-3:] == ["teleop/cancel", "hw_bridge/set_source:none", "recorder/end_episode:failure"]


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
        if graph.calls and graph.calls[-1] == "teleop/demonstrate":
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


def test_a_policy_without_weights_is_waited_for_and_then_told(stage: Stage) -> None:
    graph, _ = stage
    runner = EpisodeRunner(graph.node, replace(POLICY, startup_timeout_s=0.5))
    with pytest.raises(CallError, match="runs no weights within"):
        runner.wait_for_graph()
    graph.run_weights(PolicyVersion(sha256="abc"))
    runner.wait_for_graph()
    assert "recorder/start_episode:policy" not in graph.calls


def test_waiting_ends_when_interrupted_from_another_thread(stage: Stage) -> None:
    _, runner = stage
    runner.calls.interrupt()
    with pytest.raises(Interrupted):
        runner.calls.wait_until(lambda: False, 60.0)


def test_a_policy_acts_between_its_modes_and_is_recorded_as_itself(stage: Stage) -> None:
    graph, _ = stage
    graph.attempt = lambda graph: graph.judge(success=True)
    outcome = EpisodeRunner(graph.node, POLICY).run(5)
    assert (outcome.label, outcome.seconds) == ("success", 4.0)
    assert graph.calls == [
        "policy/set_mode:hold",
        "hw_bridge/set_source:none",
        "sim/reset",
        "hw_bridge/clear_fault",
        "hw_bridge/set_source:policy",
        "recorder/start_episode:policy",
        "policy/set_mode:policy",
        "policy/set_mode:hold",
        "hw_bridge/set_source:none",
        "recorder/end_episode:success",
    ]
    assert (graph.seeds, graph.labelled_by) == ([5], ["judge"])


def test_a_policy_that_runs_out_of_the_tasks_time_fails_by_timeout_at_its_stage(stage: Stage) -> None:
    graph, _ = stage

    def attempt(graph: FakeGraph) -> None:
        graph.task = TaskState(task="duck", seed=graph.seed, stage="lifted", elapsed_s=20.0)

    graph.attempt = attempt
    began_s = time.monotonic()
    outcome = EpisodeRunner(graph.node, replace(POLICY, longest_rollout_s=20.0)).run(1)
    assert (outcome.label, outcome.cause, outcome.seconds) == ("failure", "timeout at stage lifted", 20.0)
    assert graph.notes == ["timeout at stage lifted"]
    assert time.monotonic() - began_s < 15.0, "the task's clock decides"


def test_what_the_judge_measured_comes_with_the_outcome(stage: Stage) -> None:
    graph, _ = stage

    def attempt(graph: FakeGraph) -> None:
        graph.task = TaskState(
            task="cube",
            seed=graph.seed,
            done=True,
            failure="dropped",
            elapsed_s=7.0,
            measure_names=["counted_rad"],
            measures=[6.5],
        )

    graph.attempt = attempt
    outcome = EpisodeRunner(graph.node, POLICY).run(1)
    assert (outcome.label, outcome.cause, dict(outcome.measures)) == ("failure", "dropped", {"counted_rad": 6.5})


def test_a_simulation_that_stands_still_ends_by_the_wall_clock(stage: Stage) -> None:
    graph, _ = stage
    outcome = EpisodeRunner(graph.node, POLICY).run(1)
    assert (outcome.label, outcome.cause) == ("failure", "timeout")


def test_a_policy_that_gives_control_back_has_failed(stage: Stage) -> None:
    graph, _ = stage
    graph.attempt = lambda graph: graph.release(JointCommand.SOURCE_POLICY)
    assert EpisodeRunner(graph.node, POLICY).run(1).label == "failure"


def test_a_policy_without_weights_is_a_discarded_episode_with_the_reason(stage: Stage) -> None:
    graph, _ = stage
    graph.refuse.add("policy/set_mode")
    outcome = EpisodeRunner(graph.node, POLICY).run(1)
    assert (outcome.label, "refused on purpose" in outcome.cause) == ("discard", True)


def test_an_old_scenes_verdict_is_not_this_ones(stage: Stage) -> None:
    graph, runner = stage
    graph.attempt = lambda graph: graph.judge(success=True)
    runner.run(1)
    graph.attempt = lambda graph: None
    assert runner.run(2).cause == "timeout"


class Person:
    """Types answers when asked, and while the robot acts what `interrupts` says."""

    def __init__(self, *answers: str, interrupts: str | None = None) -> None:
        self.heard: list[str] = []
        self._answers = list(answers)
        self._interrupts = interrupts
        self._typed: list[str] = []

    def say(self, text: str) -> None:
        self.heard.append(text)
        if "the robot acts" in text:
            self._typed += [] if self._interrupts is None else [self._interrupts]
        elif self._answers:
            self._typed.append(self._answers.pop(0))

    def read_line(self) -> str | None:
        return self._typed.pop(0) if self._typed else None


@pytest.fixture
def real() -> Iterator[FakeGraph]:
    """A graph without a simulation."""
    with spinning_node("runner_test") as node:
        yield FakeGraph(node, simulated=False)


def run_with(graph: FakeGraph, person: Person, timeout_s: float = 5.0) -> EpisodeOutcome:
    graph.run_weights(PolicyVersion(sha256="abc"))
    runner = EpisodeRunner(
        graph.node, POLICY, make_referee=lambda calls: OperatorReferee(calls, person.read_line, person.say, "bo", timeout_s)
    )
    runner.wait_for_graph()
    return runner.run(0)


def test_a_person_sets_the_scene_ends_the_episode_and_judges_it_in_one_word(real: FakeGraph) -> None:
    person = Person("", interrupts="s")
    assert run_with(real, person).label == "success"
    assert (real.labelled_by, real.seeds) == (["operator:bo"], [0])
    assert "press Enter" in person.heard[0]
    assert "sim/reset" not in real.calls


def test_a_person_who_only_presses_enter_is_asked_how_it_ended_when_the_robot_holds(real: FakeGraph) -> None:
    person = Person("", "what?", "F", interrupts="")
    outcome = run_with(real, person)
    assert (outcome.label, outcome.cause) == ("failure", "judged by the operator")
    assert sum("how did it end" in text for text in person.heard) == 2
    assert real.calls[-2:] == ["hw_bridge/set_source:none", "recorder/end_episode:failure"]


def test_after_the_time_limit_a_person_is_asked_and_the_note_tells_of_the_timeout(real: FakeGraph) -> None:
    outcome = run_with(real, Person("", "f"))
    assert (outcome.label, outcome.cause) == ("failure", "timeout")


def test_a_person_may_call_a_late_end_a_success_and_have_an_episode_forgotten(real: FakeGraph) -> None:
    assert run_with(real, Person("", "s")).label == "success"
    assert run_with(real, Person("", interrupts="d")).label == "discard"


def test_a_fault_is_told_to_the_person_who_judges(real: FakeGraph) -> None:
    def attempt(graph: FakeGraph) -> None:
        graph.mode, graph.fault = BridgeState.MODE_FAULT, "tracking_error"

    real.attempt = attempt
    person = Person("", "f")
    assert run_with(real, person).cause == "bridge: tracking_error"
    assert "ended by bridge: tracking_error" in person.heard[-1]


def test_without_an_answer_nothing_moves(real: FakeGraph) -> None:
    with pytest.raises(CallError, match=r"nobody answered within 0\.3 s"):
        run_with(real, Person(), timeout_s=0.3)
    assert "policy/set_mode:policy" not in real.calls


@pytest.mark.parametrize(
    "wrong", [{"longest_rollout_s": -1.0}, {"longest_demonstration_s": -1.0}, {"pause_s": -1.0}, {"seed": -1}]
)
def test_a_wrong_configuration_names_its_key(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EpisodeRunnerConfig(**wrong)  # type: ignore[arg-type]

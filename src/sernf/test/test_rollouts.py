"""Policy episodes in a graph that is already there, what their result says, and which folders are gone on with."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_graph import FakeGraph
from rclpy.node import Node
from rich.console import Console

from sernf import rollouts
from sernf.episode_runner import EpisodeOutcome
from sernf.episode_series import missing_seeds, recorded_episodes
from sernf.graph import spinning_node
from sernf.rollouts import RolloutRequest, RolloutResult
from sernf.service_calls import CallError
from sernf.terminal import WhichGraph
from sernf_msgs.msg import PolicyVersion
from sernf_teleop.episodes import relabel

CONSOLE = Console(file=io.StringIO())


def request(**changes: Any) -> RolloutRequest:
    return RolloutRequest(**{"task": "duck", "episodes": 2, "seed": 1000, **changes})


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.setattr(rollouts, "DISCOVERY_S", 1.0)
    with spinning_node("rollouts_test") as node:
        yield node


def run(node: Node, **changes: Any) -> RolloutResult:
    return rollouts._in_running_graph(node, request(**changes), CONSOLE)


def test_in_a_running_graph_exactly_so_many_more_from_fresh_scenes(node: Node, tmp_path: Path) -> None:
    graph = FakeGraph(node)
    weights = tmp_path / "w.safetensors"
    weights.touch()
    graph.attempt = lambda graph: graph.judge(success=graph.seed == 1000, failure="out_of_reach")
    graph.run_weights(PolicyVersion(version="duck-online_rl-0003", sha256="abc", stage="online_rl", file="/w"))
    result = run(node, weights=str(weights))
    assert graph.seeds == [1000, 1001]
    assert graph.calls[0] == f"policy/load_weights:{weights}"
    assert [outcome.label for outcome in result.outcomes] == ["success", "failure"]
    told = json.loads(result.as_json())
    assert (told["successes"], told["failures"], told["mean_time_s"]) == (1, {"out_of_reach": 1}, 4.0)
    assert (told["sha256"], told["stage"], told["directory"]) == ("abc", "online_rl", "/episodes")
    assert "1 of 2 (50 %" in str(result)
    assert "duck-online_rl-0003" in str(result)


@pytest.mark.parametrize(("explore", "mode"), [(False, "policy"), (True, "explore")])
def test_the_policy_explores_when_asked_to(node: Node, explore: bool, mode: str) -> None:
    graph = FakeGraph(node)
    graph.attempt = lambda graph: graph.judge(success=True)
    graph.run_weights(PolicyVersion(sha256="abc"))
    run(node, episodes=1, explore=explore)
    modes = [call for call in graph.calls if call.startswith("policy/set_mode")]
    assert modes == ["policy/set_mode:hold", f"policy/set_mode:{mode}", "policy/set_mode:hold"]


def test_what_only_an_own_graph_has_cannot_be_asked_of_a_running_one(node: Node, tmp_path: Path) -> None:
    FakeGraph(node)
    with pytest.raises(CallError, match="--out, --physics: a graph is running in this ROS domain"):
        run(node, out=tmp_path, physics="twin")
    with pytest.raises(CallError, match="--weights: /no/such: expected a weights file"):
        run(node, weights="/no/such")


def test_a_graph_that_runs_episodes_by_itself_is_left_alone(node: Node) -> None:
    FakeGraph(node)
    other = Node("episode_runner", context=node.context)
    assert rollouts.ServiceCalls(node).wait_until(lambda: "episode_runner" in node.get_node_names(), 5.0)
    with pytest.raises(CallError, match="rollouts:=false"):
        run(node)
    other.destroy_node()


def test_on_a_real_robot_a_person_is_needed(node: Node) -> None:
    graph = FakeGraph(node, simulated=False)
    with pytest.raises(CallError, match="expected a terminal"):
        run(node)
    assert graph.calls == []


def test_an_episode_that_does_not_take_place_is_tried_again_and_then_told(node: Node) -> None:
    graph = FakeGraph(node)
    graph.run_weights(PolicyVersion(sha256="abc"))
    graph.refuse.add("policy/set_mode")
    with pytest.raises(CallError, match=r"scene 1000 could not take place in 3 tries: policy/set_mode refused"):
        run(node)
    assert graph.calls.count("recorder/end_episode:discard") == 3


def test_without_a_running_graph_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollouts, "DISCOVERY_S", 0.3)
    with pytest.raises(CallError, match="expected a running graph with a policy in ROS domain"):
        rollouts.run_rollouts(request(graph=WhichGraph.running), CONSOLE)


def test_a_result_without_a_success_has_no_time() -> None:
    outcome = EpisodeOutcome(seed=1, label="failure", cause="timeout at stage lifted", seconds=20.0)
    result = RolloutResult(request=request(physics="twin"), outcomes=[outcome] * 2, version=PolicyVersion(), directory="/d")
    told = json.loads(result.as_json())
    assert (told["mean_time_s"], told["rate"], told["twin"]) == (None, 0.0, True)
    assert told["wilson_high"] == pytest.approx(0.658, abs=1e-3)
    assert "2 timeout at stage lifted" in str(result)


def test_turns_of_the_cube_are_told_and_timeouts_are_no_drops() -> None:
    row = {"counted_rad": 4 * math.pi, "turned_rad": 4 * math.pi, "lived_s": 30.0, "fingertip_s": 90.0, "force_ns": 60.0}
    causes = ("dropped", "timeout at stage turned")
    outcomes = [EpisodeOutcome(seed=1, label="failure", cause=cause, seconds=30.0, measures=row) for cause in causes]
    result = RolloutResult(request=request(task="cube"), outcomes=outcomes, version=PolicyVersion(), directory="/d")
    assert json.loads(result.as_json())["extra"] == pytest.approx(result.extra)
    assert result.extra["rpm"] == pytest.approx(4.0) and result.extra["drops_per_min"] == pytest.approx(1.0)
    assert "rpm 4" in str(result)
    assert RolloutResult(request=request(), outcomes=outcomes, version=PolicyVersion(), directory="/d").extra == {}


def test_a_folder_is_gone_on_with_only_by_the_same_weights_in_the_same_world(tmp_path: Path) -> None:
    earlier = [EpisodeOutcome(seed=1000, label="success", cause="", seconds=1.0)]
    mine = {"sha256": "a", "version": "v1", "physics": "twin"}
    rollouts._check_same(tmp_path, mine, [])
    rollouts._check_same(tmp_path, mine, earlier)
    for other in ({"sha256": "b", "version": "v2"}, {"physics": "nominal"}):
        with pytest.raises(CallError, match="holds rollouts of weights v1 in physics twin"):
            rollouts._check_same(tmp_path, {**mine, **other}, earlier)
    rollouts._check_same(tmp_path, {**mine, "sha256": "b"}, [])


def test_only_labelled_episodes_of_the_same_actor_count_as_recorded(tmp_path: Path) -> None:
    from datasets import record_episode

    done = record_episode(tmp_path, source="policy")
    relabel(done, label="failure", labelled_by="operator:bo", note="timeout")
    record_episode(tmp_path, source="demonstrator")
    record_episode(tmp_path, "discard", source="policy")
    recorded = recorded_episodes(tmp_path, source="policy")
    assert [episode.path for episode in recorded] == [done]
    assert missing_seeds(recorded, 3, 0) == [0, 2]
    outcome = rollouts.outcome_of(recorded[0])
    assert (outcome.seed, outcome.label, outcome.cause, outcome.path) == (1, "failure", "timeout", str(done))
    assert outcome.seconds == recorded[0].seconds

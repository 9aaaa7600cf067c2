"""The policy node and the bridge as real processes: modes, takeovers, stale inputs, swaps under way, bad weights."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from forgery import forge
from policy_graph import START_TIMEOUT_S, PolicyGraph, policy, policy_graph
from robot_policies import BLIND, robot_layout, save_robot_policy
from small_policies import SMALL
from std_srvs.srv import Trigger

from sernf_msgs.msg import BridgeState, PolicyVersion
from sernf_policy.checkpoint_files import both_files
from sernf_policy.likelihood_monitor import LikelihoodThresholds


@dataclass
class Weights:
    """Files, and the hashes of good ones."""

    folder: Path

    def __post_init__(self) -> None:
        self.a, self.b, self.seeing, self.doubted = (self.folder / name for name in ("a", "b", "seeing", "doubted"))
        self.sha_a = save_robot_policy(self.a, seed=1).sha256
        self.sha_b = save_robot_policy(self.b, seed=2, candidates=4).sha256
        seeing = robot_layout(observation=(*BLIND, "object_position/duck"))
        self.sha_seeing = save_robot_policy(self.seeing, layout=seeing, seed=3).sha256
        self.doubtful = LikelihoodThresholds(typical_nats=0.0, unlikely_nats=-1.0, far=1e-6, windows=9)
        save_robot_policy(self.doubted, seed=4, likelihood=self.doubtful)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    return Weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def running(weights: Weights) -> Iterator[PolicyGraph]:
    with policy_graph() as graph, policy(weights=f"{weights.a}.safetensors") as process:
        graph.until(lambda: bool(graph.versions) or process.poll() is not None, START_TIMEOUT_S)
        assert process.poll() is None, "the policy ended at once, see its log above"
        yield graph


@pytest.fixture
def graph(running: PolicyGraph, weights: Weights) -> Iterator[PolicyGraph]:
    """Mode hold, weights a, nobody selected."""
    running.arm("none")
    answer = running.load(weights.a, weights.sha_a)
    assert answer.success, answer.message
    running.commands.clear()
    running.chunks.clear()
    yield running
    running.operator_speaks = running.duck_is_seen = False
    assert running.set_mode("hold").success


def test_it_starts_in_hold_and_says_what_it_runs(graph: PolicyGraph, weights: Weights) -> None:
    first = graph.versions[0]
    assert (first.sha256, first.stage, first.file) == (weights.sha_a, "imitation", f"{weights.a}.safetensors")
    graph.arm("policy")
    graph.until(lambda: graph.values.get("mode") == "hold" and graph.level == 0)
    assert graph.commands == []
    assert graph.chunks == []
    refused = graph.set_mode("go")
    assert not refused.success
    assert "hold, policy, explore or shadow" in refused.message


def test_in_mode_policy_the_bridge_follows_its_chunks(graph: PolicyGraph, weights: Weights) -> None:
    graph.drive()
    graph.until(lambda: len(graph.chunks) >= 5)
    chunk = graph.chunks[2]
    assert chunk.weights_sha256 == weights.sha_a
    assert (chunk.horizon, chunk.step_period_s, chunk.candidates) == (6, pytest.approx(0.05), 1)
    assert np.isfinite(chunk.log_likelihood)
    assert np.isnan(chunk.q_value)
    assert 0.0 < chunk.inference_time_s < 1.0
    targets = np.reshape(chunk.position_rad, (6, -1))
    played = [command for command in graph.commands if command.chunk_id == chunk.chunk_id]
    assert [command.step_in_chunk for command in played] == [1, 2, 3]
    assert list(played[-1].joint_names) == list(chunk.joint_names)
    np.testing.assert_allclose(played[-1].position_rad, targets[3], atol=1e-9)
    stamps = [command.header.stamp.sec + command.header.stamp.nanosec * 1e-9 for command in played]
    assert 0.0 < stamps[0] - (chunk.header.stamp.sec + chunk.header.stamp.nanosec * 1e-9) < 0.5
    assert graph.bridge is not None
    assert graph.bridge.weights_sha256 == weights.sha_a
    assert graph.set_mode("hold").success
    graph.until(lambda: graph.mode == BridgeState.MODE_HOLD)
    assert graph.commands[-1].release


def test_shadow_computes_and_commands_nothing(graph: PolicyGraph) -> None:
    graph.arm("policy")
    assert graph.set_mode("shadow").success
    graph.until(lambda: len(graph.chunks) >= 4)
    assert graph.commands == []
    assert graph.mode == BridgeState.MODE_HOLD


def test_a_takeover_silences_the_policy_and_it_goes_on_without_a_jump(graph: PolicyGraph) -> None:
    graph.drive()
    graph.operator_speaks = True
    graph.until(lambda: graph.active == "teleop" and "taken over" in graph.values.get("not_ours", ""))
    sent = len(graph.commands)
    before = graph.commands[-1].chunk_id
    graph.until(lambda: "taken over" in graph.message)
    assert len(graph.commands) <= sent + 1
    graph.let_go()
    graph.until(lambda: graph.active == "policy")
    assert graph.commands[-1].chunk_id > before
    assert graph.largest_step_rad < 0.1


def test_weights_are_swapped_under_way_and_rolled_back(graph: PolicyGraph, weights: Weights) -> None:
    graph.drive()
    graph.until_runs(weights.sha_a)
    answer = graph.load(weights.b, weights.sha_b)
    assert answer.success, answer.message
    assert answer.version.startswith("duck-imitation-")
    graph.until_runs(weights.sha_b)
    graph.until(lambda: graph.versions[-1].sha256 == weights.sha_b)
    graph.until(lambda: graph.chunks[-1].candidates == 4)
    assert np.isfinite(graph.chunks[-1].q_value)
    hashes = [command.weights_sha256 for command in graph.commands if not command.release]
    boundary = hashes.index(weights.sha_b)
    assert (set(hashes[:boundary]), set(hashes[boundary:])) == ({weights.sha_a}, {weights.sha_b})
    first_of_b = next(command for command in graph.commands if command.weights_sha256 == weights.sha_b)
    assert first_of_b.step_in_chunk == 1, "not in the middle of a chunk"
    answer = graph.call(Trigger, "policy/rollback")
    assert answer.success, answer.message
    graph.until_runs(weights.sha_a)
    assert graph.active == "policy"
    again = graph.call(Trigger, "policy/rollback")
    assert not again.success
    assert "none" in again.message


def test_announced_weights_are_loaded_by_themselves_but_not_after_a_rollback(graph: PolicyGraph, weights: Weights) -> None:
    announced = PolicyVersion(version="b", sha256=weights.sha_b, file=f"{weights.b}.safetensors")
    graph.learner.publish(announced)
    graph.until(lambda: graph.versions[-1].sha256 == weights.sha_b)
    assert graph.call(Trigger, "policy/rollback").success
    graph.until(lambda: graph.versions[-1].sha256 == weights.sha_a)
    graph.until(lambda: graph.values.get("pinned") == "True")
    graph.learner.publish(announced)
    graph.until(lambda: graph.set_mode("shadow").success and len(graph.chunks) >= 4)
    assert graph.chunks[-1].weights_sha256 == weights.sha_a
    assert graph.load(weights.b).success
    graph.until(lambda: graph.versions[-1].sha256 == weights.sha_b)


def spoil(kind: str, weights: Weights, folder: Path) -> tuple[Path, str]:
    """Bad weights, and the hash to ask for."""
    bad = folder / kind
    file = both_files(bad)[0]
    if kind == "other_rate":
        save_robot_policy(bad, layout=robot_layout(rate_hz=50.0))
    elif kind == "other_task":
        save_robot_policy(bad, layout=robot_layout(task="juggle"))
    elif kind == "too_slow":
        save_robot_policy(bad, config=dataclasses.replace(SMALL, blocks=12, hidden=256), candidates=1024, heads=0.0)
    elif kind == "outside_limits":
        save_robot_policy(bad, drift_rad=1.0)
    elif kind == "uncalibrated":
        save_robot_policy(bad, likelihood=LikelihoodThresholds(typical_nats=99.0, unlikely_nats=98.0, far=9.0, windows=9))
    else:
        for source, target in zip(both_files(weights.b), both_files(bad), strict=True):
            shutil.copy(source, target)
    if kind == "not_finite":
        forge(bad, tensors=lambda tensors: tensors[min(n for n in tensors if tensors[n].is_floating_point())].fill_(math.nan))
    elif kind == "wrong_layout":
        forge(bad, content=lambda content: content["layout"]["joint_names"].__setitem__(0, "elbow"))
    elif kind == "truncated":
        file.write_bytes(file.read_bytes()[:-1000])
    elif kind == "missing":
        file.unlink()
    return file, "0" * 64 if kind == "wrong_hash" else ""


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("not_finite", "expected finite numbers"),
        ("wrong_layout", "elbow"),
        ("truncated", "truncated"),
        ("wrong_hash", "as announced"),
        ("missing", "there is no file"),
        ("other_rate", "control_rate_hz"),
        ("other_task", "juggle"),
        ("outside_limits", "inside the joint limits"),
        ("uncalibrated", "it has not learnt this task"),
        ("too_slow", "99th percentile"),
    ],
)
def test_bad_weights_are_refused_with_the_reason_while_the_old_ones_go_on(
    graph: PolicyGraph, weights: Weights, tmp_path: Path, kind: str, reason: str
) -> None:
    graph.drive()
    graph.until_runs(weights.sha_a)
    answer = graph.load(*spoil(kind, weights, tmp_path))
    assert not answer.success
    assert reason in answer.message
    graph.until(lambda: reason in graph.values.get("last_refusal", ""))
    assert graph.active == "policy"
    assert {command.weights_sha256 for command in graph.commands if not command.release} == {weights.sha_a}


def test_an_input_that_goes_stale_ends_in_hold_and_is_named(graph: PolicyGraph, weights: Weights) -> None:
    assert graph.load(weights.seeing).success
    graph.arm("policy")
    assert graph.set_mode("policy").success
    graph.until(lambda: graph.level == 2 and graph.message.startswith("objects/duck/pose: no message yet"))
    assert graph.commands == []
    graph.duck_is_seen = True
    graph.until(lambda: graph.active == "policy")
    graph.duck_is_seen = False
    graph.until(lambda: graph.mode == BridgeState.MODE_HOLD)
    graph.until(lambda: graph.message.startswith("objects/duck/pose: the newest message is"))


def test_what_is_unlike_the_data_ends_in_hold_and_asks_for_a_person(graph: PolicyGraph, weights: Weights) -> None:
    assert graph.load(weights.doubted).success
    graph.drive()
    graph.until(lambda: graph.values.get("mode") == "hold" and graph.message.startswith("take over: "))
    assert graph.level == 2
    graph.until(lambda: graph.mode == BridgeState.MODE_HOLD)
    assert graph.commands[-1].release

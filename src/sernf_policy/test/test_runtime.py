"""The compiled policy computes what the policy computes, and chooses as configured."""

from __future__ import annotations

import logging
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_policies import small_critic, small_data, small_layout, small_policy

from sernf_policy import runtime as module
from sernf_policy.acting import ActingConfig
from sernf_policy.checkpoint import Checkpoint, CheckpointInfo, HeldOut, load_checkpoint, save_checkpoint
from sernf_policy.chunk_player import PlayerConfig
from sernf_policy.critic import ChunkCritic, CriticConfig
from sernf_policy.engine import CompiledEngine, Decoded, Graphs, Planner
from sernf_policy.flow import FLOWS, ChunkFlow, base_log_prob
from sernf_policy.inference_graph import likelihood_graph, sampling_graph
from sernf_policy.layout import DUCK_OBSERVATION, PolicyLayout
from sernf_policy.likelihood_monitor import ExecutedChunk
from sernf_policy.policy import ChunkPolicy, PolicyConfig
from sernf_policy.runtime import CompileError, EagerEngine, PolicyRuntime

PLAYER = PlayerConfig(execute_steps=2)


def checkpoint(policy: ChunkPolicy, critic: ChunkCritic | None = None, acting: ActingConfig | None = None) -> Checkpoint:
    acting = acting or ActingConfig(player=PLAYER)
    info = CheckpointInfo(
        format=1, version="toy", stage="imitation", sha256="", weights_bytes=0, layout=policy.layout, policy=policy.config,
        critic=None if critic is None else critic.config, acting=acting,
    )  # fmt: skip
    return Checkpoint(policy, critic, acting, info, None)


@settings(max_examples=25, deadline=None)
@given(
    joints=st.integers(1, 4),
    horizon=st.integers(1, 5),
    blocks=st.integers(0, 4),
    members=st.integers(1, 3),
    components=st.integers(0, 9),
    steps=st.integers(0, 5),
    candidates=st.sampled_from([1, 2, 7]),
    absolute=st.integers(0, 4),
    shared=st.booleans(),
    seed=st.integers(0, 99),
)
def test_compiled_and_not_compiled_agree(
    joints: int, horizon: int, blocks: int, members: int, components: int, steps: int, candidates: int, absolute: int,
    shared: bool, seed: int,
) -> None:  # fmt: skip
    """Odd and even sizes, no blocks, one dimension; a critic with the policy's normalisation or another, also of fewer steps;
    joints that count from the commanded position and others."""
    layout = small_layout(joints, horizon, min(absolute, joints))
    config = PolicyConfig(encoder_hidden=8, code_size=4, blocks=blocks, hidden=8, affine_hidden=8)
    policy = small_policy(layout, config, seed)
    critic = small_critic(policy, CriticConfig(members=members, hidden=8, layers=2, components=components, steps=steps), seed)
    if not shared:
        vectors, chunks = small_data(layout, 50, seed + 1)
        commanded = policy.commanded({"vector": vectors})
        critic.normaliser.fit(chunks[:, : critic.steps], commanded, margin=0.3, smallest_half_range_rad=0.05, noise=0.05)
    eager = EagerEngine(policy, critic)
    compiled = CompiledEngine(Graphs(sampling_graph(policy, critic, candidates), likelihood_graph(policy), True), threads=1)
    vectors, chunks = (value.numpy() for value in small_data(layout, 5, seed))
    latent = np.random.default_rng(seed).standard_normal((candidates, layout.chunk_size), dtype=np.float32)
    got, expected = compiled.decode(vectors[:1], latent), eager.decode(vectors[:1], latent)
    assert got.q_value is not None and expected.q_value is not None
    np.testing.assert_allclose(got.chunk, expected.chunk, atol=1e-5)
    np.testing.assert_allclose(got.log_prob, expected.log_prob, atol=2e-3, rtol=1e-4)
    np.testing.assert_allclose(got.q_value, expected.q_value, atol=1e-4, rtol=1e-4)
    judged, expected_judged = compiled.judge(vectors, chunks), eager.judge(vectors, chunks)
    np.testing.assert_allclose(judged.log_prob, expected_judged.log_prob, atol=2e-3, rtol=1e-4)
    np.testing.assert_allclose(judged.distance, expected_judged.distance, atol=1e-3, rtol=1e-4)


def test_the_robots_policy_is_compiled() -> None:
    layout = PolicyLayout(task="duck", observation=DUCK_OBSERVATION)
    policy = small_policy(layout, PolicyConfig(blocks=3, hidden=32))
    running = PolicyRuntime(checkpoint(policy, ChunkCritic(layout, CriticConfig(hidden=32)).eval(), ActingConfig(candidates=16)))
    planned = running.plan(small_data(layout, 1)[0][0].numpy(), np.random.default_rng(0))
    assert running.compiled and planned.candidates == 16
    assert planned.position_rad.shape == (10, 24) and planned.position_rad.dtype == np.float64
    assert math.isfinite(planned.log_prob) and math.isfinite(planned.q_value) and planned.inference_s > 0.0


def test_a_planned_chunk_carries_its_exact_likelihood() -> None:
    running = PolicyRuntime(checkpoint(small_policy()), acting=ActingConfig(temperature=0.3, player=PLAYER))
    vectors = small_data(running.layout, 20)[0].numpy()
    rng = np.random.default_rng(0)
    for vector in vectors:
        planned = running.plan(vector, rng)
        assert math.isnan(planned.q_value) and planned.candidates == 1
        again = running.log_prob(vector[None], planned.position_rad[None])
        assert again[0] == pytest.approx(planned.log_prob, abs=0.05)


def test_the_same_generator_gives_the_same_chunk() -> None:
    running = PolicyRuntime(checkpoint(small_policy()))
    vector = small_data(running.layout, 1)[0][0].numpy()
    one, other, third = (running.plan(vector, np.random.default_rng(seed)).position_rad for seed in (5, 5, 6))
    assert np.array_equal(one, other) and not np.array_equal(one, third)


class Latents:
    """An engine that notes what was sampled."""

    def __init__(self, policy) -> None:
        self.size = (policy.layout.horizon, policy.layout.action_size)
        self.seen: list[np.ndarray] = []

    def decode(self, vector, latent) -> Decoded:
        self.seen.append(latent[0])
        return Decoded(np.zeros((len(latent), *self.size), np.float32), np.zeros(len(latent), np.float32), None)


@pytest.mark.parametrize("persistence", [0.0, 0.6, 0.95])
def test_exploring_persists_from_chunk_to_chunk_and_has_a_temperature_of_its_own(persistence: float) -> None:
    policy = small_policy()
    acting = ActingConfig(temperature=0.1, exploring_temperature=0.5, persistence=persistence, player=PLAYER)
    for exploring, spread, kept in ((True, 0.5, persistence), (False, 0.1, 0.0)):
        engine = Latents(policy)
        planner, rng = Planner(policy.layout, acting, engine, has_critic=False), np.random.default_rng(0)
        vector = small_data(policy.layout, 1)[0][0].numpy()
        for _ in range(3000):
            planner.plan(vector, rng, exploring=exploring)
        latents = np.array(engine.seen)[100:]
        now, before = latents[1:].ravel(), latents[:-1].ravel()
        assert np.corrcoef(now, before)[0, 1] == pytest.approx(kept, abs=0.05)
        assert latents.std() == pytest.approx(spread, rel=0.1)
        engine.seen.clear()
        for _ in range(300):
            planner.forget()
            planner.plan(vector, rng, exploring=exploring)
        assert np.std(engine.seen) == pytest.approx(spread * np.sqrt(1.0 - kept**2), rel=0.1), "it begins in the middle"


def test_without_a_temperature_of_its_own_exploring_has_that_of_acting() -> None:
    policy = small_policy()
    engine = Latents(policy)
    planner = Planner(policy.layout, ActingConfig(temperature=0.3, player=PLAYER), engine, has_critic=False)
    vector = small_data(policy.layout, 1)[0][0].numpy()
    for exploring in (True, False):
        planner.plan(vector, np.random.default_rng(0), exploring=exploring)
    assert np.array_equal(*engine.seen)


def test_more_candidates_get_better_values_and_the_unlikely_are_left_out() -> None:
    policy = small_policy()
    critic = small_critic(policy)
    vectors = small_data(policy.layout, 30)[0].numpy()
    mean_q, mean_log_prob = {}, {}
    for candidates, quantile in ((1, 0.0), (16, 0.0), (16, 0.9)):
        running = PolicyRuntime(
            checkpoint(policy, critic, ActingConfig(candidates=candidates, density_quantile=quantile, player=PLAYER))
        )
        planned = [running.plan(vector, np.random.default_rng(0)) for vector in vectors]
        mean_q[candidates, quantile] = np.mean([one.q_value for one in planned])
        mean_log_prob[candidates, quantile] = np.mean([one.log_prob for one in planned])
    assert mean_q[1, 0.0] < mean_q[16, 0.9] < mean_q[16, 0.0]
    assert mean_log_prob[16, 0.9] > mean_log_prob[16, 0.0]


def test_the_value_is_that_of_the_chosen_chunk() -> None:
    policy = small_policy()
    critic = small_critic(policy)
    running = PolicyRuntime(checkpoint(policy, critic, ActingConfig(candidates=8, player=PLAYER)))
    vector = small_data(policy.layout, 1)[0]
    planned = running.plan(vector[0].numpy(), np.random.default_rng(0))
    with torch.no_grad():
        value = critic(vector, torch.from_numpy(planned.position_rad[None]).float()).mean().item()
    assert planned.q_value == pytest.approx(value, abs=1e-4)


def test_acting_can_be_overridden() -> None:
    policy = small_policy()
    vector = small_data(policy.layout, 1)[0][0].numpy()
    still = PolicyRuntime(checkpoint(policy), acting=ActingConfig(temperature=0.0, player=PLAYER))
    one, other = (still.plan(vector, np.random.default_rng(seed)).position_rad for seed in (1, 2))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("vector", [np.zeros(5, np.float32), np.array([0, 0, 0, np.nan, 0, 0], np.float32)])
def test_an_observation_that_makes_no_sense_is_an_error(vector: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected 6 finite numbers of observation"):
        PolicyRuntime(checkpoint(small_policy())).plan(vector, np.random.default_rng(0))


def test_evidence_is_about_now_and_about_what_was_done() -> None:
    policy = small_policy()
    running = PolicyRuntime(checkpoint(policy))
    vectors, chunks = small_data(policy.layout, 2)
    vector = vectors[0].numpy().copy()
    vector[4] += 50.0
    planned = running.plan(vector, np.random.default_rng(0))
    evidence = running.evidence(vector, planned, ExecutedChunk(vectors[1].numpy(), chunks[1].double().numpy()))
    with torch.no_grad():
        executed = policy.log_prob({"vector": vectors[1:]}, chunks[1:]).item() / 12
    assert evidence.executed_nats == pytest.approx(executed, abs=1e-3)
    assert evidence.sampled_nats == pytest.approx(planned.log_prob / 12)
    assert evidence.farthest == "commanded_position" and evidence.distance > 50.0
    assert math.isnan(running.evidence(vector, planned, None).executed_nats)


def test_without_onnx_the_policy_still_runs_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    policy = small_policy()
    vector = small_data(policy.layout, 1)[0][0].numpy()
    compiled = PolicyRuntime(checkpoint(policy)).plan(vector, np.random.default_rng(0))
    monkeypatch.setattr(module, "MISSING", "No module named 'onnxruntime'")
    with caplog.at_level(logging.WARNING):
        running = PolicyRuntime(checkpoint(policy))
    assert not running.compiled and "No module named 'onnxruntime'" in caplog.text
    np.testing.assert_allclose(running.plan(vector, np.random.default_rng(0)).position_rad, compiled.position_rad, atol=1e-5)


def test_a_graph_that_computes_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = small_policy(seed=4)
    monkeypatch.setattr(module, "sampling_graph", lambda policy, critic, candidates: sampling_graph(other, critic, candidates))
    with pytest.raises(CompileError, match="chunk: expected the compiled policy within"):
        PolicyRuntime(checkpoint(small_policy()))


def test_a_module_that_the_graph_does_not_know_is_named() -> None:
    policy = small_policy()
    policy.encoder.network.append(torch.nn.GELU())
    with pytest.raises(TypeError, match="got GELU; add it to graph_layers"):
        PolicyRuntime(checkpoint(policy))


class Identity(ChunkFlow):
    """Data are noise."""

    def __init__(self, size: int, code_size: int, **sizes: float) -> None:
        super().__init__()

    def to_action(self, z: torch.Tensor, code: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return z, z.new_zeros(len(z))

    def log_prob(self, x: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
        return base_log_prob(x)


def test_an_entered_flow_is_saved_loaded_and_sampled_but_not_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"expected one of coupling, got 'identity'"):
        PolicyConfig(flow="identity")
    monkeypatch.setitem(FLOWS, "identity", Identity)
    policy = small_policy(config=PolicyConfig(flow="identity"))
    vector, chunk = small_data(policy.layout, 8)
    save_checkpoint(
        tmp_path / "x", policy=policy, critic=None, acting=ActingConfig(player=PLAYER), stage="imitation", parent_sha256="",
        data_sha256="", seed=0, metrics=None, likelihood=None, held_out=HeldOut.of(policy, vector, chunk),
    )  # fmt: skip
    loaded = load_checkpoint(tmp_path / "x.safetensors").policy
    with torch.no_grad():
        again, density = loaded.decode(
            torch.zeros(1, policy.layout.chunk_size), torch.zeros(1, 64), loaded.commanded({"vector": vector[:1]})
        )
        torch.testing.assert_close(loaded.log_prob({"vector": vector[:1]}, again), density, atol=1e-3, rtol=1e-4)
    with pytest.raises(TypeError, match="expected a flow that inference knows, got Identity"):
        sampling_graph(loaded, None, 1)


def test_nothing_is_written_and_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    running = PolicyRuntime(checkpoint(small_policy()))
    running.plan(small_data(running.layout, 1)[0][0].numpy(), np.random.default_rng(0))
    assert os.listdir(tmp_path) == []
    assert capfd.readouterr() == ("", "")

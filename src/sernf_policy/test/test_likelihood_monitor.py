"""The likelihood monitor: silent on data like the policy's, loud on others, and patient."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_policies import small_layout
from torch import Tensor

from sernf_policy.acting import ActingConfig
from sernf_policy.checkpoint import Checkpoint, CheckpointInfo, HeldOut
from sernf_policy.likelihood_monitor import (
    Evidence,
    ExecutedChunk,
    ExecutedChunks,
    LikelihoodMonitor,
    LikelihoodThresholds,
    MonitorConfig,
    Trust,
    calibrate,
)
from sernf_policy.policy import ChunkPolicy, PolicyConfig
from sernf_policy.runtime import PolicyRuntime

BOUNDS = LikelihoodThresholds(typical_nats=3.0, unlikely_nats=1.0, far=9.0, windows=1000)
LIKELY = Evidence(sampled_nats=3.0, executed_nats=2.5, distance=2.0)
UNLIKELY = Evidence(sampled_nats=3.0, executed_nats=0.5, distance=2.0)
LAYOUT = small_layout(joints=2, horizon=5)


def data(rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """Joints that move towards a place that depends on where they are, one hand's breadth to either side."""
    generator = torch.Generator().manual_seed(seed)
    position = torch.randn(rows, 2, generator=generator).mul(0.4).clamp(-1.0, 1.0)
    side = torch.randint(0, 2, (rows, 1), generator=generator) * 2.0 - 1.0
    speed = 0.04 * torch.sin(3.0 * position) + 0.05 * side
    steps = torch.arange(1.0, 6.0)[None, :, None] * speed[:, None]
    noise = 0.003 * torch.randn(rows, 5, 2, generator=generator)
    return torch.cat([position, position], dim=1), position[:, None] + steps + noise


@cache
def toy() -> tuple[PolicyRuntime, LikelihoodThresholds]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        policy = ChunkPolicy(LAYOUT, PolicyConfig(encoder_hidden=32, code_size=8, blocks=2, hidden=32, affine_hidden=32))
        vectors, chunks = data(512, 0)
        policy.fit_normaliser(vectors, chunks)
        optimiser = torch.optim.Adam(policy.parameters(), lr=5e-3)
        for _ in range(200):
            index = torch.randint(len(vectors), (64,))
            observation = {"vector": vectors[index]}
            loss = -policy.log_prob(observation, policy.noisy(observation, chunks[index])).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    held_out = HeldOut.of(policy.eval(), *data(400, 1))
    info = CheckpointInfo(
        format=1, version="toy", stage="imitation", sha256="", weights_bytes=0,
        layout=LAYOUT, policy=policy.config, critic=None, acting=ActingConfig(),
    )  # fmt: skip
    return PolicyRuntime(Checkpoint(policy, None, ActingConfig(), info, held_out)), held_out.thresholds(policy)


def judge_rows(vectors: Tensor, chunks: Tensor) -> tuple[LikelihoodMonitor, list[Trust]]:
    """What the monitor says to a series of windows, one after the other."""
    runtime, bounds = toy()
    monitor, rng = LikelihoodMonitor(bounds), np.random.default_rng(0)
    trusts = []
    for vector, chunk in zip(vectors.numpy(), chunks.double().numpy(), strict=True):
        planned = runtime.plan(vector, rng)
        trusts.append(monitor.judge(runtime.evidence(vector, planned, ExecutedChunk(vector, chunk))))
    return monitor, trusts


def test_data_like_those_it_learnt_from_are_trusted() -> None:
    monitor, trusts = judge_rows(*data(200, 2))
    assert set(trusts) == {Trust.LIKELY}
    assert monitor.reason == ""


def test_the_policys_own_chunks_are_trusted() -> None:
    runtime, _ = toy()
    vectors, _ = data(100, 3)
    rng = np.random.default_rng(1)
    chunks = np.stack([runtime.plan(vector, rng).position_rad for vector in vectors.numpy()])
    assert set(judge_rows(vectors, torch.from_numpy(chunks))[1]) == {Trust.LIKELY}


def test_a_robot_that_does_something_else_is_noticed_although_the_policy_is_sure_of_itself() -> None:
    """Pushed by 3 degrees after two steps: each observation is like the data, and so is what is sampled."""
    vectors, chunks = data(20, 4)
    pushed = chunks.clone()
    pushed[:, 2:] += 0.05
    monitor, trusts = judge_rows(vectors, pushed)
    assert trusts[2] is Trust.WARN and trusts[7] is Trust.TAKEOVER
    assert monitor.reason.startswith("what was done has")


def test_a_scene_unlike_the_data_is_noticed_and_named() -> None:
    vectors, chunks = data(20, 5)
    vectors[:, 0] += 6.0
    monitor, trusts = judge_rows(vectors, chunks)
    assert trusts[-1] is Trust.TAKEOVER
    assert monitor.reason.startswith("joint_position is")


def test_without_calibration_nothing_is_doubted() -> None:
    monitor = LikelihoodMonitor(None)
    assert {monitor.judge(UNLIKELY) for _ in range(50)} == {Trust.LIKELY}


def test_a_run_of_doubts_warns_then_asks_for_takeover_and_stays() -> None:
    monitor = LikelihoodMonitor(BOUNDS, MonitorConfig(warn_after=2, takeover_after=4))
    assert [monitor.judge(UNLIKELY) for _ in range(5)] == [Trust.LIKELY, Trust.WARN, Trust.WARN, Trust.TAKEOVER, Trust.TAKEOVER]
    assert {monitor.judge(LIKELY) for _ in range(10)} == {Trust.TAKEOVER}
    monitor.reset()
    assert monitor.judge(LIKELY) is Trust.LIKELY


def test_a_warning_ends_after_likely_chunks_in_a_row() -> None:
    monitor = LikelihoodMonitor(BOUNDS, MonitorConfig(warn_after=2, takeover_after=9, recover_after=2))
    for evidence in (UNLIKELY, UNLIKELY, LIKELY, UNLIKELY, LIKELY):
        last = monitor.judge(evidence)
    assert last is Trust.WARN and monitor.reason
    assert monitor.judge(LIKELY) is Trust.LIKELY and not monitor.reason


@pytest.mark.parametrize(
    ("evidence", "doubted"),
    [
        (Evidence(sampled_nats=3.0), False),
        (Evidence(sampled_nats=3.0, executed_nats=math.nan), False),
        (Evidence(sampled_nats=0.9), True),
        (Evidence(sampled_nats=math.nan), True),
        (Evidence(sampled_nats=3.0, distance=9.1), True),
        (Evidence(sampled_nats=3.0, distance=math.nan), True),
        (Evidence(sampled_nats=3.0, executed_nats=-math.inf), True),
    ],
)
def test_what_counts_as_a_doubt(evidence: Evidence, doubted: bool) -> None:
    monitor = LikelihoodMonitor(BOUNDS)
    monitor.judge(evidence)
    assert bool(monitor.reason) is doubted


@given(st.lists(st.booleans(), max_size=60))
def test_takeover_needs_a_run(doubts: list[bool]) -> None:
    """Never before `takeover_after` doubts with no recovery among them."""
    monitor = LikelihoodMonitor(BOUNDS)
    run = 0
    likely = 0
    for doubt in doubts:
        run, likely = (run + 1, 0) if doubt else (run, likely + 1)
        if likely >= monitor.config.recover_after and monitor.trust is not Trust.TAKEOVER:
            run = 0
        before = monitor.trust
        trust = monitor.judge(UNLIKELY if doubt else LIKELY)
        if before is Trust.TAKEOVER or run >= monitor.config.takeover_after:
            assert trust is Trust.TAKEOVER
            break
        assert trust is (Trust.WARN if run >= monitor.config.warn_after else Trust.LIKELY)


def test_calibration_is_for_each_number_and_counts_its_windows() -> None:
    bounds = calibrate(np.linspace(0.0, 1000.0, 1001), np.linspace(0.0, 4.0, 1001), 10)
    assert bounds.windows == 1001
    assert (bounds.typical_nats, bounds.unlikely_nats) == pytest.approx((50.0, 1.0))
    assert bounds.far == pytest.approx(1.5 * 0.99 * 4.0)


@pytest.mark.parametrize(("log_prob", "distance"), [([], []), ([1.0], [1.0, 2.0]), ([math.nan], [1.0]), ([1.0], [math.inf])])
def test_calibration_needs_finite_windows(log_prob: list[float], distance: list[float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        calibrate(log_prob, distance, 10)


@pytest.mark.parametrize("wrong", [{"warn_after": 0}, {"warn_after": 8}, {"recover_after": 0}])
def test_impossible_configurations_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected warn_after"):
        MonitorConfig(**wrong)


def collected(done: ExecutedChunks, ticks: range, observed: set[int]) -> list[tuple[float, list[float]]]:
    """First number of the observation, and the targets, of each chunk that becomes complete."""
    chunks = []
    for tick in ticks:
        if tick in observed:
            done.observed(tick, np.array([tick], dtype=np.float32))
        done.executed(tick, [float(tick)])
        if (chunk := done.take()) is not None:
            chunks.append((float(chunk.vector[0]), chunk.position_rad[:, 0].tolist()))
    return chunks


def test_executed_chunks_begin_with_the_target_of_the_observed_tick() -> None:
    chunks = collected(ExecutedChunks(4), range(10, 20), {10, 12, 15})
    assert chunks == [(10.0, [10, 11, 12, 13]), (12.0, [12, 13, 14, 15]), (15.0, [15, 16, 17, 18])]


def test_a_gap_between_ticks_is_never_inside_an_executed_chunk() -> None:
    done = ExecutedChunks(4)
    assert collected(done, range(3), {0, 2}) == []
    assert collected(done, range(4, 12), {5}) == [(5.0, [5, 6, 7, 8])]


def test_what_was_before_forget_does_not_count() -> None:
    done = ExecutedChunks(3)
    collected(done, range(2), {0})
    done.forget()
    assert collected(done, range(2, 4), set()) == []
    assert done.take() is None

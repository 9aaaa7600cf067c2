"""Weights may run only when they do what they were saved with, inside the limits and in time."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
import torch
from small_policies import small_critic, small_data, small_policy

from sernf_policy.acting import ActingConfig
from sernf_policy.check_config import CheckConfig
from sernf_policy.checkpoint import Checkpoint, CheckpointInfo, HeldOut
from sernf_policy.chunk_player import PlayerConfig
from sernf_policy.engine import PlannedChunk
from sernf_policy.likelihood_monitor import LikelihoodThresholds
from sernf_policy.runtime import PolicyRuntime
from sernf_policy.weights_check import WeightsRefused, check_weights
from sernf_robot.config_files import config_path
from sernf_robot.joints import JOINTS
from sernf_robot.limits import JointLimits, Limits, load_limits

WIDE = JointLimits(position_min_rad=-9.0, position_max_rad=9.0, velocity_rad_s=1.0, acceleration_rad_s2=1.0, jerk_rad_s3=1.0)


def limits(low: float = -9.0, high: float = 9.0, joints: int = 3) -> Limits:
    limit = dataclasses.replace(WIDE, position_min_rad=low, position_max_rad=high)
    return Limits.of(
        {f"fr3_joint{number}": limit for number in range(1, joints + 1)},
        [f"fr3_joint{n}" for n in range(1, joints + 1)],
        where="test",
    )


def checkpoint() -> Checkpoint:
    policy = small_policy()
    held_out = HeldOut.of(policy, *small_data(policy.layout, 16, seed=7))
    acting = ActingConfig(candidates=2, player=PlayerConfig(execute_steps=2))
    info = CheckpointInfo(
        format=1, version="toy-imitation-12345678", stage="imitation", sha256="", weights_bytes=0, layout=policy.layout,
        policy=policy.config, critic=None, acting=acting,
    )  # fmt: skip
    return Checkpoint(policy, small_critic(policy), acting, info, held_out)


def check(offered: Checkpoint, within: Limits | None = None, **config: float) -> None:
    check_weights(
        offered,
        PolicyRuntime(offered),
        within or limits(),
        CheckConfig(**{"latency_s": 1.0, "plans": 20, "least_nats": -50.0, **config}),
    )  # type: ignore[arg-type]


def test_good_weights_pass() -> None:
    check(checkpoint())


def test_the_robots_own_limits_will_do() -> None:
    check(checkpoint(), load_limits(config_path("limits.yaml"), JOINTS), limit_tolerance_rad=3.0)


def test_without_a_held_out_batch_nothing_can_be_checked() -> None:
    offered = checkpoint()
    offered.held_out = None
    with pytest.raises(WeightsRefused, match="toy-imitation-12345678: expected a held-out batch"):
        check(offered)


def test_likelihoods_must_be_those_that_were_saved() -> None:
    offered = checkpoint()
    assert offered.held_out is not None
    offered.held_out.log_prob[3] += 0.5
    with pytest.raises(WeightsRefused, match=r"as saved, within 0\.001 nats a number"):
        check(offered)


def test_likelihoods_must_be_finite() -> None:
    offered = checkpoint()
    running = PolicyRuntime(offered)
    with torch.no_grad():
        offered.policy.normaliser.log_det_whiten.fill_(float("nan"))
    broken = PolicyRuntime.__new__(PolicyRuntime)
    broken.__dict__.update(running.__dict__)
    broken.log_prob = lambda vectors, chunks: np.full(len(vectors), np.nan)  # type: ignore[method-assign]
    with pytest.raises(WeightsRefused, match="expected finite likelihoods"):
        check_weights(offered, broken, limits())


def test_a_policy_that_has_not_learnt_the_task_is_refused() -> None:
    with pytest.raises(WeightsRefused, match=r"to be at least 50\.00 nats a number \(median\), got .*; it has not learnt"):
        check(checkpoint(), least_nats=50.0)
    offered = checkpoint()
    bounds = LikelihoodThresholds(typical_nats=51.0, unlikely_nats=50.0, far=9.0, windows=10)
    offered.info = dataclasses.replace(offered.info, likelihood=bounds)
    with pytest.raises(WeightsRefused, match=r"to be at least 50\.00 nats"):
        check(offered)


def test_targets_outside_the_joint_limits_are_refused_by_name() -> None:
    with pytest.raises(WeightsRefused, match=r"expected targets inside the joint limits, got .* rad for fr3_joint1"):
        check(checkpoint(), limits(low=5.0))


def test_limits_of_other_joints_do_not_help() -> None:
    with pytest.raises(WeightsRefused, match="joints missing: fr3_joint3"):
        check(checkpoint(), limits(joints=2))


def test_slow_weights_are_refused() -> None:
    offered = checkpoint()
    running = PolicyRuntime(offered)
    plan = running.plan

    def slow(vector: np.ndarray, rng: np.random.Generator) -> PlannedChunk:
        began = time.thread_time()
        while time.thread_time() - began < 0.03:
            pass
        return plan(vector, rng)

    running.plan = slow  # type: ignore[method-assign]
    with pytest.raises(WeightsRefused, match=r"expected a chunk within 25 ms \(99th percentile of 5\), got .* use a smaller"):
        check_weights(offered, running, limits(), CheckConfig(plans=5, rounds=2, least_nats=-50.0))


def test_one_slow_round_is_forgiven() -> None:
    offered = checkpoint()
    running = PolicyRuntime(offered)
    plan, planned = running.plan, 0

    def hiccup(vector: np.ndarray, rng: np.random.Generator) -> PlannedChunk:
        nonlocal planned
        planned += 1
        began = time.thread_time()
        while planned == 3 and time.thread_time() - began < 0.2:
            pass
        return plan(vector, rng)

    running.plan = hiccup  # type: ignore[method-assign]
    check_weights(offered, running, limits(), CheckConfig(latency_s=0.1, plans=5, rounds=2, least_nats=-50.0))


@pytest.mark.parametrize("wrong", [{"latency_s": -1.0}, {"plans": 0}, {"rounds": 0}, {"limit_tolerance_rad": -0.1}])
def test_impossible_configurations_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        CheckConfig(**wrong)  # type: ignore[arg-type]

"""Whatever commanders, operators and broken hardware do, what is written to the motors keeps every limit."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import numpy as np
import pytest
from adversary import ATTACKS, SMALL_ARM, SMALL_HAND, Robot, attack, build_robot, small_limits, small_pose_check, violations
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sernf_hw_bridge.pose_guard import PATH_MARGIN_M, PoseGuard
from sernf_hw_bridge.safety_filter import FilterStep, SafetyFilter
from sernf_hw_bridge.trajectories import Array, MotionState
from sernf_robot.config import load_config
from sernf_robot.config_files import config_path
from sernf_robot.joints import ARM_JOINTS, HAND_JOINTS, JOINTS
from sernf_robot.limits import load_limits
from sernf_robot.pose_checker import PoseCheckConfig, PoseChecker

SEQUENCES = st.lists(st.sampled_from(ATTACKS), min_size=1, max_size=14)
SEEDS = st.integers(0, 2**32 - 1)
SLOW_SEQUENCES = 100_000


def kept_pose_check(position_rad: Array) -> Mapping[str, float]:
    return small_pose_check(position_rad, PATH_MARGIN_M)


def small_robot(rng: np.random.Generator) -> Robot:
    limits = small_limits(rng)
    while kept_pose_check(start := rng.uniform(limits.position_min_rad, limits.position_max_rad)):
        limits = small_limits(rng)
    home = rng.uniform(limits.position_min_rad, limits.position_max_rad)
    return build_robot({"arm": SMALL_ARM, "hand": SMALL_HAND}, limits, start, home, kept_pose_check)


def attack_small(kinds: list[str], seed: int) -> None:
    rng = np.random.default_rng(seed)
    robot = small_robot(rng)
    attack(robot, kinds, rng)
    assert violations(robot, small_pose_check) == []


@settings(max_examples=1000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(SEQUENCES, SEEDS)
def test_no_sequence_breaks_a_limit(kinds: list[str], seed: int) -> None:
    attack_small(kinds, seed)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_sequence_of_very_many_breaks_a_limit() -> None:
    count = 0

    @settings(max_examples=SLOW_SEQUENCES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(SEQUENCES, SEEDS)
    def run(kinds: list[str], seed: int) -> None:
        nonlocal count
        attack_small(kinds, seed)
        count += 1
        if count % 1000 == 0:
            print(f"\r{count} of {SLOW_SEQUENCES} sequences", end="", file=sys.__stderr__, flush=True)

    run()
    assert count >= SLOW_SEQUENCES


def test_the_whole_robot_keeps_its_limits_and_its_workspace() -> None:
    limits = load_limits(config_path("limits.yaml"), JOINTS)
    workspace = load_config(PoseCheckConfig, config_path("workspace.yaml"))
    judge, checker = PoseChecker(workspace), PoseChecker(workspace, margin_m=PATH_MARGIN_M)
    home = np.zeros(len(JOINTS))
    home[:7] = (0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785)
    home[JOINTS.index("right_thumb_abd")] = -0.3
    rng = np.random.default_rng(7)
    for _ in range(40):
        robot = build_robot({"arm": ARM_JOINTS, "hand": HAND_JOINTS}, limits, home, home, checker)
        attack(robot, [str(kind) for kind in rng.choice(ATTACKS, 20)], rng)
        assert violations(robot, judge) == []


def test_a_broken_filter_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(seeds: range) -> str:
        texts = []
        for seed in seeds:
            rng = np.random.default_rng(seed)
            robot = small_robot(rng)
            attack(robot, [str(kind) for kind in rng.choice(["pursue", "pursue", "jump", "stop", "mended"], 12)], rng)
            texts += violations(robot, small_pose_check)
        return " ".join(texts)

    assert found(range(40)) == ""
    with monkeypatch.context() as patched:
        patched.setattr(PoseGuard, "objections", lambda *_: ())
        text = found(range(40))
        assert "workspace" in text
        assert "self_collision" in text
    with monkeypatch.context() as patched:
        patched.setattr(SafetyFilter, "step", jump_to_the_target)
        text = found(range(5))
        for limit in ("velocity", "acceleration", "jerk"):
            assert limit in text


def jump_to_the_target(safety: SafetyFilter, target_rad: Array, _velocity_rad_s: Array) -> FilterStep:
    return FilterStep(MotionState.at_rest(target_rad), ())

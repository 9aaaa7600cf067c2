"""Interpolation and the safety filter: smooth, exact at the end, and back from wherever the robot was switched on."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

from sernf_hw_bridge.interpolator import Interpolator
from sernf_hw_bridge.pose_guard import PoseCheck, no_pose_check
from sernf_hw_bridge.safety_filter import SafetyFilter
from sernf_hw_bridge.trajectories import Array, BrakingPlan, MotionState, Planner
from sernf_robot.limits import Limits

PERIOD_S = 0.004
LIMITS = Limits(
    ("a", "b", "c"),
    np.array([-1.0, -2.0, -0.5]),
    np.array([1.0, 2.0, 0.5]),
    np.array([1.0, 2.0, 3.0]),
    np.array([5.0, 10.0, 50.0]),
    np.array([500.0, 1000.0, 3000.0]),
)
STILL = np.zeros(3)


def make_filter(pose_check: PoseCheck = no_pose_check, seed: Array = STILL) -> SafetyFilter:
    safety = SafetyFilter(LIMITS, PERIOD_S, pose_check, ([0], [1, 2]))
    safety.seed(seed)
    return safety


def make_interpolator(start: Array = STILL, **changes: float | None) -> Interpolator:
    interpolator = Interpolator(LIMITS, PERIOD_S, smoothing_s=0.04, speed_fraction=1.0)
    interpolator.reset(start, **changes)
    return interpolator


def go(safety: SafetyFilter, target: Array, ticks: int) -> list[Array]:
    return [safety.step(target, STILL).state.position_rad for _ in range(ticks)]


def test_the_reference_arrives_exactly() -> None:
    interpolator = make_interpolator()
    interpolator.set_target(np.array([0.02, -0.03, 0.01]), 0.05)
    for _ in range(40):
        position, velocity = interpolator.advance()
    np.testing.assert_allclose(position, [0.02, -0.03, 0.01], atol=1e-12)
    np.testing.assert_allclose(velocity, 0.0, atol=1e-12)
    assert interpolator.arrived


def test_the_reference_keeps_to_the_speed_and_has_no_corners() -> None:
    interpolator = make_interpolator()
    interpolator.set_target(np.array([0.9, 0.0, 0.0]), 0.05)
    positions = np.array([STILL, *(interpolator.advance()[0] for _ in range(300))])
    speed = np.diff(positions[:, 0]) / PERIOD_S
    assert speed.max() <= 1.0 + 1e-9
    assert np.abs(np.diff(speed)).max() <= 1.0 / 10 + 1e-9
    assert positions[-1, 0] == pytest.approx(0.9)


def test_steady_targets_give_steady_motion() -> None:
    interpolator = make_interpolator()
    speeds = []
    for tick in range(300):
        if tick % 13 == 0:
            interpolator.set_target(np.full(3, 0.5 * (tick + 13) * PERIOD_S), 13 * PERIOD_S)
        speeds.append(interpolator.advance()[1][1])
    assert np.ptp(speeds[100:]) < 0.1


def test_after_a_handover_the_reference_catches_up_slowly() -> None:
    fast, slow = make_interpolator(), make_interpolator(catch_up_fraction=0.25)
    for interpolator in (fast, slow):
        interpolator.set_target(np.array([0.5, 0.0, 0.0]), 0.05)
    ways = [[interpolator.advance()[0][0] for _ in range(100)][-1] for interpolator in (fast, slow)]
    assert ways[1] == pytest.approx(0.25 * ways[0], rel=0.1)
    assert slow.catching_up
    for _ in range(600):
        slow.set_target(np.array([0.5, 0.0, 0.0]), 0.05)
        slow.advance()
    assert not slow.catching_up


def test_a_source_that_never_rests_is_caught_up_with_and_then_followed_like_any_other() -> None:
    direct, handed_over = make_interpolator(np.array([0.0, 0.8, 0.0])), make_interpolator(catch_up_fraction=0.25)
    apart, fastest, before = [], 0.0, STILL
    for tick in range(1500):
        if tick % 13 == 0:
            swing = 0.2 * math.sin(2.0 * math.pi * tick * PERIOD_S / 0.8)
            for interpolator in (direct, handed_over):
                interpolator.set_target(np.array([0.0, 0.8 + swing, 0.0]), 13 * PERIOD_S)
        references = [interpolator.advance()[0] for interpolator in (direct, handed_over)]
        apart.append(float(np.abs(references[0] - references[1]).max()))
        fastest = max(fastest, float(np.abs(references[1] - before)[1]) / PERIOD_S)
        before = references[1]
    assert not handed_over.catching_up
    assert apart[50] > 0.5 and max(apart[-500:]) < 1e-6
    assert fastest <= LIMITS.velocity_rad_s[1] + 1e-6
    closing = -np.diff(apart[:300]) / PERIOD_S
    # A quarter of the speed, and what is left of the last stretch of the source's own motion.
    assert closing.max() <= 0.35 * LIMITS.velocity_rad_s[1], "the distance at the handover is closed slowly"


def test_the_filter_reaches_what_is_allowed_and_reports_what_is_not() -> None:
    safety = make_filter()
    go(safety, np.array([0.3, -0.4, 0.2]), 400)
    np.testing.assert_allclose(safety.state.position_rad, [0.3, -0.4, 0.2], atol=1e-6)
    assert safety.step(np.array([0.3, 5.0, 0.2]), STILL).clipped == ("position:b",)
    go(safety, np.array([0.3, 5.0, 0.2]), 800)
    assert safety.state.position_rad[1] == pytest.approx(2.0, abs=1e-5)
    assert safety.state.position_rad[1] <= 2.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_no_number_makes_the_filter_brake(bad: float) -> None:
    safety = make_filter()
    go(safety, np.array([0.9, 0.9, 0.4]), 60)
    moving = safety.state.velocity_rad_s[0]
    assert moving > 0.2
    steps = [safety.step(np.array([0.0, bad, 0.0]), STILL) for _ in range(200)]
    assert steps[0].clipped == ("not_finite",)
    assert not steps[-1].state.velocity_rad_s.any()
    assert not safety.moving


def test_seed_refuses_what_is_not_a_pose() -> None:
    safety = SafetyFilter(LIMITS, PERIOD_S)
    with pytest.raises(RuntimeError, match="seed"):
        safety.step(STILL, STILL)
    for bad in (np.array([0.0, math.nan, 0.0]), np.zeros(2)):
        with pytest.raises(ValueError, match="seed"):
            safety.seed(bad)


def test_a_robot_outside_of_its_range_may_come_back_but_not_go_further() -> None:
    outside = np.array([1.3, 0.0, 0.0])
    safety = make_filter(seed=outside)
    assert max(position[0] for position in go(safety, np.array([3.0, 0.0, 0.0]), 50)) <= 1.3 + 1e-9
    positions = [position[0] for position in go(safety, np.array([1.1, 0.0, 0.0]), 600)]
    assert positions[-1] == pytest.approx(1.0, abs=1e-5)
    assert max(position[0] for position in go(safety, np.array([1.3, 0.0, 0.0]), 200)) <= 1.0 + 1e-8


def wall(position_rad: Array) -> Mapping[str, float]:
    """Joint a must not pass 0.5, joint b must not pass 1."""
    depths = {"workspace": position_rad[0] - 0.5, "table": position_rad[1] - 1.0}
    return {name: depth for name, depth in depths.items() if depth > 0.0}


def test_a_wall_stops_only_the_group_that_runs_into_it() -> None:
    safety = make_filter(wall)
    steps = [safety.step(np.array([0.9, 0.5, 0.2]), STILL) for _ in range(600)]
    assert any("workspace" in step.clipped for step in steps)
    assert max(step.state.position_rad[0] for step in steps) <= 0.5
    assert safety.state.position_rad[0] > 0.4
    np.testing.assert_allclose(safety.state.position_rad[1:], [0.5, 0.2], atol=1e-6)


def test_the_way_out_of_a_wall_is_free_and_the_way_in_is_not() -> None:
    safety = make_filter(wall, seed=np.array([0.7, 0.0, 0.0]))
    assert max(position[0] for position in go(safety, np.array([0.9, 0.0, 0.0]), 100)) <= 0.7 + 1e-6
    go(safety, np.array([0.6, 0.0, 0.0]), 300)
    assert max(position[0] for position in go(safety, np.array([0.9, 0.0, 0.0]), 300)) <= 0.6 + 1e-3
    go(safety, np.array([0.2, 0.0, 0.0]), 400)
    assert safety.state.position_rad[0] == pytest.approx(0.2, abs=1e-6)
    assert max(position[0] for position in go(safety, np.array([0.9, 0.0, 0.0]), 400)) <= 0.5


def test_a_checker_that_fails_to_judge_stops_the_robot() -> None:
    safety = make_filter(lambda position: {"workspace": math.nan} if position[0] > 0.1 else {})
    assert max(position[0] for position in go(safety, np.array([0.9, 0.0, 0.0]), 300)) <= 0.1


def test_a_braking_plan_knows_its_extremes() -> None:
    rng = np.random.default_rng(3)
    planner = Planner(LIMITS, PERIOD_S)
    plan = BrakingPlan(3, planner.jerk_rad_s3)
    for _ in range(500):
        scale = np.stack((np.ones(3), LIMITS.velocity_rad_s, LIMITS.acceleration_rad_s2))
        state = MotionState(rng.uniform(-1.0, 1.0, (3, 3)) * scale * rng.choice([0.0, 0.01, 1.0], (3, 3)))
        assert planner.brake(state, plan)
        way = np.array([plan.state_at(time_s).position_rad for time_s in np.linspace(0.0, plan.duration_s, 400)])
        np.testing.assert_allclose(plan.extreme_positions_rad, [way.min(axis=0), way.max(axis=0)], atol=2e-4)
        assert (plan.extreme_positions_rad[0] <= way.min(axis=0) + 1e-9).all()
        assert (plan.extreme_positions_rad[1] >= way.max(axis=0) - 1e-9).all()
        assert not plan.state_at(plan.duration_s).velocity_rad_s.any()

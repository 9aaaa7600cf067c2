"""The world: repeatable, honest about what it measures, strict about what it takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sernf_sim.physics import Physics, load_physics
from sernf_sim.tasks import make_task
from sernf_sim.world import SimWorld

TICK_S = 0.004
NOMINAL = load_physics("nominal")
CLEAN = Physics()


@pytest.fixture(scope="module")
def world() -> SimWorld:
    return SimWorld("duck", CLEAN, 0)


def wave(world: SimWorld, ticks: int) -> np.ndarray:
    """Joints (ticks, 24) while the robot follows a slow wave."""
    start = world.task.start_position_rad
    trace = []
    for tick in range(ticks):
        world.step(start + 0.1 * np.sin(tick * TICK_S * 3.0), TICK_S)
        trace.append(world.joint_position())
    return np.array(trace)


@pytest.mark.parametrize("physics", ["nominal", "twin"])
def test_same_seed_same_trajectory(physics: str) -> None:
    first, second = (SimWorld("duck", load_physics(physics), 3) for _ in range(2))
    second.reset(99)
    wave(second, 20)
    second.reset(3)
    np.testing.assert_array_equal(wave(first, 100), wave(second, 100))
    np.testing.assert_array_equal(first.full_state().qpos, second.full_state().qpos)
    for name, pose in first.object_poses().items():
        np.testing.assert_array_equal(pose[0], second.object_poses()[name][0])


def test_other_seed_other_scene(world: SimWorld) -> None:
    scenes = []
    for seed in range(20):
        world.reset(seed)
        scenes.append(np.concatenate([pose[0] for pose in world.object_poses().values()]))
    assert len(np.unique(np.round(scenes, 4), axis=0)) == 20


def test_getters_change_nothing(world: SimWorld) -> None:
    world.reset(1)
    before = world.joint_position()
    for _ in range(3):
        world.object_poses(), world.judge(), world.full_state(), world.joint_velocity()
    before[:] = 0.0
    assert np.abs(world.joint_position()).max() > 1.0
    quiet = wave(world, 10)
    world.reset(1)
    np.testing.assert_array_equal(wave(world, 10), quiet)


def test_robot_starts_at_rest_at_the_task_s_start_pose(world: SimWorld) -> None:
    world.reset(5)
    np.testing.assert_allclose(world.joint_position(), world.task.start_position_rad, atol=1e-9)
    for _ in range(250):
        world.step(world.task.start_position_rad, TICK_S)
    np.testing.assert_allclose(world.joint_position(), world.task.start_position_rad, atol=5e-3)


def test_robot_follows_its_targets(world: SimWorld) -> None:
    world.reset(0)
    target = world.task.start_position_rad + 0.1
    for _ in range(500):
        world.step(target, TICK_S)
    assert np.abs(world.joint_position() - target)[:7].max() < 0.02


def test_noise_is_as_large_as_configured() -> None:
    noisy = SimWorld("duck", replace(CLEAN, joint_position_noise_rad=0.01), 0)
    errors = []
    for _ in range(200):
        noisy.step(noisy.task.start_position_rad, TICK_S)
        errors.append(noisy.joint_position() - noisy.full_state().qpos[:24])
    assert np.std(errors) == pytest.approx(0.01, rel=0.1)


def test_commands_arrive_after_the_delay() -> None:
    moved_after = {}
    for delay_s in (0.0, 0.1):
        slow = SimWorld("duck", replace(CLEAN, command_delay_s=delay_s), 0)
        start = slow.task.start_position_rad
        for tick in range(100):
            slow.step(start + 0.2, TICK_S)
            if np.abs(slow.joint_position() - start).max() > 0.01:
                moved_after[delay_s] = tick * TICK_S
                break
    assert moved_after[0.1] - moved_after[0.0] == pytest.approx(0.1, abs=TICK_S)


def test_objects_are_seen_late_and_biased_as_configured(world: SimWorld) -> None:
    biased = SimWorld("duck", replace(CLEAN, object_position_bias_m=0.05, object_delay_s=0.1), 0)
    world.reset(0)
    seen, true = biased.object_poses()["bowl"][0], world.object_poses()["bowl"][0]
    assert 0.005 < np.linalg.norm(seen - true) < 0.3
    first = biased.object_poses()
    ticks = 0
    while biased.object_poses()["duck"][0][2] == first["duck"][0][2]:
        biased.step(biased.task.start_position_rad, TICK_S)
        ticks += 1
        assert ticks < 100
    assert ticks * TICK_S == pytest.approx(0.12, abs=0.021)


@pytest.mark.parametrize("duration_s", [0.0, 0.003, -0.004])
def test_refuses_steps_that_physics_cannot_take(world: SimWorld, duration_s: float) -> None:
    with pytest.raises(ValueError, match="multiple"):
        world.step(world.task.start_position_rad, duration_s)


@pytest.mark.parametrize("target", [np.zeros(7), np.full(24, np.nan)])
def test_refuses_malformed_commands(world: SimWorld, target: np.ndarray) -> None:
    with pytest.raises(ValueError, match="24 finite"):
        world.step(target, TICK_S)


def test_unknown_task_is_named() -> None:
    with pytest.raises(ValueError, match="'sponge'; known tasks: cube, duck"):
        make_task("sponge")


def test_full_state_restores_the_world(world: SimWorld) -> None:
    world.reset(8)
    wave(world, 50)
    state = world.full_state()
    assert (state.task, state.seed, state.mocap.size) == ("duck", 8, 7)
    assert state.time_s == pytest.approx(50 * TICK_S)

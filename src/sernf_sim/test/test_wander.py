"""A hand that is never steady."""

from __future__ import annotations

import numpy as np
import pytest

from sernf_robot.kinematics import Kinematics
from sernf_sim.demonstrators import Observation, make_demonstrator
from sernf_sim.demonstrators.wander import Wander
from sernf_sim.physics import load_physics
from sernf_sim.world import SimWorld


def strayed(steps: int, *, careful: bool, spread_rad: float = 0.02) -> np.ndarray:
    wander = Wander(np.random.default_rng(0), spread_rad, 0.05)
    return np.array([wander.step(careful=careful) for _ in range(steps)])


def test_it_strays_as_far_as_it_is_told_and_smoothly() -> None:
    offsets = strayed(20_000, careful=False)[100:]
    np.testing.assert_allclose(offsets.std(axis=0), 0.02, rtol=0.1)
    assert np.abs(offsets.mean(axis=0)).max() < 0.002
    assert np.abs(np.diff(offsets, axis=0)).max() / 0.05 < 0.5, "rad/s, on top of the motion itself"


def test_it_starts_at_the_way_itself_and_comes_back_when_care_is_taken() -> None:
    assert not strayed(50, careful=True).any()
    wander = Wander(np.random.default_rng(1), 0.02, 0.05)
    away = np.abs([wander.step(careful=False) for _ in range(200)]).max()
    back = np.abs([wander.step(careful=True) for _ in range(40)][-1]).max()
    assert away > 0.02 and back < 0.001
    wander.start()
    assert np.abs(wander.step(careful=False)).max() < 0.005


def test_a_steady_hand_is_possible() -> None:
    assert not strayed(50, careful=False, spread_rad=0.0).any()


def test_demonstrators_stray_when_they_are_told_to() -> None:
    def attempt(strays: bool) -> np.ndarray:
        world = SimWorld("duck", load_physics("nominal"), 3)
        demonstrator = make_demonstrator("duck", Kinematics(), np.random.default_rng(3), strays=strays)
        seen = Observation(world.joint_position(), world.object_poses())
        demonstrator.reset(seen)
        return np.array([demonstrator.act(seen)[:7] for _ in range(60)])

    apart = np.abs(attempt(strays=True) - attempt(strays=False)).max(axis=1)
    assert 0.01 < apart.max() < 0.15
    assert not np.abs(attempt(strays=False) - attempt(strays=False)).any()


def test_an_attempt_that_was_broken_off_while_it_strayed_leaves_nothing_behind() -> None:
    world = SimWorld("duck", load_physics("nominal"), 3)
    demonstrator = make_demonstrator("duck", Kinematics(), np.random.default_rng(3), strays=True)
    seen = Observation(world.joint_position(), world.object_poses())
    demonstrator.reset(seen)
    while demonstrator.phase != "approach":
        demonstrator.act(seen)
    demonstrator.act(seen)
    demonstrator.reset(seen)
    assert demonstrator.act(seen)[:7] == pytest.approx(world.joint_position()[:7], abs=1e-9)

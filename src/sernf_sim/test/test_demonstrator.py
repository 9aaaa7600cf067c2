"""The duck demonstrator: succeeds mostly, within limits, never twice the same way, and says when it gives up."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from sernf_robot.joints import JOINTS
from sernf_robot.kinematics import Kinematics
from sernf_sim.demonstrators import Observation, duck, make_demonstrator
from sernf_sim.demonstrators.demonstrator import ACT_PERIOD_S
from sernf_sim.demonstrators.duck import DuckDemonstrator, Variety
from sernf_sim.filtered_robot import FilteredRobot
from sernf_sim.physics import load_physics
from sernf_sim.world import SimWorld

CAREFUL = Variety(careless_probability=0.0)
LONGEST_EPISODE_S = 40.0


class Stage:
    """World, filter and kinematics, built once."""

    def __init__(self, physics: str = "nominal") -> None:
        self.world = SimWorld("duck", load_physics(physics), 0)
        self.robot = FilteredRobot(self.world)
        self.kinematics = Kinematics()

    def published(self) -> Observation:
        return Observation(self.world.joint_position(), self.world.object_poses())

    def episode(self, seed: int, variety: Variety | None = None) -> tuple[np.ndarray, list[str]]:
        """Run one attempt; returns its targets (steps, 24) and what the filter changed."""
        self.world.reset(seed)
        self.robot.reset()
        demonstrator = DuckDemonstrator(self.kinematics, np.random.default_rng(seed), variety=variety)
        demonstrator.reset(self.published())
        targets: list[np.ndarray] = []
        clipped: list[str] = []
        while not demonstrator.done and not self.world.judge().done:
            targets.append(demonstrator.act(self.published()))
            clipped += self.robot.command(targets[-1])
            assert len(targets) * ACT_PERIOD_S < LONGEST_EPISODE_S
        return np.array(targets), clipped


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage()


def test_succeeds_mostly_and_the_filter_has_nothing_to_correct(stage: Stage) -> None:
    successes, corrections = 0, []
    for seed in range(6):
        targets, clipped = stage.episode(seed)
        successes += stage.world.judge().success
        corrections += clipped
        speed = np.abs(np.diff(targets, axis=0)) / ACT_PERIOD_S
        assert (speed <= stage.robot.limits.velocity_rad_s).all()
        assert (targets >= stage.robot.limits.position_min_rad).all()
        assert (targets <= stage.robot.limits.position_max_rad).all()
    assert successes >= 5
    assert len(corrections) < 12


@pytest.fixture(scope="module")
def twin() -> Stage:
    return Stage("twin")


def test_succeeds_in_the_twin_too(twin: Stage) -> None:
    outcomes: list[bool] = []
    while outcomes.count(True) < 3:
        assert len(outcomes) < 5, outcomes
        twin.episode(len(outcomes), CAREFUL)
        outcomes.append(twin.world.judge().success)


@pytest.mark.parametrize(
    "off_m", [(0.02, 0.0, 0.0), (-0.02, 0.0, 0.0), (0.0, 0.02, 0.0), (0.0, -0.02, 0.0), (0.0, 0.0, 0.003), (0.0, 0.0, -0.009)]
)
def test_a_grasp_off_the_mark_holds_in_the_twin(
    twin: Stage, monkeypatch: pytest.MonkeyPatch, off_m: tuple[float, float, float]
) -> None:
    """A policy is not that exact, and its first try has to count."""

    class Off(Variety):
        def draw(self, rng: np.random.Generator) -> duck.Style:
            return dataclasses.replace(super().draw(rng), grasp_error_m=np.array(off_m))

    monkeypatch.setattr(duck, "TRIES", 1)
    twin.episode(0, Off(careless_probability=0.0, pause_probability=0.0))
    assert twin.world.judge().success


def test_places_beside_the_bowl_when_it_misplaces_badly(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second try would make it good."""
    monkeypatch.setattr(duck, "TRIES", 1)
    clumsy = Variety(careless_probability=1.0, careless_place_error_m=0.3)
    for seed in range(4):
        stage.episode(seed, clumsy)
        if not stage.world.judge().success:
            return
    pytest.fail("four placements about 30 cm off, and the duck was always in the bowl")


def test_same_scene_is_solved_in_different_ways(stage: Stage) -> None:
    stage.world.reset(0)
    observation = stage.published()
    headings, lengths = [], set()
    for seed in range(30):
        demonstrator = DuckDemonstrator(stage.kinematics, np.random.default_rng(seed))
        demonstrator.reset(observation)
        headings.append(demonstrator.style.heading_offset_rad)
        steps = 0
        while demonstrator.phase not in ("lift", "done"):
            demonstrator.act(observation)
            steps += 1
        lengths.add(steps)
    for mode in Variety().heading_modes_rad:
        assert any(abs(heading - mode) < 0.15 for heading in headings)
    assert len(lengths) > 10


def test_same_seed_same_attempt(stage: Stage) -> None:
    first, _ = stage.episode(11)
    second, _ = stage.episode(11)
    np.testing.assert_array_equal(first, second)


def test_begins_where_the_robot_is(stage: Stage) -> None:
    stage.world.reset(2)
    demonstrator = make_demonstrator("duck", stage.kinematics, np.random.default_rng(2))
    observation = stage.published()
    demonstrator.reset(observation)
    assert np.abs(demonstrator.act(observation) - observation.joint_position_rad).max() < 0.02


def test_gives_up_without_a_jump_when_the_duck_is_out_of_reach(stage: Stage) -> None:
    stage.world.reset(2)
    demonstrator = make_demonstrator("duck", stage.kinematics, np.random.default_rng(2))
    poses = stage.world.object_poses() | {"duck": (np.array([3.0, 0.0, 0.0]), np.array([1.0, 0.0, 0.0, 0.0]))}
    observation = Observation(stage.world.joint_position(), poses)
    demonstrator.reset(observation)
    for _ in range(400):
        target = demonstrator.act(observation)
        if demonstrator.done:
            break
    assert demonstrator.phase == "out of reach"
    assert target.shape == (len(JOINTS),)
    np.testing.assert_allclose(target, observation.joint_position_rad, atol=1e-9)


def test_unknown_task_is_named(stage: Stage) -> None:
    with pytest.raises(ValueError, match="'sponge'; known: duck"):
        make_demonstrator("sponge", stage.kinematics, np.random.default_rng(0))

"""The scripted demonstrator as an operator device: one attempt per request, on fresh data only, the same in the same scene."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from teleop_fixtures import HOME, KINEMATICS, view

from sernf_teleop.devices.demonstrator import DemonstratorConfig, Progress, ScriptedOperator, create_scripted_operator
from sernf_teleop.operator_device import DeviceError, OperatorIntent


class Attempt:
    """Moves one joint for five periods."""

    phase = "moving"
    done = False

    def __init__(self, rng: np.random.Generator) -> None:
        self.drawn = rng.random()
        self.steps = 0

    def reset(self, observation: object) -> None:
        self.first = observation

    def act(self, observation: object) -> np.ndarray:
        self.steps += 1
        self.done = self.steps > 5
        return HOME + 0.01 * self.steps


class World:
    """Publishes objects; the session's part is played by the test."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.operator = ScriptedOperator(DemonstratorConfig(), ("duck", "bowl"), self._create)
        self.now_s = 10.0
        self.engagement = 0
        self.seed = 7

    def _create(self, rng: np.random.Generator) -> Attempt:
        self.attempts.append(Attempt(rng))
        return self.attempts[-1]

    def publish(self, *names: str) -> None:
        pose = SimpleNamespace(position=SimpleNamespace(x=0.5, y=0.1, z=0.0), orientation=SimpleNamespace(x=0, y=0, z=0, w=1))
        for name in names:
            self.operator.receive_object(name, SimpleNamespace(pose=pose), self.now_s)
        self.operator.receive_task_state(SimpleNamespace(seed=self.seed), self.now_s)

    def poll(self, obstacle: str = "", *, fresh: bool = True) -> OperatorIntent:
        """One period; an operator that wants to take over gets the robot, one that does not loses it."""
        self.now_s += 0.05
        if fresh:
            self.publish("duck", "bowl")
        intent = self.operator.poll(self.now_s, view(0 if obstacle else self.engagement, obstacle=obstacle))
        self.engagement = (self.engagement or 1) if intent.takeover else 0
        return intent

    def run(self) -> None:
        for _ in range(20):
            self.poll()


@pytest.fixture
def world() -> World:
    made = World()
    made.poll()
    return made


def test_nothing_moves_without_a_request(world: World) -> None:
    assert world.poll() == OperatorIntent()


def test_a_request_takes_over_moves_and_releases(world: World) -> None:
    assert world.operator.request() == ""
    first, second = world.poll(), world.poll()
    assert first.takeover
    assert first.joint_target_rad is None
    assert second.joint_target_rad is not None
    assert world.operator.progress is Progress.RUNNING
    world.run()
    assert (world.operator.progress, world.operator.outcome, world.operator.count) == (Progress.IDLE, "done", 1)
    assert world.attempts[0].steps == 6


def test_a_second_request_is_refused_while_one_runs(world: World) -> None:
    world.operator.request()
    world.poll()
    assert "running already" in world.operator.request()


def test_the_same_scene_gives_the_same_attempt_and_another_scene_another(world: World) -> None:
    for seed in (7, 7, 8):
        world.seed = seed
        world.operator.request()
        world.run()
    drawn = [attempt.drawn for attempt in world.attempts]
    assert drawn[0] == drawn[1] != drawn[2]


def test_it_waits_for_data_that_are_newer_than_the_request(world: World) -> None:
    world.operator.request()
    assert not world.poll(fresh=False).takeover
    assert world.poll().takeover


def test_it_gives_up_and_says_why_when_it_cannot_begin(world: World) -> None:
    world.operator.request()
    for _ in range(60):
        assert not world.poll(obstacle="robot is stopped").takeover
    assert "robot is stopped" in world.operator.outcome
    assert world.operator.progress is Progress.IDLE


def test_an_operator_who_takes_over_ends_it(world: World) -> None:
    world.operator.request()
    world.poll()
    world.poll()
    assert not world.poll(obstacle="an operator has taken over").takeover
    assert "taken over" in world.operator.outcome


def test_blind_it_ends(world: World) -> None:
    world.operator.request()
    world.poll()
    world.poll()
    world.now_s += 1.0
    world.publish("duck")
    assert not world.poll(fresh=False).takeover
    assert "objects/bowl/pose" in world.operator.outcome


def test_cancel_ends_it(world: World) -> None:
    assert not world.operator.cancel()
    world.operator.request()
    world.poll()
    assert world.operator.cancel()
    assert not world.poll().takeover
    assert world.operator.outcome == "cancelled"


def test_the_duck_demonstrator_fits_in() -> None:
    operator = create_scripted_operator(DemonstratorConfig(), "duck", KINEMATICS, 0.05)
    world = World()
    world.operator = operator
    world.poll()
    operator.request()
    targets = [intent.joint_target_rad for intent in (world.poll() for _ in range(40))]
    moved = [target for target in targets if target is not None]
    assert len(moved) == 39
    assert np.abs(np.diff(moved, axis=0)).max() < 0.2
    assert operator.phase not in ("idle", "waiting")


def test_a_task_without_demonstrator_is_refused() -> None:
    with pytest.raises(DeviceError, match="knitting"):
        create_scripted_operator(DemonstratorConfig(), "knitting", KINEMATICS, 0.05)


def test_another_rate_than_the_demonstrator_s_is_refused() -> None:
    with pytest.raises(DeviceError, match="20 Hz, got 50"):
        create_scripted_operator(DemonstratorConfig(), "duck", KINEMATICS, 0.02)

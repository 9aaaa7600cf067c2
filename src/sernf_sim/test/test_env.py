"""The Gymnasium environment: conforms, repeats, and moves only through the safety filter."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import sernf_sim  # noqa: F401 - registers the environments
from sernf_robot.kinematics import Kinematics
from sernf_sim.demonstrators.demonstrator import ACT_PERIOD_S
from sernf_sim.demonstrators.duck import DuckDemonstrator, Variety
from sernf_sim.env import OBSERVATION_PARTS, DuckEnv
from sernf_sim.tasks.scenery import CAMERAS


@pytest.fixture(scope="module")
def env() -> Iterator[DuckEnv]:
    made = gymnasium.make("sernf/Duck-v0", physics="nominal")
    yield made.unwrapped
    made.close()


def test_passes_gymnasium_s_checker() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(gymnasium.make("sernf/Duck-v0").unwrapped, skip_render_check=True)
    # Actions are absolute joint targets in rad, so their space is that of the joints and not [-1, 1].
    assert [str(warning.message) for warning in caught if "symmetric and normalized" not in str(warning.message)] == []


def test_same_seed_same_episode(env: DuckEnv) -> None:
    runs = []
    for _ in range(2):
        first, _ = env.reset(seed=4)
        action = first[:24] + 0.05
        runs.append([first, *(env.step(action)[0] for _ in range(20))])
    np.testing.assert_array_equal(runs[0], runs[1])


def test_observation_holds_what_its_layout_says(env: DuckEnv) -> None:
    observation, _ = env.reset(seed=1)
    assert observation.shape == (sum(OBSERVATION_PARTS.values()),) == (44,)
    parts = dict(zip(OBSERVATION_PARTS, np.split(observation, np.cumsum(list(OBSERVATION_PARTS.values()))[:-1]), strict=True))
    np.testing.assert_allclose(parts["joints"], env.world.task.start_position_rad, atol=5e-3)
    np.testing.assert_allclose(parts["duck_position"], env.world.object_poses()["duck"][0], atol=1e-6)
    hand_m, rotation = Kinematics().hand_pose(parts["joints"])
    np.testing.assert_allclose(parts["hand_position"], hand_m, atol=1e-5)
    np.testing.assert_allclose(parts["hand_rotation"], rotation[:, :2].T.ravel(), atol=1e-5)
    for name in ("duck_rotation", "hand_rotation"):
        np.testing.assert_allclose(np.linalg.norm(parts[name].reshape(2, 3), axis=1), 1.0, atol=1e-5)


def test_wild_actions_are_filtered(env: DuckEnv) -> None:
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    limits = env._robot.limits
    clipped: set[str] = set()
    last = env.world.joint_position()
    for step in range(40):
        if step % 10 == 0:
            action = rng.uniform(-5.0, 5.0, 24).astype(np.float32)
        *_, terminated, _, info = env.step(action)
        clipped |= set(info["clipped"])
        now = env.world.joint_position()
        assert np.abs(now - last)[:7].max() < limits.velocity_rad_s[:7].max() * 0.05 * 1.5
        last = now
        if terminated:
            break
    assert any(name.startswith("position:") for name in clipped)


@pytest.mark.parametrize("action", [np.full(24, np.nan), np.zeros(7)])
def test_refuses_malformed_actions(env: DuckEnv, action: np.ndarray) -> None:
    env.reset(seed=0)
    with pytest.raises(ValueError, match="24 finite"):
        env.step(action)


def test_success_ends_the_episode_with_reward_one(env: DuckEnv) -> None:
    env.reset(seed=1)
    demonstrator = DuckDemonstrator(Kinematics(), np.random.default_rng(1), variety=Variety(careless_probability=0.0))
    demonstrator.reset(env.published())
    total, terminated = 0.0, False
    while not (terminated or demonstrator.done):
        _, reward, terminated, _, info = env.step(demonstrator.act(env.published()).astype(np.float32))
        total += reward
    assert (terminated, total, info["success"], info["stage"]) == (True, 1.0, True, "placed")


def test_an_episode_may_last_as_long_as_the_task_allows(env: DuckEnv) -> None:
    steps = gymnasium.spec("sernf/Duck-v0").max_episode_steps
    assert steps is not None
    assert steps * ACT_PERIOD_S == pytest.approx(env.world.task.time_limit_s)


def test_pictures_are_made_only_when_asked_for(env: DuckEnv) -> None:
    assert env.render() is None
    pictures = {}
    for camera in CAMERAS:
        seeing = DuckEnv(render_mode="rgb_array", camera=camera)
        seeing.reset(seed=0)
        pictures[camera] = seeing.render()
        seeing.close()
        seeing.close()
        assert pictures[camera].shape == (480, 640, 3)
        assert pictures[camera].std() > 10.0
    assert (pictures["front"] != pictures["wrist"]).mean() > 0.5


def test_physics_can_be_chosen() -> None:
    twin = gymnasium.make("sernf/Duck-v0", physics="twin").unwrapped
    assert twin.world.physics.friction_scale < 1.0


@pytest.mark.parametrize(("option", "value"), [("render_mode", "human"), ("camera", "back")])
def test_refuses_unknown_options(option: str, value: str) -> None:
    with pytest.raises(ValueError, match=option):
        DuckEnv(**{option: value})

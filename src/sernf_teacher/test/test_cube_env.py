"""The teacher's environment: shapes, determinism, starts, and going on after a kill."""

import dataclasses

import numpy as np
import pytest

from sernf_teacher.cube_env import LARGEST_SPEED_RAD_S, CubeEnv, CubeEnvConfig
from sernf_teacher.cube_model import JOINTS
from sernf_teacher.cube_observation import PARTS, SIZE
from sernf_teacher.curriculum import MEASURED, STAGES, TOP
from sernf_teacher.grasps import load_grasps
from sernf_teacher.randomisation import Randomisation

COPIES = 6
TOP_STAGE = STAGES[TOP]


def make_env(stage=TOP_STAGE, seed=3, **config):
    env = CubeEnv(CubeEnvConfig(copies=COPIES, **config), load_grasps(), stage, seed)
    return env, env.reset()


def actions(count, seed=5, scale=0.3):
    return scale * np.random.default_rng(seed).standard_normal((count, COPIES, JOINTS))


def test_shapes_and_finite_numbers():
    env, observation = make_env()
    assert observation.shape == (COPIES, SIZE) and observation.dtype == np.float32
    for action in actions(5, scale=3.0):
        step = env.step(action)
        assert step.observation.shape == step.last_observation.shape == (COPIES, SIZE)
        assert step.reward.shape == step.lost.shape == step.timed_out.shape == step.fingertips.shape == (COPIES,)
        assert np.isfinite(step.observation).all() and np.isfinite(step.reward).all()


def test_same_seed_same_episodes_whatever_the_threads():
    seen = []
    for threads in (1, 2):
        env, observation = make_env(threads=threads)
        rows = [observation] + [env.step(action).observation for action in actions(8)]
        seen.append(np.array(rows))
    assert np.array_equal(seen[0], seen[1])
    assert not np.array_equal(make_env(seed=4)[1], seen[0][0])


def test_goes_on_exactly_where_it_was():
    env, _ = make_env()
    early, late = actions(6), actions(6, seed=6)
    for action in early:
        env.step(action)
    saved = env.state()
    expected = [env.step(action) for action in late]
    other, _ = make_env(seed=99)
    other.restore(saved)
    for action, step in zip(late, expected):
        again = other.step(action)
        assert np.array_equal(again.observation, step.observation)
        assert np.array_equal(again.reward, step.reward)


def test_grasps_hold_the_cube_at_full_weight_without_any_action():
    env, _ = make_env(dataclasses.replace(TOP_STAGE, randomisation=0.0), open_share=0.0)
    lost = sum(int(env.step(np.zeros((COPIES, JOINTS))).lost.sum()) for _ in range(20))
    assert lost == 0
    assert env.step(np.zeros((COPIES, JOINTS))).fingertips.min() >= 2


def test_a_cube_between_open_fingers_stands_until_it_is_held_or_nobody_takes_it():
    env, _ = make_env(dataclasses.replace(TOP_STAGE, randomisation=0.0), open_share=1.0, stand_steps=10, practice_share=0.0)
    waiting = [env.step(np.zeros((COPIES, JOINTS))) for _ in range(10)]
    assert max(step.fingertips.max() for step in waiting[:9]) < 3
    assert sum(int(step.lost.sum()) for step in waiting) == 0
    fallen = [env.step(np.zeros((COPIES, JOINTS))) for _ in range(15)]
    assert sum(int(step.lost.sum()) for step in fallen) >= COPIES - 1

    held, _ = make_env(dataclasses.replace(TOP_STAGE, randomisation=0.0), open_share=1.0, stand_steps=1000, practice_share=0.0)
    start = held.state()
    pressed = {tuple(np.round(row, 5)): target for row, target in zip(load_grasps().cube, load_grasps().target_rad)}
    cubes = start["state"][:, 1 + JOINTS : 1 + JOINTS + 6]
    target = np.array([pressed[tuple(np.round(row, 5))] for row in cubes])
    for _ in range(40):
        step = held.step(held.action_towards(target))
    assert not held.state()["stand_left"].any()
    assert step.fingertips.min() >= 2


def test_an_open_hand_loses_the_cube_and_begins_anew():
    env, _ = make_env()
    opening = np.tile(-np.ones(JOINTS), (COPIES, 1))
    steps = [env.step(opening) for _ in range(30)]
    assert sum(int(step.lost.sum()) for step in steps) >= COPIES
    first = next(step for step in steps if step.lost.any())
    row = int(np.flatnonzero(first.lost)[0])
    assert first.reward[row] < -1.0
    assert not np.array_equal(first.observation[row], first.last_observation[row])


def test_episodes_time_out():
    env, _ = make_env(dataclasses.replace(TOP_STAGE, randomisation=0.0), episode_steps=4)
    ended = sum(env.step(np.zeros((COPIES, JOINTS))).timed_out for _ in range(8))
    assert (ended >= 1).all()


def test_some_copies_practise_starts():
    env, _ = make_env(
        dataclasses.replace(TOP_STAGE, randomisation=0.0), practice_share=0.5, practice_steps=5, episode_steps=100, ring_share=1.0
    )
    ended = sum(env.step(np.zeros((COPIES, JOINTS))).timed_out for _ in range(20))
    assert (ended[COPIES // 2 :] == 4).all() and (ended[: COPIES // 2] <= 1).all()


def test_helped_cubes_do_not_fall():
    env, _ = make_env(STAGES[0])
    opening = np.tile(-np.ones(JOINTS), (COPIES, 1))
    assert not any(env.step(opening).lost.any() for _ in range(20))


def test_targets_stay_within_reach_of_the_joints():
    env, _ = make_env(reach_rad=0.2)
    first = sum(PARTS[name] for name in ("joint_position_rad",))
    step = env.step(np.ones((COPIES, JOINTS)))
    for _ in range(5):
        step = env.step(np.ones((COPIES, JOINTS)))
    assert step.fingertips.shape == (COPIES,)
    assert np.abs(step.last_observation[:, first : first + JOINTS]).max() < 0.5


def test_targets_reach_the_joints_along_a_line_and_late(monkeypatch):
    # Open fingers are commanded where they are, which a soft limit lets be a little outside of the range: drawn back at once.
    env, _ = make_env(MEASURED, randomisation=Randomisation(delay_s=(0.02, 0.02)), open_share=0.0)
    written, advance = [], env.batch.advance

    def seen(state, targets):
        written.append(targets)
        return advance(state, targets)

    monkeypatch.setattr(env.batch, "advance", seen)
    start = env.state()["target"]
    for _ in range(3):
        env.step(np.full((COPIES, JOINTS), 0.2))
    moves = np.diff(np.concatenate([start[:, None], *written], axis=1), axis=1)
    assert np.abs(moves).max() < 0.2 * env.config.action_rad / env.batch.substeps + 1e-9
    late_s = env.batch.step_s * np.argmax(np.abs(moves[0]).max(-1) > 1e-9)
    assert late_s == pytest.approx(0.04, abs=1e-9)
    assert not np.allclose(written[-1][:, -1], env.state()["target"])


def test_targets_keep_away_from_the_ends_of_the_joints_ranges():
    env, _ = make_env(limit_margin_rad=0.05)
    low, high = env.batch.cube.lower_rad + 0.05, env.batch.cube.upper_rad - 0.05
    for target in (low - 1.0, high + 1.0):
        step = env.step(np.zeros((COPIES, JOINTS)), np.tile(target, (COPIES, 1)), np.ones(COPIES, dtype=bool))
        assert (step.target_rad >= low - 1e-12).all() and (step.target_rad <= high + 1e-12).all()


def test_a_dropped_cube_tells_against_its_grasp_and_a_held_one_for_it():
    env, _ = make_env(dataclasses.replace(TOP_STAGE, randomisation=0.0), open_share=0.0, ring_share=0.0, ring_steps=10)
    begun = env.state()["grasp"]
    assert (begun >= 0).all()
    opening = np.tile(-np.ones(JOINTS), (COPIES, 1))
    for _ in range(30):
        env.step(opening)
    assert env.state()["failing"].sum() > 0.0
    held, _ = make_env(dataclasses.replace(TOP_STAGE, randomisation=0.0), open_share=0.0, ring_share=0.0, ring_steps=10)
    for _ in range(12):
        held.step(np.zeros((COPIES, JOINTS)))
    assert not held.state()["failing"].any() and (held.state()["grasp"] == -1).any()


def test_driven_copies_go_to_their_targets_no_faster_than_the_bridge_lets_them(monkeypatch):
    env, _ = make_env(MEASURED)
    written, advance = [], env.batch.advance

    def seen(state, targets):
        written.append(targets)
        return advance(state, targets)

    monkeypatch.setattr(env.batch, "advance", seen)
    start = env.truth().target_rad
    far = np.clip(start + 0.5, env.batch.cube.lower_rad, env.batch.cube.upper_rad)
    driven = np.arange(COPIES) < COPIES // 2
    for _ in range(6):
        step = env.step(np.zeros((COPIES, JOINTS)), far, driven)
        assert not step.lost.any(), "a new episode would begin elsewhere"
    moves = np.diff(np.concatenate([start[:, None], *written], axis=1), axis=1)
    assert np.abs(moves).max() == pytest.approx(LARGEST_SPEED_RAD_S * env.batch.step_s, rel=1e-6)
    np.testing.assert_allclose(step.target_rad[driven], far[driven])
    np.testing.assert_allclose(written[-1][driven, -1], far[driven], atol=0.02)
    np.testing.assert_allclose(written[-1][~driven, -1], start[~driven], atol=1e-3)


def test_a_draw_of_no_strength_is_nominal():
    draw = Randomisation().draw(np.random.default_rng(0), 3, 0.0)
    assert (draw.mass_scale == 1.0).all() and (draw.friction_scale == 1.0).all() and not draw.delay_s.any()


def test_a_draw_lies_in_its_ranges_and_differs():
    table = Randomisation()
    draw = table.draw(np.random.default_rng(0), 200, 1.0)
    for name in ("mass_scale", "size_scale", "friction_scale"):
        low, high = getattr(table, name)
        values = getattr(draw, name)
        assert low <= values.min() < values.max() <= high


@pytest.mark.parametrize("wrong", [{"mass_scale": (1.2, 0.8)}, {"friction_scale": (0.0, 1.0)}, {"delay_s": (-0.1, 0.0)}])
def test_wrong_tables_are_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        Randomisation(**wrong)

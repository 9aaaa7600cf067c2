"""The duck's judge: what counts as success, what as lost, and what as neither."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from sernf_sim.tasks.duck import BOWL_RADIUS_M, DUCK_X_M, DUCK_Y_M, DuckTask
from sernf_sim.tasks.task import JUDGE_PERIOD_S, Judgement
from sernf_sim.world import compile_world

ROBOT_JOINTS = 24


class Scene:
    """A duck scene whose duck can be put anywhere, with the robot at its start pose."""

    def __init__(self) -> None:
        self.task = DuckTask()
        self.model = compile_world(self.task)
        self.data = mujoco.MjData(self.model)
        self.reset(0)

    def reset(self, seed: int) -> None:
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:ROBOT_JOINTS] = self.data.ctrl[:] = self.task.start_position_rad
        self.task.reset(self.data, np.random.default_rng(seed))
        mujoco.mj_forward(self.model, self.data)

    @property
    def bowl_m(self) -> np.ndarray:
        return self.data.mocap_pos[0].copy()

    def over_bowl(self, x_m: float, height_m: float) -> np.ndarray:
        return self.bowl_m + np.array([x_m, 0.0, height_m])

    def put_duck(self, position_m: np.ndarray, velocity_m_s: float = 0.0) -> None:
        self.data.qpos[ROBOT_JOINTS : ROBOT_JOINTS + 3] = position_m
        self.data.qvel[ROBOT_JOINTS : ROBOT_JOINTS + 6] = 0.0
        self.data.qvel[ROBOT_JOINTS] = velocity_m_s
        mujoco.mj_forward(self.model, self.data)

    def let_go(self, seconds: float) -> Judgement:
        for _ in range(round(seconds / JUDGE_PERIOD_S)):
            mujoco.mj_step(self.model, self.data, nstep=round(JUDGE_PERIOD_S / self.model.opt.timestep))
            judgement = self.task.judge(self.data)
        return judgement


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


def test_duck_dropped_into_the_bowl_is_a_success(scene: Scene) -> None:
    for seed in range(5):
        scene.reset(seed)
        scene.put_duck(scene.over_bowl(0.01, 0.08))
        judgement = scene.let_go(2.0)
        assert (judgement.stage, judgement.success, judgement.done, judgement.failure) == ("placed", True, True, "")


def test_duck_beside_the_bowl_is_not(scene: Scene) -> None:
    scene.reset(0)
    scene.put_duck(scene.over_bowl(BOWL_RADIUS_M + 0.06, 0.03))
    judgement = scene.let_go(2.0)
    assert not judgement.success
    assert not judgement.done


def test_duck_that_still_moves_in_the_bowl_is_not_yet(scene: Scene) -> None:
    scene.reset(0)
    for _ in range(30):
        scene.put_duck(scene.over_bowl(0.0, 0.03), velocity_m_s=0.3)
        assert not scene.task.judge(scene.data).success


def test_duck_passing_over_the_bowl_is_not(scene: Scene) -> None:
    scene.reset(0)
    for _ in range(30):
        scene.put_duck(scene.over_bowl(0.0, 0.15))
        assert not scene.task.judge(scene.data).success


def test_short_rest_is_not_enough(scene: Scene) -> None:
    scene.reset(0)
    for _ in range(10):
        for height_m in [0.03] * 10 + [0.2]:
            scene.put_duck(scene.over_bowl(0.0, height_m))
            assert not scene.task.judge(scene.data).success


@pytest.mark.parametrize("position_m", [(1.1, 0.0, 0.03), (0.6, -0.6, 0.03), (0.1, 0.0, 0.03)])
def test_duck_beyond_reach_ends_the_episode(scene: Scene, position_m: tuple[float, float, float]) -> None:
    scene.reset(0)
    scene.put_duck(np.array(position_m))
    judgement = scene.task.judge(scene.data)
    assert (judgement.success, judgement.done, judgement.failure) == (False, True, "out_of_reach")


def test_duck_in_the_hand_over_the_bowl_is_a_stage_and_no_success(scene: Scene) -> None:
    scene.reset(0)
    palm = scene.data.body("hand_right_palm").xpos.copy()
    scene.data.mocap_pos[0, :2] = palm[:2]
    for _ in range(30):
        scene.put_duck(palm)
        judgement = scene.task.judge(scene.data)
    assert (judgement.stage, judgement.success) == ("above_bowl", False)


def test_stage_never_falls(scene: Scene) -> None:
    scene.reset(0)
    scene.put_duck(scene.data.body("hand_right_palm").xpos.copy())
    assert scene.task.judge(scene.data).stage == "lifted"
    scene.put_duck(np.array([0.6, 0.1, 0.03]))
    assert scene.task.judge(scene.data).stage == "lifted"


def test_scenes_fill_their_field_and_start_at_rest(scene: Scene) -> None:
    ducks = []
    for seed in range(200):
        scene.reset(seed)
        ducks.append(scene.data.body("duck").xpos[:2].copy())
    low, high = np.min(ducks, axis=0), np.max(ducks, axis=0)
    for axis, (least, most) in enumerate((DUCK_X_M, DUCK_Y_M)):
        assert least <= low[axis] < least + 0.02
        assert most - 0.02 < high[axis] <= most
    scene.reset(7)
    judgement = scene.let_go(1.0)
    assert (judgement.stage, judgement.done) == ("start", False)
    assert np.linalg.norm(scene.data.qvel[ROBOT_JOINTS:]) < 0.02

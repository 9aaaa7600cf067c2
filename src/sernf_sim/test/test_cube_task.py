"""The cube's judge in the whole world: what is a drop, what is a turn, and that the stand sinks."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from sernf_sim.tasks.cube import EPISODE_S, LONGEST_WAIT_S, CubeTask
from sernf_sim.tasks.cube_scene import CENTER_M, HAND_POSITION_M
from sernf_sim.world import compile_world


class Scene:
    """A cube scene whose cube can be put anywhere, and whose fingertips can be said to touch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fingertips: int = 4) -> None:
        self.task = CubeTask()
        self.model = compile_world(self.task)
        self.data = mujoco.MjData(self.model)
        self.data.qpos[:24] = self.data.ctrl[:] = self.task.start_position_rad
        self.task.reset(self.data, np.random.default_rng(0))
        self.fingertips = fingertips
        monkeypatch.setattr(self.task, "side_forces", lambda data: [2.0] * self.fingertips)
        mujoco.mj_forward(self.model, self.data)
        self.cube_qpos = int(self.model.joint("cube").qposadr[0])

    def put(self, yaw_rad: float, offset_m: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> None:
        pose = (*np.add(CENTER_M, offset_m), np.cos(yaw_rad / 2), 0.0, 0.0, np.sin(yaw_rad / 2))
        self.data.qpos[self.cube_qpos : self.cube_qpos + 7] = pose
        mujoco.mj_forward(self.model, self.data)

    def turn(self, rad: float) -> None:
        for yaw in np.arange(0.0, rad + 1e-9, 0.2):
            self.put(float(yaw))
            self.judgement = self.task.judge(self.data)


def test_a_full_turn_and_a_minute_is_success(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    scene.turn(2.0)
    assert scene.judgement.stage == "quarter" and not scene.judgement.done
    scene.turn(7.0)
    assert scene.judgement.stage == "turned" and not scene.judgement.success
    scene.data.time = EPISODE_S
    assert scene.task.judge(scene.data).success


def test_turning_with_two_fingertips_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    scene.turn(0.2)
    scene.fingertips = 2
    scene.turn(7.0)
    assert scene.judgement.stage == "held"
    assert scene.task.measures()["turned_rad"] > 6.0


def test_a_minute_without_a_turn_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    scene.turn(2.0)
    scene.data.time = EPISODE_S
    assert not scene.task.judge(scene.data).success


def test_a_cube_two_centimetres_lower_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    scene.put(0.0, (0.0, 0.0, -0.019))
    assert not scene.task.judge(scene.data).done
    scene.put(0.0, (0.0, 0.0, -0.021))
    judgement = scene.task.judge(scene.data)
    assert judgement.done and judgement.failure == "dropped" and not judgement.success


def test_the_hand_is_where_the_teacher_has_it() -> None:
    model = compile_world(CubeTask())
    data = mujoco.MjData(model)
    data.qpos[:24] = CubeTask().start_position_rad
    mujoco.mj_forward(model, data)
    site = data.site("hand_frame")
    assert site.xpos == pytest.approx(HAND_POSITION_M, abs=2e-3)
    assert site.xmat.reshape(3, 3)[:, 1] == pytest.approx([0.0, 0.0, -1.0], abs=0.01)
    assert site.xmat.reshape(3, 3)[:, 2] == pytest.approx([1.0, 0.0, 0.0], abs=0.01)


@pytest.mark.parametrize(("fingertips", "waits_s"), [(3, 0.0), (2, LONGEST_WAIT_S)])
def test_the_stand_sinks_when_three_fingertips_press_or_nobody_has_and_an_open_hand_loses_the_cube(
    monkeypatch: pytest.MonkeyPatch, fingertips: int, waits_s: float
) -> None:
    scene = Scene(monkeypatch, fingertips=fingertips)
    outstretched = scene.task.start_position_rad.copy()
    outstretched[8:] = 0.0
    scene.data.qpos[:24] = scene.data.ctrl[:] = outstretched
    lost_s = 0.0
    for look in range(600):
        mujoco.mj_step(scene.model, scene.data, nstep=10)
        if scene.task.judge(scene.data).failure == "dropped":
            lost_s = 0.02 * look
            break
    assert 0.4 < lost_s - waits_s < 1.2

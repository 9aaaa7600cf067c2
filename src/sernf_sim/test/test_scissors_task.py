"""The scissors' judge: what counts as grasped, retrieved, aligned and cut, and what does not."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from sernf_robot.joints import JOINTS
from sernf_robot.kinematics import Kinematics
from sernf_sim.demonstrators import Observation
from sernf_sim.demonstrators.scissors import ScissorsDemonstrator, ScissorsVariety
from sernf_sim.filtered_robot import FilteredRobot
from sernf_sim.physics import Physics
from sernf_sim.tasks.scissors import ScissorsTask
from sernf_sim.tasks.scissors_scene import SEATED_HINGE_M
from sernf_sim.world import SimWorld

LONGEST_STEPS = 400


class Stage:
    """World, filter and kinematics, built once."""

    def __init__(self) -> None:
        self.world = SimWorld("scissors", Physics(), 0)
        self.robot = FilteredRobot(self.world)
        self.kinematics = Kinematics()

    def published(self) -> Observation:
        return Observation(self.world.joint_position(), self.world.object_poses())

    def attempt(self, seed: int, displaced_m: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> list[str]:
        """One careful attempt, which believes the tape `displaced_m` away from where it is; the stages in their order."""
        self.world.reset(seed)
        self.robot.reset()
        exact = ScissorsVariety(grasp_error_m=0.0, place_error_m=0.0)
        demonstrator = ScissorsDemonstrator(self.kinematics, np.random.default_rng(seed), variety=exact)

        def seen() -> Observation:
            poses = self.published().object_poses
            position, quaternion = poses["tape"]
            return Observation(self.world.joint_position(), {**poses, "tape": (position + displaced_m, quaternion)})

        demonstrator.reset(seen())
        stages = [self.world.judge().stage]
        for _ in range(LONGEST_STEPS):
            if demonstrator.done or self.world.judge().done:
                break
            assert self.robot.command(demonstrator.act(seen())) == ()
            if self.world.judge().stage != stages[-1]:
                stages.append(self.world.judge().stage)
        return stages


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage()


def test_a_good_attempt_goes_through_all_stages_in_their_order(stage: Stage) -> None:
    for seed in range(3):
        assert stage.attempt(seed) == list(ScissorsTask.stages)
        assert stage.world.judge().success


@pytest.mark.parametrize(
    ("displaced_m", "furthest"),
    [((0.0, 0.0, 0.08), "retrieved"), ((0.02, -0.03, 0.0), "retrieved"), ((0.04, -0.05, 0.0), "grasped")],
)
def test_closing_the_scissors_beside_the_tape_is_no_cut(
    stage: Stage, displaced_m: tuple[float, float, float], furthest: str
) -> None:
    assert stage.attempt(0, displaced_m)[-1] == furthest
    assert not stage.world.judge().success


def test_scissors_that_nobody_touches_stay_in_the_holder(stage: Stage) -> None:
    for seed in range(5):
        stage.world.reset(seed)
        stage.world.step(stage.world.task.start_position_rad, 2.0)
        hinge = stage.world.object_poses()["scissors"][0]
        assert abs(hinge[2] - SEATED_HINGE_M) < 0.005
        assert stage.world.judge().stage == "start"
        assert not stage.world.judge().done


def test_the_whole_tape_holds_and_the_cut_one_parts() -> None:
    world = SimWorld("scissors", Physics(), 0)
    model, data = world._model, world._data
    ends = [model.site(name).id for name in ("tape_left", "tape_right")]
    world.step(world.task.start_position_rad, 1.0)
    assert np.linalg.norm(data.site_xpos[ends[0]] - data.site_xpos[ends[1]]) < 0.001
    data.eq_active[model.equality("tape_whole").id] = False
    world.step(world.task.start_position_rad, 0.5)
    assert np.linalg.norm(data.site_xpos[ends[0]] - data.site_xpos[ends[1]]) > 0.01


def test_scissors_in_the_air_without_a_hand_are_not_grasped_and_end_it_when_they_fall() -> None:
    world = SimWorld("scissors", Physics(), 0)
    address = int(world._model.joint("scissors").qposadr[0])
    world._data.qpos[address : address + 3] = (0.45, 0.35, 0.6)
    mujoco.mj_forward(world._model, world._data)
    world.step(world.task.start_position_rad, 0.04)
    assert world.judge().stage == "start"
    world.step(world.task.start_position_rad, 1.0)
    status = world.judge()
    assert (status.done, status.success, status.failure) == (True, False, "dropped")


def test_the_start_is_a_pose_of_all_joints() -> None:
    assert ScissorsTask().start_position_rad.shape == (len(JOINTS),)

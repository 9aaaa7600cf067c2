"""A state put on a model for drawing: it is the world's, whole or not at all."""

from __future__ import annotations

import dataclasses
from typing import Any

import mujoco
import numpy as np
import pytest

from sernf_robot.joints import JOINTS
from sernf_sim.physics import Physics
from sernf_sim.shown_state import put_state
from sernf_sim.tasks import make_task
from sernf_sim.world import SimWorld, compile_world


@pytest.fixture(scope="module")
def world() -> SimWorld:
    made = SimWorld("duck", Physics(), 7)
    made.step(made.joint_position() + 0.1 * np.ones(len(JOINTS)), 0.2)
    return made


def test_everything_stands_where_it_stands_in_the_world(world: SimWorld) -> None:
    model = compile_world(make_task("duck"), visual="full")
    data = mujoco.MjData(model)
    put_state(model, data, "duck", world.full_state())
    assert data.time == world.full_state().time_s > 0.0
    for name, (position_m, _) in world.object_poses().items():
        np.testing.assert_allclose(data.body(name).xpos, position_m, atol=5e-3)
    reference = mujoco.MjData(model)
    reference.qpos[:] = world.full_state().qpos
    mujoco.mj_kinematics(model, reference)
    arm = model.body("arm_fr3_link7").id
    np.testing.assert_allclose(data.xpos[arm], reference.xpos[arm], atol=1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "sponge"}, "got task 'sponge'"),
        ({"qpos": np.zeros(2)}, "with 2 and"),
        ({"mocap": np.zeros(3)}, "and 3"),
        ({"qpos": np.full(31, np.nan)}, "expected a finite state"),
    ],
)
def test_what_does_not_fit_is_refused_whole(world: SimWorld, changes: dict[str, Any], message: str) -> None:
    model = compile_world(make_task("duck"))
    data = mujoco.MjData(model)
    before = data.qpos.copy()
    with pytest.raises(ValueError, match=message):
        put_state(model, data, "duck", dataclasses.replace(world.full_state(), **changes))
    np.testing.assert_array_equal(data.qpos, before)

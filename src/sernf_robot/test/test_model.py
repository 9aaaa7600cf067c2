"""The composed robot: all joints by name, gravity compensated, colliding, and clear words when an asset is missing."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from sernf_robot.joints import ARM_JOINTS, HAND_JOINTS, JOINTS, indices_of
from sernf_robot.model import ModelError, asset_folder, build_robot_spec, joint_limits, prefixed, robot_index

HOME = np.array([0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785, *np.zeros(17)])
HOME[JOINTS.index("right_thumb_abd")] = -0.3


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return build_robot_spec().compile()


def test_has_exactly_the_24_joints_by_name(model: mujoco.MjModel) -> None:
    names = {model.joint(index).name for index in range(model.njnt)}
    assert names == {prefixed(name) for name in JOINTS}
    assert (len(ARM_JOINTS), len(HAND_JOINTS), model.nu) == (7, 17, 24)


def test_index_follows_names_not_order(model: mujoco.MjModel) -> None:
    index = robot_index(model)
    for place, name in enumerate(JOINTS):
        assert index.qpos[place] == model.joint(prefixed(name)).qposadr[0]
        assert model.actuator_trnid[index.actuator[place], 0] == model.joint(prefixed(name)).id


def test_index_names_a_missing_joint() -> None:
    with pytest.raises(ModelError, match="arm_fr3_joint1"):
        robot_index(mujoco.MjSpec().compile())


def test_missing_asset_package_is_named() -> None:
    with pytest.raises(ModelError, match="pip install nowhere-sim"):
        asset_folder("nowhere_sim", "nowhere-sim")


def test_stays_where_it_is_told_without_sagging(model: mujoco.MjModel) -> None:
    data, index = mujoco.MjData(model), robot_index(model)
    data.qpos[index.qpos] = HOME
    data.ctrl[index.actuator] = HOME
    mujoco.mj_step(model, data, nstep=1000)
    assert np.abs(data.qpos[index.qpos] - HOME).max() < 2e-3


def test_arm_links_collide_with_what_stands_in_the_way() -> None:
    spec = build_robot_spec()
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX, pos=[0.25, 0.3, 0.6], size=[0.2, 0.05, 0.3], contype=1, conaffinity=15
    )
    model = spec.compile()
    data, index = mujoco.MjData(model), robot_index(model)
    data.qpos[index.qpos] = data.ctrl[index.actuator] = HOME
    swung = HOME.copy()
    swung[0] = 1.2
    touched, deepest_m = set(), 0.0
    for share in np.linspace(0.0, 1.0, 400):
        data.ctrl[index.actuator] = HOME + share * (swung - HOME)
        mujoco.mj_step(model, data, nstep=2)
        for contact in data.contact:
            touched.update(model.body(model.geom_bodyid[geom]).name for geom in contact.geom)
            deepest_m = max(deepest_m, -contact.dist)
    assert any("fr3_link" in name for name in touched)
    assert deepest_m < 0.005


def test_limits_are_those_of_the_vendors(model: mujoco.MjModel) -> None:
    lower, upper = joint_limits(model)
    assert lower.shape == upper.shape == (24,)
    assert (lower < upper).all()
    assert upper[0] == pytest.approx(2.7437)


@pytest.mark.parametrize("visual", ["light", "full"])
def test_visible_meshes_do_not_change_the_dynamics(model: mujoco.MjModel, visual: str) -> None:
    other = build_robot_spec(visual=visual).compile()
    np.testing.assert_allclose(other.body_mass, model.body_mass)
    np.testing.assert_allclose(other.body_inertia, model.body_inertia)
    assert other.ngeom > model.ngeom


def test_indices_of_finds_by_name_and_names_what_is_wrong() -> None:
    assert indices_of(["b", "a", "c"], ["a", "b"]).tolist() == [1, 0]
    with pytest.raises(ValueError, match="missing: d"):
        indices_of(["a", "b"], ["a", "d"])
    with pytest.raises(ValueError, match="twice: a"):
        indices_of(["a", "a"], ["a"])

"""The robot as one MuJoCo model: Franka FR3 arm and ORCA right hand, composed at run time from the assets that PyPI ships.

No mesh is copied into this repository. `build_robot_spec` returns an editable `mujoco.MjSpec`; the base frame `fr3_link0` is the
world's origin, the table's surface is at height zero. Joints, actuators and bodies carry the prefixes `arm_` and `hand_` inside
the model; `RobotIndex` resolves the project's joint names to MuJoCo's addresses once. Fails with `ModelError` when an asset
package is missing or has another content than expected.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import mujoco
import numpy as np
from numpy.typing import NDArray

from sernf_robot.collision_shapes import ARM_SHAPES, HAND_SHAPES, Capsule, Shape
from sernf_robot.joints import ARM_JOINTS, JOINTS

ARM_PREFIX = "arm_"
HAND_PREFIX = "hand_"
HAND_FRAME = "hand_frame"
"""Site at the flange: +z along the outstretched fingers, +y out of the palm."""

PHYSICS_STEP_S = 0.002
"""Two steps make one tick of the 250 Hz control loop."""

FLANGE_OFFSET_M = (0.0, 0.0, 0.107)
FLANGE_QUATERNION = (0.9238795325112867, 0.0, 0.0, 0.3826834323650898)
TOWER_OFFSET_M = (0.04 - 0.0805, 0.0, 0.04575)

COLLISION_GROUP = 3
VISUAL_GROUP = 2

Visual = Literal["none", "light", "full"]
"""What can be seen: nothing but the collision shapes, those and the arm's coarse meshes, or the packages' visual meshes."""

# Contact masks: contype, conaffinity. Two geoms collide if one's contype meets the other's conaffinity.
FINGER_MASK = (2, 5 | 8)
THUMB_MASK = (4, 1 | 8)
PALM_MASK = (2, 1 | 8)
ARM_MASK = (8, 7)
WORLD_MASK = (1, 7 | 8)
"""Tables, fixtures and objects: collide with everything, also with each other."""

_PALM_LIKE = frozenset({"right_palm", "right_tower", "right_thumb_pp"})
_SKIN_FRICTION = (1.0, 0.01, 0.0005)
_SKIN_SOLREF = (0.01, 1.0)
_SKIN_SOLIMP = (0.9, 0.95, 0.001, 0.5, 2.0)
_ARM_TORQUE_NM = (87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0)
_WRIST_KP = 20.0
_WRIST_KV = 0.5
_WRIST_FORCE_NM = 5.0


class ModelError(RuntimeError):
    """The robot's model cannot be composed; the message says what is missing."""


@dataclass(frozen=True)
class RobotIndex:
    """Addresses of the robot's 24 joints in a compiled model, in the order of `sernf_robot.joints.JOINTS`.

    `qpos`, `dof`, `actuator`: (24,) int, for `data.qpos`, `data.qvel` and `data.ctrl`. `hand_site`: id of the hand frame.
    """

    qpos: NDArray[np.intp]
    dof: NDArray[np.intp]
    actuator: NDArray[np.intp]
    hand_site: int


def prefixed(joint: str) -> str:
    """Name of a joint inside the MuJoCo model."""
    return (ARM_PREFIX if joint in ARM_JOINTS else HAND_PREFIX) + joint


def robot_index(model: mujoco.MjModel) -> RobotIndex:
    """Resolve the joints of `model` once; raises ModelError naming the first joint that is missing."""
    qpos, dof, actuator = [], [], []
    actuator_of = {int(model.actuator_trnid[index, 0]): index for index in range(model.nu)}
    for name in JOINTS:
        joint = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, prefixed(name))
        if joint < 0 or joint not in actuator_of:
            raise ModelError(
                f"the model has no joint with an actuator named '{prefixed(name)}'; compose it with build_robot_spec"
            )
        qpos.append(int(model.jnt_qposadr[joint]))
        dof.append(int(model.jnt_dofadr[joint]))
        actuator.append(actuator_of[joint])
    site = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SITE, HAND_FRAME)
    if site < 0:
        raise ModelError(f"the model has no site '{HAND_FRAME}'; compose it with build_robot_spec")
    return RobotIndex(np.array(qpos), np.array(dof), np.array(actuator), site)


def joint_limits(model: mujoco.MjModel) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper joint limits, each (24,) rad, as the vendors' models state them."""
    ranges = np.array([model.joint(prefixed(name)).range for name in JOINTS])
    return ranges[:, 0].copy(), ranges[:, 1].copy()


def build_robot_spec(*, visual: Visual = "none") -> mujoco.MjSpec:
    """Compose arm and hand: position actuators of all 24 joints, gravity compensated, collision by primitives only."""
    robot = _empty_spec("fr3_orca")
    arm = _arm_spec(visual)
    hand = _hand_spec(visual)
    for part in (arm, hand):
        part.option = robot.option
    robot.worldbody.add_frame().attach_body(arm.body("base"), ARM_PREFIX, "")
    flange = robot.body(ARM_PREFIX + "fr3_link7")
    flange.add_site(name=HAND_FRAME, pos=FLANGE_OFFSET_M, quat=FLANGE_QUATERNION, size=[0.002] * 3, group=5)
    frame = flange.add_frame(pos=FLANGE_OFFSET_M, quat=FLANGE_QUATERNION)
    hand.body("right_tower").pos = TOWER_OFFSET_M
    frame.attach_body(hand.body("right_tower"), HAND_PREFIX, "")
    for body in robot.bodies:
        body.gravcomp = 1.0
    return robot


def build_hand_spec(position_m: tuple[float, float, float], quaternion_wxyz: tuple[float, float, float, float]) -> mujoco.MjSpec:
    """The hand alone with its frame held still at this pose, the wrist fixed at the reference angle of its joint.

    The same parts as in `build_robot_spec`, and several times as fast: for training in which the arm only holds still.
    """
    alone = _empty_spec("orca")
    hand = _hand_spec("none")
    hand.option = alone.option
    hand.body("right_tower").pos = TOWER_OFFSET_M
    hand.delete(hand.actuator("right_wrist_actuator"))
    hand.delete(hand.joint("right_wrist"))
    alone.worldbody.add_site(name=HAND_FRAME, pos=position_m, quat=quaternion_wxyz, size=[0.002] * 3, group=5)
    alone.worldbody.add_frame(pos=position_m, quat=quaternion_wxyz).attach_body(hand.body("right_tower"), HAND_PREFIX, "")
    for body in alone.bodies:
        body.gravcomp = 1.0
    return alone


def asset_folder(package: str, distribution: str) -> Path:
    """Folder of an installed asset package, found without importing it; raises ModelError."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ModelError(
            f"package '{package}' is not installed; its robot model is needed, install it with: pip install {distribution}"
        )
    return Path(next(iter(found.submodule_search_locations)))


def _empty_spec(name: str) -> mujoco.MjSpec:
    spec = mujoco.MjSpec()
    spec.modelname = name
    spec.compiler.autolimits = True
    spec.option.timestep = PHYSICS_STEP_S
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.solver = mujoco.mjtSolver.mjSOL_NEWTON
    spec.option.iterations = 20
    # A pyramidal cone lets grasped objects creep out of the fingers.
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10.0
    return spec


def _load(path: Path, mesh_folder: Path) -> mujoco.MjSpec:
    if not path.is_file():
        raise ModelError(
            f"expected the robot model {path.name} in {path.parent}, found none; reinstall the pinned asset packages"
        )
    spec = mujoco.MjSpec.from_file(str(path))
    spec.meshdir = str(mesh_folder)
    return spec


def _arm_spec(visual: Visual) -> mujoco.MjSpec:
    assets = asset_folder("franky_sim", "franky-sim") / "assets"
    spec = _load(assets / "fr3.xml", assets / "meshes")
    for element in (*spec.keys, *spec.equalities, *spec.tendons):
        spec.delete(element)
    for actuator in list(spec.actuators):
        if actuator.name == "hand":
            spec.delete(actuator)
    spec.delete(spec.body("hand"))
    for geom in list(spec.geoms):
        coarse = geom.name.endswith("_collision")
        if (visual == "full" and not coarse) or (visual == "light" and coarse):
            _only_visible(geom)
            if coarse:
                geom.material = "white"
        else:
            spec.delete(geom)
    _delete_unused_meshes(spec)
    for joint, torque_nm in zip(ARM_JOINTS, _ARM_TORQUE_NM, strict=True):
        spec.joint(joint).actfrcrange = (-torque_nm, torque_nm)
        spec.joint(joint).actfrclimited = mujoco.mjtLimited.mjLIMITED_TRUE
    for shape in ARM_SHAPES:
        _add_shape(spec.body(shape.body), shape, ARM_MASK)
    return spec


def _hand_spec(visual: Visual) -> mujoco.MjSpec:
    package = asset_folder("orca_sim", "orca-sim")
    spec = _load(package / "scene_right.xml", package / "assets")
    for geom in list(spec.worldbody.geoms):
        spec.delete(geom)
    for light in list(spec.lights):
        spec.delete(light)
    for texture in list(spec.textures):
        spec.delete(texture)
    spec.delete(spec.material("groundplane"))
    for geom in list(spec.geoms):
        if visual == "full" and "_visual_" in geom.meshname:
            _only_visible(geom)
        else:
            spec.delete(geom)
    _delete_unused_meshes(spec)
    for shape in HAND_SHAPES:
        geom = _add_shape(spec.body(shape.body), shape, _hand_mask(shape.body))
        geom.priority = 1
        geom.condim = 4
        geom.friction[:] = _SKIN_FRICTION
        geom.solref[:] = _SKIN_SOLREF
        geom.solimp[:] = _SKIN_SOLIMP
    wrist = spec.actuator("right_wrist_actuator")
    wrist.gainprm[0] = _WRIST_KP
    wrist.biasprm[1:3] = (-_WRIST_KP, -_WRIST_KV)
    wrist.forcerange[:] = (-_WRIST_FORCE_NM, _WRIST_FORCE_NM)
    return spec


def _hand_mask(body: str) -> tuple[int, int]:
    if body in _PALM_LIKE:
        return PALM_MASK
    return THUMB_MASK if "thumb" in body else FINGER_MASK


def _only_visible(geom: Any) -> None:
    geom.contype = 0
    geom.conaffinity = 0
    geom.mass = 0.0
    geom.group = VISUAL_GROUP


def _delete_unused_meshes(spec: mujoco.MjSpec) -> None:
    used = {geom.meshname for geom in spec.geoms}
    for mesh in list(spec.meshes):
        if mesh.name not in used:
            spec.delete(mesh)


def _add_shape(body: Any, shape: Shape, mask: tuple[int, int]) -> Any:
    geom = body.add_geom(contype=mask[0], conaffinity=mask[1], group=COLLISION_GROUP, mass=0.0)
    # The class of an attached body would set mesh type and materials of the vendor's file.
    geom.meshname = ""
    geom.material = ""
    if isinstance(shape, Capsule):
        geom.type = mujoco.mjtGeom.mjGEOM_CAPSULE
        geom.fromto = (*shape.start_m, *shape.end_m)
        geom.size[0] = shape.radius_m
    else:
        geom.type = mujoco.mjtGeom.mjGEOM_BOX
        geom.pos = shape.center_m
        geom.size = shape.half_m
    return geom

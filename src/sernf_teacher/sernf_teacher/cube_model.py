"""The teacher's model: the hand alone, palm down, and a cube below it, for many copies of it side by side.

The cube hangs on three slides and three hinges (z, x, y) instead of a free joint. That is the same rigid body, its yaw is a
coordinate, and springs and viscosity that help a beginner are the joints' own. `CubeModel` says where everything lies in state
and sensors; nothing here keeps any state.
"""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from sernf_robot.model import HAND_PREFIX, build_hand_spec
from sernf_sim.tasks.cube_scene import CUBE, FINGERS, HAND_POSITION_M, HAND_QUATERNION, add_cube, prepare_hand, tip_geom

Floats = NDArray[np.float64]

JOINTS = 16
"""Of the hand without its wrist, in the order of `sernf_robot.joints.HAND_JOINTS`."""
TIPS = len(FINGERS)
CONTROL_PERIOD_S = 0.05

_SLIDES, _HINGES = ("slide_x", "slide_y", "slide_z"), ("hinge_z", "hinge_x", "hinge_y")
_AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


def build_model() -> mujoco.MjModel:
    """Hand, cube and sensors, with nominal physics and no help."""
    spec = build_hand_spec(HAND_POSITION_M, HAND_QUATERNION)
    prepare_hand(spec)
    # A copy that blows up is to be seen, not put back to the model's zero pose behind everybody's back.
    spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET.value
    for joint in spec.joints:
        # Each would be a constraint in every joint, for effects that are small beside friction and contact.
        joint.frictionloss, joint.margin = 0.0, 0.0
    body = add_cube(spec)
    for names, kind in ((_SLIDES, mujoco.mjtJoint.mjJNT_SLIDE), (_HINGES, mujoco.mjtJoint.mjJNT_HINGE)):
        for name in names:
            body.add_joint(name=name, type=kind, axis=_AXES[name[-1]], limited=False)
    _add_sensors(spec)
    return spec.compile()


def _add_sensors(spec: mujoco.MjSpec) -> None:
    geom, sensor, contact = mujoco.mjtObj.mjOBJ_GEOM, mujoco.mjtSensor, mujoco.mjtConDataField
    for finger in FINGERS:
        for kind in (sensor.mjSENS_FRAMEPOS, sensor.mjSENS_FRAMEZAXIS):
            spec.add_sensor(type=kind, objtype=geom, objname=tip_geom(finger), name=f"{kind.name}_{finger}")
    force = [1 << contact.mjCONDATA_FORCE.value, 3, 1]
    for finger in FINGERS:
        spec.add_sensor(
            type=sensor.mjSENS_CONTACT, objtype=geom, objname=tip_geom(finger), reftype=geom, refname=CUBE, intprm=force,
            name=f"force_{finger}",
        )  # fmt: skip
    spec.add_sensor(
        type=sensor.mjSENS_CONTACT, objtype=mujoco.mjtObj.mjOBJ_XBODY, objname=HAND_PREFIX + "right_palm", reftype=geom,
        refname=CUBE, intprm=force, name="force_hand",
    )  # fmt: skip


class CubeModel:
    """Addresses in a model of `build_model`, and setters of what curriculum and randomisation change."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self.model = model
        spec = mujoco.mjtState.mjSTATE_FULLPHYSICS
        self.state_size = mujoco.mj_stateSize(model, spec.value)
        self.qpos = slice(1, 1 + model.nq)
        self.qvel = slice(1 + model.nq, 1 + model.nq + model.nv)
        self.lower_rad, self.upper_rad = model.jnt_range[:JOINTS].T.copy()
        self.stiffness_nm_rad = model.actuator_gainprm[:JOINTS, 0].copy()
        self.largest_torque_nm = model.actuator_forcerange[:JOINTS, 1].copy()
        tips = [model.geom(tip_geom(finger)) for finger in FINGERS]
        self.tip_radius_m = np.array([tip.size[0] for tip in tips])
        self.tip_half_length_m = np.array([tip.size[1] for tip in tips])
        self.cube_geom = model.geom(CUBE).id
        self.cube_body = model.body(CUBE).id
        self.slides = np.array([model.joint(name).dofadr[0] for name in _SLIDES])
        self.hinges = np.array([model.joint(name).dofadr[0] for name in _HINGES])
        self.skin = np.flatnonzero(model.geom_priority > 0)
        if self.state_size != 1 + model.nq + model.nv or tuple(self.slides) != tuple(range(JOINTS, JOINTS + 3)):
            raise ValueError(f"expected a state of time, positions and velocities, the hand first, got {model.nq} joints")

    def tips(self, sensors: Floats) -> tuple[Floats, Floats]:
        """Ends of the tips' axes (..., 5, 3) m, base frame, the fingertip's last; `sensors` (..., nsensordata)."""
        frames = sensors[..., : TIPS * 6].reshape(*sensors.shape[:-1], TIPS, 2, 3)
        along = frames[..., 1, :] * self.tip_half_length_m[:, None]
        # MuJoCo's z axis of a capsule made from two points runs from the second to the first.
        return frames[..., 0, :] + along, frames[..., 0, :] - along

    def forces(self, sensors: Floats) -> tuple[Floats, Floats]:
        """Force of each tip on the cube (..., 5, 3) N and of the whole hand (..., 3) N, base frame."""
        forces = sensors[..., TIPS * 6 :].reshape(*sensors.shape[:-1], TIPS + 1, 3)
        return forces[..., :TIPS, :], forces[..., TIPS, :]

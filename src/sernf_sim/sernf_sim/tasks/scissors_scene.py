"""What the scissors task adds to the robot: scissors in a holder, and a tape between two posts.

Frame of the scissors at the hinge: x along the blades, y the way in which they open, z the hinge's axis; of half A, the body
`scissors`. Half B turns about the hinge by the opening angle theta: its handle goes to +y, its blade to -y.
"""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from sernf_robot.model import WORLD_MASK
from sernf_sim.tasks.scenery import OBJECT_GROUP, add_visible

SCISSORS, OTHER_HALF, TAPE, HOLDER = "scissors", "scissors_half", "tape", "holder"
CUT = "tape_whole"
"""Name of the equality that joins the halves of the tape."""

SCISSORS_MASS_KG = 0.080
OPEN_LIMIT_RAD = 0.45
BLADE_M = (0.008, 0.073)
"""Where the blades begin and end, from the hinge."""
SEATED_OPENING_RAD = 0.43
SEATED_HINGE_M = 0.213
SLOT_FLOOR_M, SLOT_DEPTH_M, SLOT_HALF_M = 0.14, 0.055, (0.0215, 0.0055)

TAPE_HEIGHT_M = 0.26
TAPE_HALF_LENGTH_M, TAPE_WIDTH_M, TAPE_THICKNESS_M = 0.06, 0.015, 0.001
TAPE_STRETCH_M = 0.009
"""How far each half of the tape shrinks back once it is cut."""

_SPRING_NM_RAD, _SPRING_REF_RAD, _HINGE_DAMPING = 0.5, 0.85, 0.01
_BLADE_HALF_WIDTH_M, _BLADE_HALF_THICKNESS_M, _BLADE_LAYER_M = 0.003, 0.0012, 0.0014
_HANDLE_START_M, _HANDLE_END_M = (-0.018, 0.007), (-0.113, 0.013)
_HANDLE_HALF_M = (0.005, 0.012)
_WALL_HALF_M = 0.002
_TAPE_PULL_N_M = 150.0
_TAPE_ARMATURE_KG, _TAPE_ARMATURE_KG_M2 = 0.05, 2e-5
"""Constraints are as stiff as what they hold is heavy: without it a ribbon of 3 g would be pulled apart by its own tension."""
_STEEL, _RED, _DARK, _GREEN = (0.75, 0.77, 0.80, 1.0), (0.80, 0.16, 0.14, 1.0), (0.22, 0.24, 0.28, 1.0), (0.10, 0.62, 0.25, 1.0)
_KIND = mujoco.mjtGeom
_SOLID: dict[str, Any] = {"contype": WORLD_MASK[0], "conaffinity": WORLD_MASK[1], "group": OBJECT_GROUP}
_TAPE_SOLID: dict[str, Any] = {"contype": WORLD_MASK[0], "conaffinity": WORLD_MASK[1] & ~WORLD_MASK[0], "group": OBJECT_GROUP}
"""Its two halves do not touch each other."""


def add_scissors(spec: mujoco.MjSpec) -> None:
    """Two halves, a hinge, a weak spring that opens them."""
    half_a = spec.worldbody.add_body(name=SCISSORS, pos=[0.6, 0.0, SEATED_HINGE_M])
    half_a.add_freejoint(name=SCISSORS)
    half_b = half_a.add_body(name=OTHER_HALF)
    half_b.add_joint(
        name=OTHER_HALF, type=mujoco.mjtJoint.mjJNT_HINGE, axis=[0.0, 0.0, -1.0], limited=True,
        # MjSpec reads both in degrees.
        range=np.degrees([0.0, OPEN_LIMIT_RAD]), springref=np.degrees(_SPRING_REF_RAD),
        stiffness=_SPRING_NM_RAD, damping=_HINGE_DAMPING, armature=2e-5,
        solref_limit=[0.005, 1.0], solimp_limit=[0.98, 0.995, 0.001, 0.5, 2.0],
    )  # fmt: skip
    _add_half(half_a, 1.0)
    _add_half(half_b, -1.0)
    add_visible(half_a, _KIND.mjGEOM_CYLINDER, (0.005, 0.0035), (0.0, 0.0, 0.0), _STEEL)


def _add_half(body: Any, side: float) -> None:
    """`side`: of the blade, in y; the handle is on the other."""
    more = {"condim": 4, "friction": (0.8, 0.005, 0.0002), **_SOLID}
    start, end = BLADE_M
    body.add_geom(
        type=_KIND.mjGEOM_BOX, size=[(end - start) / 2, _BLADE_HALF_WIDTH_M, _BLADE_HALF_THICKNESS_M],
        pos=[(start + end) / 2, side * _BLADE_HALF_WIDTH_M, side * _BLADE_LAYER_M],
        mass=0.15 * SCISSORS_MASS_KG, rgba=_STEEL, **more,
    )  # fmt: skip
    first, last = (np.array([x, -side * y, 0.0]) for x, y in (_HANDLE_START_M, _HANDLE_END_M))
    along = last - first
    yaw = float(np.arctan2(along[1], along[0]))
    body.add_geom(
        type=_KIND.mjGEOM_BOX, size=[float(np.linalg.norm(along)) / 2, *_HANDLE_HALF_M], pos=(first + last) / 2,
        quat=[np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)], mass=0.25 * SCISSORS_MASS_KG, rgba=_RED, **more,
    )  # fmt: skip
    for place, radius, mass in ((last, 0.010, 0.06), (first + np.array([0.0, -side * 0.008, 0.0]), 0.006, 0.04)):
        body.add_geom(type=_KIND.mjGEOM_SPHERE, size=[radius, 0, 0], pos=place, mass=mass * SCISSORS_MASS_KG, rgba=_RED, **more)
    add_visible(body, _KIND.mjGEOM_BOX, (0.014, 0.0035, 0.0015), (-0.008, -side * 0.003, side * 0.001), _STEEL)


def add_holder(spec: mujoco.MjSpec) -> None:
    """A slot on a column; its x is the way in which the scissors open."""
    holder = spec.worldbody.add_body(name=HOLDER, mocap=True, pos=[0.6, 0.0, 0.0])
    more = {"friction": (0.4, 0.005, 0.0001), "rgba": _DARK, **_SOLID}
    long, short = SLOT_HALF_M
    outer = (long + 2 * _WALL_HALF_M, short + 2 * _WALL_HALF_M)
    middle = SLOT_FLOOR_M + SLOT_DEPTH_M / 2
    holder.add_geom(type=_KIND.mjGEOM_BOX, size=[*outer, SLOT_FLOOR_M / 2], pos=[0.0, 0.0, SLOT_FLOOR_M / 2], **more)
    for sign in (-1.0, 1.0):
        holder.add_geom(
            type=_KIND.mjGEOM_BOX, size=[_WALL_HALF_M, outer[1], SLOT_DEPTH_M / 2],
            pos=[sign * (long + _WALL_HALF_M), 0.0, middle], **more,
        )  # fmt: skip
        holder.add_geom(
            type=_KIND.mjGEOM_BOX, size=[outer[0], _WALL_HALF_M, SLOT_DEPTH_M / 2],
            pos=[0.0, sign * (short + _WALL_HALF_M), middle], **more,
        )  # fmt: skip


def add_tape(spec: mujoco.MjSpec) -> None:
    """A ribbon on edge between two posts, its x along it; each half pulls towards its post, and an equality joins them."""
    tape = spec.worldbody.add_body(name=TAPE, mocap=True, pos=[0.5, -0.2, TAPE_HEIGHT_M])
    half = TAPE_HALF_LENGTH_M
    for sign in (-1.0, 1.0):
        post = sign * (half + 0.006)
        tape.add_geom(
            type=_KIND.mjGEOM_CYLINDER, size=[0.006, (TAPE_HEIGHT_M + 0.02) / 2, 0.0],
            pos=[post, 0.0, 0.02 - (TAPE_HEIGHT_M + 0.02) / 2], rgba=_DARK, **_SOLID,
        )  # fmt: skip
        strip = tape.add_body(name=strip_name(sign), pos=[sign * half, 0.0, 0.0])
        strip.add_joint(
            name=strip_name(sign), type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[sign, 0.0, 0.0], stiffness=_TAPE_PULL_N_M,
            springref=TAPE_STRETCH_M, damping=2.0, armature=_TAPE_ARMATURE_KG,
        )  # fmt: skip
        for name, axis, stiffness in (("swing", [0.0, 0.0, 1.0], 0.01), ("droop", [0.0, 1.0, 0.0], 0.01)):
            strip.add_joint(
                name=f"{strip_name(sign)}_{name}", type=mujoco.mjtJoint.mjJNT_HINGE, axis=axis, stiffness=stiffness, damping=2e-4,
                armature=_TAPE_ARMATURE_KG_M2,
            )  # fmt: skip
        strip.add_geom(
            type=_KIND.mjGEOM_BOX, size=[half / 2, TAPE_THICKNESS_M / 2, TAPE_WIDTH_M / 2], pos=[-sign * half / 2, 0.0, 0.0],
            mass=0.0015, rgba=_GREEN, friction=(0.5, 0.005, 0.0001), **_TAPE_SOLID,
        )  # fmt: skip
        strip.add_site(name=strip_name(sign), pos=[-sign * half, 0.0, 0.0], size=[0.001] * 3, group=5)
    whole = spec.add_equality(
        name=CUT, type=mujoco.mjtEq.mjEQ_CONNECT, objtype=mujoco.mjtObj.mjOBJ_BODY, name1=strip_name(-1.0), name2=strip_name(1.0)
    )
    whole.data[:3] = (half, 0.0, 0.0)
    whole.solref[:], whole.solimp[:] = (0.005, 1.0), (0.98, 0.999, 0.001, 0.5, 2.0)


def strip_name(sign: float) -> str:
    """Body, slide and end site of the half of the tape on this side."""
    return "tape_left" if sign < 0 else "tape_right"

"""What the cube task adds to the hand, in the world with the arm and in the teacher's model of the hand alone.

The hand is held palm down; the cube hangs below it between the fingertips. Poses are in the base frame `fr3_link0`.
"""

from __future__ import annotations

from typing import Any

import mujoco

from sernf_robot.model import COLLISION_GROUP, FINGER_MASK, HAND_PREFIX, THUMB_MASK, WORLD_MASK
from sernf_sim.tasks.scenery import OBJECT_GROUP, add_visible

CUBE = "cube"
CUBE_SIDE_M = 0.05
CUBE_MASS_KG = 0.05
CUBE_FRICTION = (0.8, 0.005, 0.0002)

HAND_POSITION_M = (0.42, 0.0, 0.499)
HAND_QUATERNION = (0.5, -0.5, 0.5, -0.5)
"""Fingers forward, palm down; the palm's underside is then 482 mm above the table."""
ARM_RAD = (-0.005, -0.230, 0.004, -2.696, -0.001, 4.038, 0.787)
"""Joints of the arm that hold the hand there."""
CENTER_M = (0.645, -0.005, 0.440)
"""Where the cube's centre belongs."""

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_TIP_BODIES = tuple(f"{HAND_PREFIX}right_{finger}_{'dp' if finger == 'thumb' else 'ip'}" for finger in FINGERS)
_TIP_BIT = 16
_IMPRATIO, _ITERATIONS, _TOLERANCE = 3.0, 30, 1e-6
"""Of the solver: with an impratio of 10 cubes of randomised physics blow up in the teacher's model, and what is learnt at 3 is
dropped ten times as often at 10."""
_FACES = ((0.86, 0.20, 0.18), (0.98, 0.72, 0.12), (0.20, 0.55, 0.30), (0.16, 0.38, 0.72))
"""Colours of the four sides, +x, +y, -x, -y."""


def tip_geom(finger: str) -> str:
    """Name of the collision shape of a fingertip, once `prepare_hand` has given it."""
    return f"tip_{finger}"


def prepare_hand(spec: mujoco.MjSpec) -> None:
    """Name the fingertips, let them collide with each other, for here they work side by side on one cube, and set the solver."""
    spec.option.iterations = spec.option.ls_iterations = _ITERATIONS
    spec.option.tolerance, spec.option.impratio = _TOLERANCE, _IMPRATIO
    for finger, body in zip(FINGERS, _TIP_BODIES, strict=True):
        geom = next(geom for geom in spec.body(body).geoms if geom.group == COLLISION_GROUP)
        geom.name = tip_geom(finger)
        contype, conaffinity = THUMB_MASK if finger == "thumb" else FINGER_MASK
        geom.contype, geom.conaffinity = contype | _TIP_BIT, conaffinity | _TIP_BIT


def add_cube(spec: mujoco.MjSpec) -> Any:
    """The cube's body at its place, still without joints; its sides have four colours."""
    body = spec.worldbody.add_body(name=CUBE, pos=CENTER_M)
    half = CUBE_SIDE_M / 2
    body.add_geom(
        name=CUBE, type=mujoco.mjtGeom.mjGEOM_BOX, size=[half] * 3, mass=CUBE_MASS_KG, group=OBJECT_GROUP, condim=4,
        friction=CUBE_FRICTION, contype=WORLD_MASK[0], conaffinity=WORLD_MASK[1], rgba=(0.93, 0.93, 0.90, 1.0),
    )  # fmt: skip
    for side, colour in enumerate(_FACES):
        across = side % 2
        place = [0.0, 0.0, 0.0]
        place[across] = (half + 0.0002) * (1.0 if side < 2 else -1.0)
        size = [0.85 * half] * 3
        size[across] = 0.0003
        add_visible(body, mujoco.mjtGeom.mjGEOM_BOX, tuple(size), tuple(place), (*colour, 1.0))
    return body

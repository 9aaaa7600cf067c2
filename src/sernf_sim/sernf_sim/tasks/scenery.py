"""What tasks put around the robot: table, lights, cameras, and geoms that only please the eye."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from sernf_robot.model import ARM_PREFIX, FLANGE_OFFSET_M, FLANGE_QUATERNION, VISUAL_GROUP, WORLD_MASK

OBJECT_GROUP = 1
"""Geoms of objects and table: always visible."""

TABLE_MIN_M = (-0.25, -0.65)
TABLE_MAX_M = (1.0, 0.65)

SHADOW_EXTENT_M = 2.0

CAMERAS = ("front", "wrist")
OVERVIEW = "overview"
"""A third camera, for people: the whole robot."""


def add_table_lights_and_cameras(spec: mujoco.MjSpec) -> None:
    """A table with its surface at height zero, a lamp, and the cameras `front`, `wrist` and `overview`."""
    world = spec.worldbody
    world.add_geom(
        name="table", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0.0, 0.0, 0.05], group=4,
        contype=WORLD_MASK[0], conaffinity=WORLD_MASK[1],
    )  # fmt: skip
    center = [(low + high) / 2 for low, high in zip(TABLE_MIN_M, TABLE_MAX_M, strict=True)]
    half = [(high - low) / 2 for low, high in zip(TABLE_MIN_M, TABLE_MAX_M, strict=True)]
    add_visible(world, mujoco.mjtGeom.mjGEOM_BOX, (*half, 0.02), (*center, -0.0205), (0.72, 0.66, 0.58, 1.0))
    add_visible(world, mujoco.mjtGeom.mjGEOM_BOX, (3.0, 3.0, 0.01), (0.5, 0.0, -0.8), (0.30, 0.33, 0.37, 1.0))
    spec.visual.headlight.ambient = [0.42, 0.42, 0.42]
    spec.visual.headlight.diffuse = [0.30, 0.30, 0.30]
    spec.visual.headlight.specular = [0.1, 0.1, 0.1]
    # Shadows are as fine as this is small; by default it would be the size of the floor.
    spec.stat.extent = SHADOW_EXTENT_M
    spec.visual.quality.shadowsize = 4096
    spec.visual.quality.offsamples = 8
    light = world.add_light(name="lamp", pos=[1.2, -0.8, 2.0], dir=[-0.4, 0.45, -1.0])
    light.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
    light.diffuse = [0.55, 0.55, 0.52]
    light.castshadow = True
    _add_sky(spec)
    front = world.add_camera(name="front", fovy=38.0)
    front.pos, front.quat = look_at((1.27, -0.40, 0.64), (0.57, -0.04, 0.11), (0.0, 0.0, 1.0))
    overview = world.add_camera(name=OVERVIEW, fovy=33.0)
    overview.pos, overview.quat = look_at((1.30, -1.28, 0.70), (0.36, -0.045, 0.28), (0.0, 0.0, 1.0))
    frame = spec.body(ARM_PREFIX + "fr3_link7").add_frame(pos=FLANGE_OFFSET_M, quat=FLANGE_QUATERNION)
    wrist = spec.body(ARM_PREFIX + "fr3_link7").add_camera(name="wrist", fovy=80.0)
    wrist.set_frame(frame)
    wrist.pos, wrist.quat = look_at((0.0, 0.13, 0.06), (0.0, 0.11, 0.30), (0.0, -1.0, 0.0))


def add_visible(
    body: Any, kind: Any, size: tuple[float, ...], position: tuple[float, ...], rgba: tuple[float, ...], **more: Any
) -> Any:
    """A geom without mass that touches nothing."""
    padded = [*size, 0.0, 0.0][:3]
    return body.add_geom(
        type=kind, size=padded, pos=position, rgba=rgba, contype=0, conaffinity=0, mass=0.0, group=VISUAL_GROUP, **more
    )


def look_at(
    eye_m: tuple[float, float, float], target_m: tuple[float, float, float], up: tuple[float, float, float]
) -> tuple[list[float], list[float]]:
    """Position and quaternion (wxyz) of a MuJoCo camera at `eye_m` that looks at `target_m`."""
    back = np.subtract(eye_m, target_m)
    back /= np.linalg.norm(back)
    right = np.cross(up, back)
    right /= np.linalg.norm(right)
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, np.column_stack([right, np.cross(back, right), back]).reshape(9))
    return list(eye_m), quaternion.tolist()


def _add_sky(spec: mujoco.MjSpec) -> None:
    spec.add_texture(
        name="sky", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX, builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.85, 0.88, 0.92], rgb2=[0.45, 0.50, 0.58], width=64, height=384,
    )  # fmt: skip

"""Duck: pick up a rubber duck that lies anywhere in front of the robot and put it into a bowl.

Success: the duck's centre is inside the bowl (within `BOWL_RADIUS_M` of its axis and below `IN_BOWL_HEIGHT_M`), slower than
`RESTING_SPEED_M_S`, and untouched by the robot, for `RESTING_TIME_S` without a break; what happens afterwards does not undo it.
Beyond saving: the duck has left the part of the table that the hand can reach. A duck that was dropped within reach may be picked
up again, so it ends nothing.
"""

from __future__ import annotations

import mujoco
import numpy as np

from sernf_robot.joints import HAND_JOINTS
from sernf_robot.model import ARM_PREFIX, HAND_PREFIX, WORLD_MASK
from sernf_sim.tasks.scenery import OBJECT_GROUP, add_table_lights_and_cameras, add_visible
from sernf_sim.tasks.task import JUDGE_PERIOD_S, Judgement

DUCK_X_M = (0.60, 0.70)
DUCK_Y_M = (0.02, 0.14)
BOWL_CENTER_M = (0.60, -0.24)
BOWL_SPREAD_M = 0.03

START_ARM_RAD = (-0.187, -0.102, -0.006, -2.788, -0.175, 3.741, 0.873)
"""The hand hovers before the duck's field, fingers forward and down."""
START_HAND_RAD = {
    "right_wrist": -0.054,
    "right_thumb_mcp": -0.035, "right_thumb_abd": -0.544, "right_thumb_pip": -0.598, "right_thumb_dip": -0.279,
    "right_index_abd": -0.367, "right_index_mcp": 0.118, "right_index_pip": 0.300,
    "right_middle_abd": 0.126, "right_middle_mcp": 0.118, "right_middle_pip": 0.300,
    "right_ring_abd": 0.344, "right_ring_mcp": 0.118, "right_ring_pip": 0.300,
    "right_pinky_abd": 0.143, "right_pinky_mcp": 0.118, "right_pinky_pip": 0.300,
}  # fmt: skip

DUCK_MASS_KG = 0.060
DUCK_HALF_AXES_M = (0.032, 0.025, 0.022)
DUCK_REST_HEIGHT_M = 0.022
BOWL_RADIUS_M = 0.09
IN_BOWL_HEIGHT_M = 0.06
RESTING_SPEED_M_S = 0.1
RESTING_TIME_S = 0.3
LIFTED_HEIGHT_M = 0.06
REACH_MIN_M = (0.30, -0.45)
REACH_MAX_M = (0.85, 0.40)

_YELLOW = (0.98, 0.82, 0.10, 1.0)
_ORANGE = (0.95, 0.45, 0.08, 1.0)
_BLACK = (0.05, 0.05, 0.05, 1.0)
_BLUE = (0.16, 0.38, 0.66, 1.0)
_BOWL_WALLS = 12
_BOWL_BASE_M = 0.063
_BOWL_TILT_RAD = 0.55


START, TOUCHED, LIFTED, ABOVE_BOWL, PLACED = range(5)


class DuckTask:
    """See the module's text. Objects: `duck` (origin at the body's centre) and `bowl` (origin on the table)."""

    name = "duck"
    objects: tuple[str, ...] = ("duck", "bowl")
    stages: tuple[str, ...] = ("start", "touched", "lifted", "above_bowl", "placed")
    time_limit_s = 20.0

    def __init__(self) -> None:
        self.start_position_rad = np.array([*START_ARM_RAD, *(START_HAND_RAD[name] for name in HAND_JOINTS)])
        self._stage = 0
        self._resting_s = 0.0

    def add_to(self, spec: mujoco.MjSpec) -> None:
        """Table, lights, cameras, duck and bowl."""
        add_table_lights_and_cameras(spec)
        _add_duck(spec)
        _add_bowl(spec)

    def bind(self, model: mujoco.MjModel) -> None:
        """Resolve names once."""
        self._duck = model.body("duck").id
        joint = model.joint("duck")
        self._duck_qpos = int(joint.qposadr[0])
        self._duck_dof = int(joint.dofadr[0])
        self._bowl_mocap = int(model.body("bowl").mocapid[0])
        self._body_of_geom = model.geom_bodyid
        self._is_robot = np.array([model.body(index).name.startswith((ARM_PREFIX, HAND_PREFIX)) for index in range(model.nbody)])

    def reset(self, data: mujoco.MjData, rng: np.random.Generator) -> None:
        """Duck anywhere in its field with any yaw, bowl about its place."""
        self._stage, self._resting_s = 0, 0.0
        yaw = rng.uniform(-np.pi, np.pi)
        position = (rng.uniform(*DUCK_X_M), rng.uniform(*DUCK_Y_M), DUCK_REST_HEIGHT_M + 0.001)
        data.qpos[self._duck_qpos : self._duck_qpos + 7] = (*position, np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2))
        data.mocap_pos[self._bowl_mocap, :2] = np.array(BOWL_CENTER_M) + rng.uniform(-BOWL_SPREAD_M, BOWL_SPREAD_M, 2)

    def measures(self) -> dict[str, float]:
        """None: the stage says it all."""
        return {}

    def judge(self, data: mujoco.MjData) -> Judgement:
        """Judge the present state; the stage only ever rises."""
        duck = data.xpos[self._duck]
        touched = self._touched(data)
        to_bowl_m = float(np.hypot(*(duck[:2] - data.mocap_pos[self._bowl_mocap, :2])))
        inside = to_bowl_m < BOWL_RADIUS_M and duck[2] < IN_BOWL_HEIGHT_M
        stage = TOUCHED if touched else START
        if touched and duck[2] > LIFTED_HEIGHT_M:
            stage = ABOVE_BOWL if to_bowl_m < BOWL_RADIUS_M else LIFTED
        speed_m_s = float(np.linalg.norm(data.qvel[self._duck_dof : self._duck_dof + 3]))
        resting = inside and not touched and speed_m_s < RESTING_SPEED_M_S
        self._resting_s = self._resting_s + JUDGE_PERIOD_S if resting else 0.0
        self._stage = max(self._stage, PLACED if self._resting_s >= RESTING_TIME_S else stage)
        success = self._stage == PLACED
        lost = bool((duck[:2] < REACH_MIN_M).any() or (duck[:2] > REACH_MAX_M).any())
        return Judgement(self.stages[self._stage], success, success or lost, "out_of_reach" if lost and not success else "")

    def _touched(self, data: mujoco.MjData) -> bool:
        bodies = self._body_of_geom[data.contact.geom]
        return bool((self._is_robot[bodies[:, ::-1]] & (bodies == self._duck)).any())


def _add_duck(spec: mujoco.MjSpec) -> None:
    duck = spec.worldbody.add_body(name="duck", pos=[0.6, 0.07, DUCK_REST_HEIGHT_M])
    duck.add_freejoint(name="duck")
    contact = {"contype": WORLD_MASK[0], "conaffinity": WORLD_MASK[1], "group": OBJECT_GROUP, "condim": 4}
    friction = [0.8, 0.005, 0.0002]
    kind = mujoco.mjtGeom
    for geom_kind, size, position, share in (
        (kind.mjGEOM_ELLIPSOID, DUCK_HALF_AXES_M, (0.0, 0.0, 0.0), 0.75),
        (kind.mjGEOM_SPHERE, (0.015, 0.0, 0.0), (0.016, 0.0, 0.028), 0.15),
        (kind.mjGEOM_CYLINDER, (0.018, 0.004, 0.0), (0.0, 0.0, -0.018), 0.10),
    ):
        duck.add_geom(
            type=geom_kind, size=size, pos=position, mass=DUCK_MASS_KG * share, rgba=_YELLOW, friction=friction, **contact
        )  # fmt: skip
    add_visible(duck, kind.mjGEOM_ELLIPSOID, (0.009, 0.007, 0.004), (0.032, 0.0, 0.026), _ORANGE)
    add_visible(duck, kind.mjGEOM_ELLIPSOID, (0.012, 0.014, 0.006), (-0.030, 0.0, 0.008), _YELLOW)
    for side in (-1.0, 1.0):
        add_visible(duck, kind.mjGEOM_SPHERE, (0.0032,), (0.026, side * 0.0085, 0.034), _BLACK)


def _add_bowl(spec: mujoco.MjSpec) -> None:
    bowl = spec.worldbody.add_body(name="bowl", mocap=True, pos=[*BOWL_CENTER_M, 0.0])
    contact = {"contype": WORLD_MASK[0], "conaffinity": WORLD_MASK[1], "group": OBJECT_GROUP, "rgba": _BLUE}
    bowl.add_geom(type=mujoco.mjtGeom.mjGEOM_CYLINDER, size=[_BOWL_BASE_M, 0.003, 0.0], pos=[0.0, 0.0, 0.003], **contact)
    half_height = 0.5 * (BOWL_RADIUS_M - _BOWL_BASE_M) / np.sin(_BOWL_TILT_RAD)
    middle_m = 0.5 * (BOWL_RADIUS_M + _BOWL_BASE_M)
    for wall in range(_BOWL_WALLS):
        angle = 2 * np.pi * wall / _BOWL_WALLS
        turn, tilt = np.zeros(4), np.zeros(4)
        mujoco.mju_axisAngle2Quat(turn, [0.0, 0.0, 1.0], angle)
        mujoco.mju_axisAngle2Quat(tilt, [0.0, 1.0, 0.0], _BOWL_TILT_RAD)
        quaternion = np.zeros(4)
        mujoco.mju_mulQuat(quaternion, turn, tilt)
        bowl.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[0.003, BOWL_RADIUS_M * np.tan(np.pi / _BOWL_WALLS), half_height],
            pos=[middle_m * np.cos(angle), middle_m * np.sin(angle), 0.004 + half_height * np.cos(_BOWL_TILT_RAD)],
            quat=quaternion,
            **contact,
        )

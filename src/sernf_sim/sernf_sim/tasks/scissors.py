"""Scissors: take scissors out of a holder, carry them to a tape that is stretched between two posts, and cut it.

Stages, each of which needs the one before: `grasped`, the hinge is `RAISED_M` above where it was and thumb and a finger touch the
scissors; `retrieved`, still held, the hinge is within `NEAR_TAPE_M` of the place above the tape from which it is cut; `aligned`,
the tape's middle is between the opened blades; `cut`, the blades close past `CUT_RAD` with the tape between them, which parts it.
Success: cut, still held, and the tape's ends `APART_M` apart. Beyond saving: the scissors have fallen.
"""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from sernf_robot.joints import HAND_JOINTS
from sernf_robot.model import HAND_PREFIX
from sernf_sim.tasks.scenery import add_table_lights_and_cameras
from sernf_sim.tasks.scissors_scene import (
    BLADE_M,
    CUT,
    HOLDER,
    OTHER_HALF,
    SCISSORS,
    SEATED_HINGE_M,
    SEATED_OPENING_RAD,
    TAPE,
    add_holder,
    add_scissors,
    add_tape,
    strip_name,
)
from sernf_sim.tasks.task import Judgement

HOLDER_CENTER_M, HOLDER_SPREAD_M = (0.62, 0.02), 0.04
HOLDER_YAW_RAD, HOLDER_YAW_SPREAD_RAD = -1.06, float(np.radians(20.0))
TAPE_CENTER_M, TAPE_SPREAD_M = (0.44, -0.22), 0.03
TAPE_YAW_RAD = -1.06 - np.pi / 2 - 0.35
"""Of the tape's direction; the scissors' opening then points as in the holder, turned with the arm."""

START_ARM_RAD = (1.162, 0.659, -0.448, -2.435, -1.258, 1.325, -0.806)
"""The hand waits before the holder, palm towards it."""
START_HAND_RAD = {
    "right_wrist": 0.0,
    "right_thumb_mcp": -0.394, "right_thumb_abd": -1.08, "right_thumb_pip": -0.532, "right_thumb_dip": -0.483,
    "right_index_abd": -0.265, "right_index_mcp": 0.306, "right_index_pip": 0.327,
    "right_middle_abd": 0.071, "right_middle_mcp": 0.306, "right_middle_pip": 0.327,
    "right_ring_abd": 0.351, "right_ring_mcp": 0.306, "right_ring_pip": 0.327,
    "right_pinky_abd": 0.234, "right_pinky_mcp": 0.706, "right_pinky_pip": -0.041,
}  # fmt: skip
HAND_OPEN_RAD = np.array([START_HAND_RAD[name] for name in HAND_JOINTS])

CUT_ALONG_M = 0.040
"""Where on the blades the tape is best cut, from the hinge."""
ABOVE_TAPE_M = 0.07
RAISED_M, NEAR_TAPE_M, APART_M = 0.09, 0.04, 0.01
CUT_RAD, WEDGE_MARGIN_M = 0.06, 0.002
FALLEN_M = 0.12
NOSLIP_ITERATIONS = 4

START, GRASPED, RETRIEVED, ALIGNED, PARTED = range(5)

Array = NDArray[np.float64]


class ScissorsTask:
    """See the module's text. Objects: both halves of the scissors (origin at the hinge) and `tape` (origin at its middle)."""

    name = "scissors"
    objects: tuple[str, ...] = (SCISSORS, OTHER_HALF, TAPE)
    stages: tuple[str, ...] = ("start", "grasped", "retrieved", "aligned", "cut")
    time_limit_s = 20.0

    def __init__(self) -> None:
        self.start_position_rad = np.array([*START_ARM_RAD, *(START_HAND_RAD[name] for name in HAND_JOINTS)])
        self._stage, self._opening_rad = START, SEATED_OPENING_RAD

    def add_to(self, spec: mujoco.MjSpec) -> None:
        """Table, lights, cameras, holder, scissors and tape."""
        # Without it a handle creeps out of the fingers.
        spec.option.noslip_iterations = NOSLIP_ITERATIONS
        add_table_lights_and_cameras(spec)
        add_holder(spec)
        add_scissors(spec)
        add_tape(spec)

    def bind(self, model: mujoco.MjModel) -> None:
        """Resolve names once."""
        self._scissors = np.array([model.body(name).id for name in (SCISSORS, OTHER_HALF)])
        self._qpos = int(model.joint(SCISSORS).qposadr[0])
        self._hinge_qpos = int(model.joint(OTHER_HALF).qposadr[0])
        self._holder, self._tape = (int(model.body(name).mocapid[0]) for name in (HOLDER, TAPE))
        self._ends = [model.site(strip_name(sign)).id for sign in (-1.0, 1.0)]
        self._whole = model.equality(CUT).id
        self._body_of_geom = model.geom_bodyid
        names = [model.body(index).name for index in range(model.nbody)]
        self._is_thumb = np.array([name.startswith(f"{HAND_PREFIX}right_thumb") for name in names])
        fingers = tuple(f"{HAND_PREFIX}right_{finger}" for finger in ("index", "middle", "ring", "pinky"))
        self._is_finger = np.array([name.startswith(fingers) for name in names])

    def reset(self, data: mujoco.MjData, rng: np.random.Generator) -> None:
        """Holder and tape about their places; the scissors in the holder, blades down."""
        self._stage = START
        yaw = HOLDER_YAW_RAD + rng.uniform(-HOLDER_YAW_SPREAD_RAD, HOLDER_YAW_SPREAD_RAD)
        place = np.array(HOLDER_CENTER_M) + rng.uniform(-HOLDER_SPREAD_M, HOLDER_SPREAD_M, 2)
        data.mocap_pos[self._holder, :2] = place
        data.mocap_quat[self._holder] = (np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2))
        data.mocap_pos[self._tape, :2] = np.array(TAPE_CENTER_M) + rng.uniform(-TAPE_SPREAD_M, TAPE_SPREAD_M, 2)
        data.mocap_quat[self._tape] = (np.cos(TAPE_YAW_RAD / 2), 0.0, 0.0, np.sin(TAPE_YAW_RAD / 2))
        along, opening = np.array([0.0, 0.0, -1.0]), np.array([np.cos(yaw), np.sin(yaw), 0.0])
        frame = np.column_stack([along, opening, np.cross(along, opening)]) @ _turn(SEATED_OPENING_RAD / 2)
        quaternion = np.zeros(4)
        mujoco.mju_mat2Quat(quaternion, frame.reshape(9))
        data.qpos[self._qpos : self._qpos + 7] = (*place, SEATED_HINGE_M, *quaternion)
        data.qpos[self._hinge_qpos] = self._opening_rad = SEATED_OPENING_RAD

    def measures(self) -> dict[str, float]:
        """None: the stage says it all."""
        return {}

    def judge(self, data: mujoco.MjData) -> Judgement:
        """Judge the present state, and part the tape when it is cut; the stage only ever rises, one by one."""
        hinge = data.xpos[self._scissors[0]]
        held = self._touched(data, self._is_thumb) and self._touched(data, self._is_finger)
        opening, before = float(data.qpos[self._hinge_qpos]), self._opening_rad
        self._opening_rad = opening
        between = self._tape_between(data, max(opening, CUT_RAD))
        tape = data.mocap_pos[self._tape]
        above = tape + np.array([0.0, 0.0, CUT_ALONG_M + ABOVE_TAPE_M])
        apart_m = float(np.linalg.norm(np.diff(data.site_xpos[self._ends], axis=0)))
        if self._stage == START and held and hinge[2] > SEATED_HINGE_M + RAISED_M:
            self._stage = GRASPED
        elif self._stage == GRASPED and held and np.linalg.norm(hinge - above) < NEAR_TAPE_M:
            self._stage = RETRIEVED
        elif self._stage == RETRIEVED and held and between and opening > CUT_RAD:
            self._stage = ALIGNED
        if self._stage == ALIGNED and between and before > CUT_RAD >= opening:
            data.eq_active[self._whole] = False
        is_cut = not data.eq_active[self._whole]
        if self._stage == ALIGNED and is_cut and held and apart_m > APART_M:
            self._stage = PARTED
        success = self._stage == PARTED
        fallen = bool(hinge[2] < FALLEN_M)
        return Judgement(self.stages[self._stage], success, success or fallen, "dropped" if fallen and not success else "")

    def _tape_between(self, data: mujoco.MjData, opening_rad: float) -> bool:
        """Whether the middle of the tape lies in the wedge of blades opened so far."""
        frame = data.xmat[self._scissors[0]].reshape(3, 3) @ _turn(-float(data.qpos[self._hinge_qpos]) / 2)
        middle = 0.5 * (data.site_xpos[self._ends[0]] + data.site_xpos[self._ends[1]])
        along, across, beside = frame.T @ (middle - data.xpos[self._scissors[0]])
        inside = BLADE_M[0] < along < BLADE_M[1] and abs(across) < along * np.tan(opening_rad / 2) + WEDGE_MARGIN_M
        return bool(inside and abs(beside) < 0.05)

    def _touched(self, data: mujoco.MjData, part: NDArray[np.bool_]) -> bool:
        bodies = self._body_of_geom[data.contact.geom]
        return bool((part[bodies[:, ::-1]] & np.isin(bodies, self._scissors)).any())


def _turn(angle_rad: float) -> Array:
    """Rotation (3, 3) about z."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])

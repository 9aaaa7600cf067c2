"""Cube: turn a cube of 5 cm about the vertical, palm down, held in the air by the fingertips alone.

The cube stands on a small table below the palm, as if somebody held it up, until three fingertips press on its sides, or until
nobody has done so for long enough; then the table sinks away at 3 cm a second. Success: a minute from then on without a drop, and
at least one full turn. Only rotation while at least three fingertips touch the cube's sides
counts; see `cube_rotation`. Beyond saving: the cube is dropped, has left the hand or has toppled.
"""

from __future__ import annotations

import mujoco
import numpy as np

from sernf_robot.joints import HAND_JOINTS
from sernf_robot.model import WORLD_MASK
from sernf_sim.tasks.cube_rotation import MIN_FINGERTIPS, RotationCount, dropped
from sernf_sim.tasks.cube_scene import ARM_RAD, CENTER_M, CUBE, CUBE_SIDE_M, FINGERS, add_cube, prepare_hand, tip_geom
from sernf_sim.tasks.scenery import OBJECT_GROUP, add_table_lights_and_cameras
from sernf_sim.tasks.task import JUDGE_PERIOD_S, Judgement

EPISODE_S = 60.0
TOUCH_N = 0.05
YAW_SPREAD_RAD = 0.05
PLACE_SPREAD_M = 0.001

WRIST_RAD = -0.15
"""Reference angle of the wrist, at which the teacher's hand is fixed."""
START_HAND_RAD = (
    -0.610, -0.609, 0.859, 0.953,
    -0.702, 1.430, 0.054,
    0.167, 0.799, 1.085,
    0.605, 0.816, 1.329,
    0.472, 1.508, 0.026,
)  # fmt: skip
"""One of the teacher's grasps, opened a little so that nothing presses; joints of the hand without the wrist."""
START_OFFSET_M, START_YAW_RAD = (-0.0014, 0.002, 0.0), 0.205
"""Of the cube in that grasp."""

STAND_RADIUS_M, STAND_HALF_M = 0.012, 0.01
STAND_MASS_KG, STAND_DAMPING = 0.2, 65.0
"""It sinks by its weight against this damping (N s/m): 3 cm a second."""
STAND_DEPTH_M = 0.15
LONGEST_WAIT_S = 10.0

HELD, TURNING, TURNED, MINUTE = range(4)


class CubeTask:
    """See the module's text. Object: `cube`, origin at its centre."""

    name = "cube"
    objects: tuple[str, ...] = (CUBE,)
    stages: tuple[str, ...] = ("held", "quarter", "turned", "minute")
    time_limit_s = LONGEST_WAIT_S + EPISODE_S + 1.0

    def __init__(self) -> None:
        self.start_position_rad = np.array([*ARM_RAD, WRIST_RAD, *START_HAND_RAD])
        self.rotation = RotationCount(0.0)
        self._stage = HELD
        self._released_s: float | None = None
        if len(self.start_position_rad) != len(ARM_RAD) + len(HAND_JOINTS):
            raise ValueError(f"expected {len(HAND_JOINTS) - 1} joints of the hand, got {len(START_HAND_RAD)}")

    def add_to(self, spec: mujoco.MjSpec) -> None:
        """Table, lights, cameras, cube, and the stand that sinks."""
        add_table_lights_and_cameras(spec)
        prepare_hand(spec)
        add_cube(spec).add_freejoint(name=CUBE)
        _add_stand(spec)

    def bind(self, model: mujoco.MjModel) -> None:
        """Resolve names once."""
        self._model = model
        self._cube = model.body(CUBE).id
        self._cube_geom = model.geom(CUBE).id
        self._tips = {model.geom(tip_geom(finger)).id: number for number, finger in enumerate(FINGERS)}
        self._cube_qpos = int(model.joint(CUBE).qposadr[0])
        self._stand_qpos = int(model.joint("stand").qposadr[0])
        self._stand_held = model.equality("stand").id

    def reset(self, data: mujoco.MjData, rng: np.random.Generator) -> None:
        """The cube on its stand between the fingers, a little differently each time."""
        self._stage = HELD
        yaw = START_YAW_RAD + rng.uniform(-YAW_SPREAD_RAD, YAW_SPREAD_RAD)
        offset = np.array(START_OFFSET_M)
        offset[:2] += rng.uniform(-PLACE_SPREAD_M, PLACE_SPREAD_M, 2)
        position = np.array(CENTER_M) + offset
        data.qpos[self._cube_qpos : self._cube_qpos + 7] = (*position, np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2))
        data.qpos[self._stand_qpos] = offset[2]
        self._released_s = None
        self.rotation = RotationCount(yaw)

    def judge(self, data: mujoco.MjData) -> Judgement:
        """Judge the present state, and let the stand sink when its time has come; the stage only ever rises."""
        frame = data.xmat[self._cube].reshape(3, 3)
        yaw = float(np.arctan2(frame[1, 0], frame[0, 0]))
        forces = self.side_forces(data)
        if self._released_s is None and (len(forces) >= MIN_FINGERTIPS or data.time >= LONGEST_WAIT_S):
            self._released_s = float(data.time)
            data.eq_active[self._stand_held] = False
        if self._released_s is not None:
            self.rotation.update(yaw, forces, JUDGE_PERIOD_S)
        counted = self.rotation.counted_rad
        stage = TURNED if counted >= 2 * np.pi else TURNING if counted >= np.pi / 2 else HELD
        lost = bool(dropped(data.xpos[self._cube] - CENTER_M, float(np.arccos(np.clip(frame[2, 2], -1.0, 1.0)))))
        if stage == TURNED and not lost and self._released_s is not None and data.time - self._released_s >= EPISODE_S:
            stage = MINUTE
        self._stage = max(self._stage, stage)
        success = self._stage == MINUTE
        return Judgement(self.stages[self._stage], success, success or lost, "dropped" if lost and not success else "")

    def measures(self) -> dict[str, float]:
        """What `cube_rotation.rotation_report` takes of the running episode."""
        return self.rotation.measures()

    def side_forces(self, data: mujoco.MjData) -> list[float]:
        """Force (N) of each fingertip that presses on the cube's sides."""
        frame = data.xmat[self._cube].reshape(3, 3)
        force, found = np.zeros(6), dict[int, float]()
        for index in range(data.ncon):
            contact = data.contact[index]
            tip = next((int(geom) for geom in contact.geom if int(geom) in self._tips), -1)
            if tip < 0 or self._cube_geom not in contact.geom:
                continue
            normal = frame.T @ contact.frame[:3]
            mujoco.mj_contactForce(self._model, data, index, force)
            if abs(normal[2]) < np.hypot(normal[0], normal[1]):
                found[tip] = found.get(tip, 0.0) + float(np.linalg.norm(force[:3]))
        return [newton for newton in found.values() if newton > TOUCH_N]


def _add_stand(spec: mujoco.MjSpec) -> None:
    top = CENTER_M[2] - CUBE_SIDE_M / 2
    stand = spec.worldbody.add_body(name="stand", pos=[*CENTER_M[:2], top - STAND_HALF_M])
    stand.add_joint(
        name="stand", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0.0, 0.0, 1.0], damping=STAND_DAMPING, range=[-STAND_DEPTH_M, 0.02],
        limited=True,
    )  # fmt: skip
    stand.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER, size=[STAND_RADIUS_M, STAND_HALF_M, 0.0], mass=STAND_MASS_KG, group=OBJECT_GROUP,
        contype=0, conaffinity=WORLD_MASK[0], rgba=(0.45, 0.47, 0.50, 1.0),
    )  # fmt: skip
    held = spec.add_equality(name="stand", type=mujoco.mjtEq.mjEQ_JOINT, name1="stand")
    held.data[:5] = 0.0

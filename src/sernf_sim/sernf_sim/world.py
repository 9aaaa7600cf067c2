"""The simulated world: robot, scene and sensors in MuJoCo, one object, no ROS.

Time advances only in `step`. Everything that can be seen of the world (`joint_position`, `object_poses`, ...) was measured at the
end of the last step, with the noise and the delays of the chosen physics; the same seed and the same commands give the same
trajectory. Fails with ValueError for a step that is no multiple of the physics step and for commands that are not finite.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sernf_robot.joints import ARM_JOINTS, JOINTS
from sernf_robot.model import Visual, build_robot_spec, robot_index
from sernf_sim.physics import Physics
from sernf_sim.tasks import Task, TaskStatus, make_task
from sernf_sim.tasks.task import JUDGE_PERIOD_S

FloatArray = NDArray[np.float64]
Pose = tuple[FloatArray, FloatArray]
"""Position (3,) m and unit quaternion (4,) wxyz in `fr3_link0`."""

ESTIMATE_PERIOD_S = 0.02
"""Object poses are estimated at 50 Hz of simulated time."""


@dataclass(frozen=True)
class FullState:
    """All that a renderer needs: `qpos` (nq,), `mocap` (nmocap * 7,) position (m) and quaternion (wxyz), simulated time."""

    task: str
    seed: int
    time_s: float
    qpos: FloatArray
    mocap: FloatArray


def compile_world(task: Task, *, visual: Visual = "none") -> mujoco.MjModel:
    """Robot and scene as one model; its qpos does not depend on `visual`."""
    spec = build_robot_spec(visual=visual)
    task.add_to(spec)
    model = spec.compile()
    task.bind(model)
    return model


class SimWorld:
    """One task's world. Not for use from several threads at once."""

    def __init__(self, task: str, physics: Physics, seed: int) -> None:
        self.task = make_task(task)
        self.physics = physics
        self._model = compile_world(self.task)
        self._data = mujoco.MjData(self._model)
        index = robot_index(self._model)
        self._qpos, self._dof, self._actuator = index.qpos, index.dof, index.actuator
        self._bodies = np.array([self._model.body(name).id for name in self.task.objects])
        self._position_rad: FloatArray = np.zeros(len(JOINTS))
        self._velocity_rad_s: FloatArray = np.zeros(len(JOINTS))
        self._apply_physics()
        self.reset(seed)

    @property
    def physics_step_s(self) -> float:
        """Simulated time of one physics step; `step` takes multiples of it."""
        return float(self._model.opt.timestep)

    def reset(self, seed: int) -> None:
        """Draw a new scene and put the robot at rest at the task's start pose; the same seed gives the same scene."""
        self.seed = seed
        scene_rng, self._rng = (np.random.default_rng([seed, stream]) for stream in range(2))
        data = self._data
        mujoco.mj_resetData(self._model, data)
        data.qpos[self._qpos] = data.ctrl[self._actuator] = self.task.start_position_rad
        self.task.reset(data, scene_rng)
        mujoco.mj_forward(self._model, data)
        bias = self.physics.object_position_bias_m
        self._bias_m = self._rng.normal(0.0, 1.0, (len(self._bodies), 3)) * bias
        self._commands: deque[tuple[float, FloatArray]] = deque()
        self._estimates: deque[tuple[float, dict[str, Pose]]] = deque()
        self._next_judgement_s = self._next_estimate_s = 0.0
        self._observe()

    def step(self, target_position_rad: ArrayLike, duration_s: float) -> None:
        """Advance by `duration_s` with joint targets (24,) rad, which arrive after the physics' command delay."""
        steps = round(duration_s / self._model.opt.timestep)
        if steps < 1 or abs(steps * self._model.opt.timestep - duration_s) > 1e-9:
            raise ValueError(f"duration_s: expected a multiple of {self._model.opt.timestep} s, got {duration_s}")
        target = np.array(target_position_rad, dtype=np.float64)
        if target.shape != (len(JOINTS),) or not np.isfinite(target).all():
            raise ValueError(f"target_position_rad: expected {len(JOINTS)} finite numbers, got {target}")
        data = self._data
        self._commands.append((data.time + self.physics.command_delay_s, target))
        while self._commands and self._commands[0][0] <= data.time + 1e-9:
            data.ctrl[self._actuator] = self._commands.popleft()[1]
        mujoco.mj_step(self._model, data, nstep=steps)
        self._observe()

    def joint_position(self) -> FloatArray:
        """Measured joint positions (24,) rad."""
        return self._position_rad.copy()

    def joint_velocity(self) -> FloatArray:
        """Measured joint velocities (24,) rad/s."""
        return self._velocity_rad_s.copy()

    def object_poses(self) -> dict[str, Pose]:
        """The newest estimate of each object's pose that has come through the estimator's delay."""
        return dict(self._estimates[0][1])

    def full_state(self) -> FullState:
        """The true state, for renderers and analysis only."""
        data = self._data
        mocap = np.concatenate([data.mocap_pos, data.mocap_quat], axis=1).reshape(-1)
        return FullState(self.task.name, self.seed, float(data.time), data.qpos.copy(), mocap)

    def judge(self) -> TaskStatus:
        """How the task stands; looked at every 20 ms of simulated time."""
        seen = self._judgement
        return TaskStatus(seen.stage, seen.success, seen.done, seen.failure, float(self._data.time))

    def _apply_physics(self) -> None:
        model, physics = self._model, self.physics
        model.geom_friction[:] *= physics.friction_scale
        for body in self._bodies:
            model.body_mass[body] *= physics.object_mass_scale
            model.body_inertia[body] *= physics.object_mass_scale
        gain = np.full(len(JOINTS), physics.hand_gain_scale)
        gain[: len(ARM_JOINTS)] = physics.arm_gain_scale
        model.actuator_gainprm[self._actuator, 0] *= gain
        model.actuator_biasprm[self._actuator, 1] *= gain
        model.actuator_biasprm[self._actuator, 2] *= np.sqrt(gain)
        model.dof_damping[self._dof[len(ARM_JOINTS) :]] *= physics.hand_damping_scale
        mujoco.mj_setConst(model, self._data)

    def _observe(self) -> None:
        data, physics = self._data, self.physics
        noise = self._rng.standard_normal((2, len(JOINTS)))
        self._position_rad = data.qpos[self._qpos] + physics.joint_position_noise_rad * noise[0]
        self._velocity_rad_s = data.qvel[self._dof] + physics.joint_velocity_noise_rad_s * noise[1]
        # Half a physics step of tolerance keeps rounding from moving a look to the next step.
        now_s = float(data.time) + 0.5 * self._model.opt.timestep
        if now_s >= self._next_judgement_s:
            self._judgement = self.task.judge(data)
            self._next_judgement_s += JUDGE_PERIOD_S
        if now_s >= self._next_estimate_s:
            self._estimates.append((float(data.time), self._estimate()))
            self._next_estimate_s += ESTIMATE_PERIOD_S
        while len(self._estimates) > 1 and self._estimates[1][0] + physics.object_delay_s <= now_s:
            self._estimates.popleft()

    def _estimate(self) -> dict[str, Pose]:
        physics = self.physics
        noise = self._rng.standard_normal((len(self._bodies), 2, 3))
        poses = {}
        for row, (name, body) in enumerate(zip(self.task.objects, self._bodies, strict=True)):
            quaternion = self._data.xquat[body].copy()
            mujoco.mju_quatIntegrate(quaternion, noise[row, 1], physics.object_rotation_noise_rad)
            position = self._data.xpos[body] + self._bias_m[row] + physics.object_position_noise_m * noise[row, 0]
            poses[name] = (position, quaternion)
        return poses

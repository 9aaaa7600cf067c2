"""Many copies of hand and cube, each with its own physics, advanced together by `mujoco.rollout` on several threads.

A copy's state is a row of MuJoCo's full physics state; nothing is kept between calls, so the same rows and commands give the same
result whatever the number of threads. Copies that blow up are reported, never silently reset.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import mujoco
import mujoco.rollout
import numpy as np
from numpy.typing import NDArray

from sernf_sim.tasks.cube_scene import CUBE_MASS_KG, CUBE_SIDE_M
from sernf_teacher.cube_model import CONTROL_PERIOD_S, JOINTS, CubeModel, build_model
from sernf_teacher.randomisation import Draw

Floats = NDArray[np.float64]

GRAVITY_M_S2 = 9.81
LARGEST_SPEED = 200.0
"""m/s or rad/s; a copy that is faster has blown up."""
_SOLREF_STEPS = 2.0
"""Contacts are as stiff as the step allows: a time constant of two steps."""


@dataclass(frozen=True, kw_only=True)
class Help:
    """What helps a beginner: springs that hold the cube (N/m, N m/rad), viscosity (N s/m), and less gravity (share)."""

    lift_n_m: float = 0.0
    sideways_n_m: float = 0.0
    upright_nm_rad: float = 0.0
    viscosity_n_s_m: float = 0.0
    gravity: float = 1.0


ON_STAND = Help(viscosity_n_s_m=4.0, gravity=0.0)
"""A cube that stands on something until it is held; nothing lifts it, nor moves it aside."""

_LEVER_M2 = 4e-4
"""Viscosity against rotation for one against translation: as for a body of 2 cm radius."""


@dataclass(frozen=True)
class Advanced:
    """After a step: `state` (n, s), `force_n` (n, 5) of each tip on the cube, mean over the step, `other_n` (n,) of the rest
    of the hand, `lift_n` (n,) vertical force of the whole hand, `start_m`, `end_m` (n, 5, 3) of the tips' axes, `broken` (n,)
    blown up.
    """

    state: Floats
    force_n: Floats
    other_n: Floats
    lift_n: Floats
    start_m: Floats
    end_m: Floats
    broken: NDArray[np.bool_]


class CubeBatch:
    """`count` copies on `threads` threads, physics steps of `step_s`."""

    def __init__(self, count: int, *, threads: int = 1, step_s: float = 0.005) -> None:
        base = build_model()
        self.cube = CubeModel(base)
        self.models = [copy.copy(base) for _ in range(count)]
        self._base = base
        self._scratch = mujoco.MjData(base)
        self._data = [mujoco.MjData(base) for _ in range(max(threads, 1))]
        self._pool = mujoco.rollout.Rollout(nthread=threads if threads > 1 else 0)
        self.set_step(step_s)

    @property
    def count(self) -> int:
        """Of copies."""
        return len(self.models)

    @property
    def substeps(self) -> int:
        """Physics steps in a control step."""
        return round(CONTROL_PERIOD_S / self.step_s)

    def close(self) -> None:
        """End the threads."""
        self._pool.close()

    def set_step(self, step_s: float) -> None:
        """Physics step of all copies; contacts become as stiff as it allows. Raises ValueError unless it divides 50 ms."""
        if abs(round(CONTROL_PERIOD_S / step_s) * step_s - CONTROL_PERIOD_S) > 1e-9:
            raise ValueError(f"step_s: expected a divisor of {CONTROL_PERIOD_S} s, got {step_s}")
        self.step_s = step_s
        for model in self.models:
            model.opt.timestep = step_s
            model.geom_solref[self.cube.skin, 0] = _SOLREF_STEPS * step_s

    def set_help(self, help_: Help, rows: NDArray[np.intp] | None = None) -> None:
        """The same help for all copies, or for `rows`."""
        slides, hinges = self.cube.slides, self.cube.hinges
        upright = (help_.upright_nm_rad,) * 2
        stiffness = np.array([help_.sideways_n_m, help_.sideways_n_m, help_.lift_n_m, 0.0, *upright])
        for row in range(self.count) if rows is None else rows:
            model = self.models[row]
            model.opt.gravity[2] = -GRAVITY_M_S2 * help_.gravity
            model.jnt_stiffness[slides[0] : hinges[-1] + 1] = stiffness
            model.dof_damping[slides] = help_.viscosity_n_s_m
            model.dof_damping[hinges] = help_.viscosity_n_s_m * _LEVER_M2

    def set_physics(self, rows: NDArray[np.intp], draw: Draw) -> None:
        """Give copies `rows` what was drawn for them, row by row."""
        cube, base = self.cube, self._base
        for number, row in enumerate(rows):
            model = self.models[row]
            side, mass = CUBE_SIDE_M * draw.size_scale[number], CUBE_MASS_KG * draw.mass_scale[number]
            model.geom_size[cube.cube_geom] = side / 2
            model.geom_rbound[cube.cube_geom] = side / 2 * np.sqrt(3.0)
            model.body_mass[cube.cube_body] = mass
            model.body_inertia[cube.cube_body] = mass * side**2 / 6.0
            model.geom_friction[cube.skin] = base.geom_friction[cube.skin] * draw.friction_scale[number]
            gain = draw.stiffness_scale[number]
            model.actuator_gainprm[:, 0] = base.actuator_gainprm[:, 0] * gain
            model.actuator_biasprm[:, 1] = base.actuator_biasprm[:, 1] * gain
            model.dof_damping[:JOINTS] = base.dof_damping[:JOINTS] * draw.damping_scale[number]
            mujoco.mj_setConst(model, self._scratch)

    def tips_at(self, state: Floats) -> tuple[Floats, Floats]:
        """Ends of the tips' axes (n, 5, 3) m in states (n, s) that have not been advanced yet."""
        model, data = self._base, self._scratch
        sensors = np.zeros((len(state), model.nsensordata))
        for row, qpos in enumerate(state[:, self.cube.qpos]):
            data.qpos[:] = qpos
            mujoco.mj_kinematics(model, data)
            mujoco.mj_sensorPos(model, data)
            sensors[row] = data.sensordata
        return self.cube.tips(sensors)

    def advance(self, state: Floats, targets: Floats, rows: slice = slice(None)) -> Advanced:
        """One control step, or as many physics steps as `targets` (n, steps, 16) rad has; `state` (n, s) of copies `rows`."""
        models = self.models[rows]
        states, sensors = self._pool.rollout(models, self._data, state, targets, skip_checks=False)
        last = states[:, -1]
        broken = ~(np.abs(last[:, self.cube.qvel]) < LARGEST_SPEED).all(-1) | ~np.isfinite(last).all(-1)
        if broken.any():
            last[broken] = state[broken]
            sensors[broken] = 0.0
        start, end = self.cube.tips(sensors[:, -1])
        tips, hand = self.cube.forces(sensors)
        other = np.linalg.norm(hand - tips.sum(-2), axis=-1).mean(-1)
        return Advanced(last, np.linalg.norm(tips, axis=-1).mean(1), other, hand[..., 2].mean(1), start, end, broken)

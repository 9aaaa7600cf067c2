"""A full state of the world, checked and put on a model, for whatever draws it.

Fails with ValueError for a state of another task or version and for numbers that are not finite; the data is then unchanged.
"""

from __future__ import annotations

import mujoco
import numpy as np

from sernf_sim.world import FullState


def put_state(model: mujoco.MjModel, data: mujoco.MjData, task: str, state: FullState) -> None:
    """Make `data` of `task`'s `model` show `state`: positions, poses of all bodies, geoms, cameras and lights, contacts."""
    expected, got = (task, model.nq, 7 * model.nmocap), (state.task, state.qpos.size, state.mocap.size)
    if expected != got:
        raise ValueError(
            f"expected a state of task '{expected[0]}' with {expected[1]} positions and {expected[2]} mocap numbers, "
            f"got task '{got[0]}' with {got[1]} and {got[2]}; what draws and the simulation must come from the same version"
        )
    if not (np.isfinite(state.qpos).all() and np.isfinite(state.mocap).all()):
        raise ValueError("expected a finite state, got NaN or infinity; the simulation has diverged, reset it")
    data.time = state.time_s
    data.qpos[:] = state.qpos
    mocap = state.mocap.reshape(-1, 7)
    data.mocap_pos[:], data.mocap_quat[:] = mocap[:, :3], mocap[:, 3:]
    # Not mj_forward: without velocities and commands its forces would be wrong.
    mujoco.mj_fwdPosition(model, data)

"""Pictures of the world from its full state, by MuJoCo's off-screen renderer on the CPU or a GPU.

Rendering belongs into a process of its own, never beside a control loop. A frame's cost lies in the triangles, not in the pixels,
and shadows cost many times as much: cameras use light meshes without shadows. Fails with `RenderError`, which says what to do.
"""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from sernf_robot.model import COLLISION_GROUP, VISUAL_GROUP, Visual
from sernf_sim.graphics import OffscreenPicture, RenderError
from sernf_sim.tasks import make_task
from sernf_sim.tasks.scenery import CAMERAS, OBJECT_GROUP, OVERVIEW
from sernf_sim.world import FullState, compile_world

__all__ = ["RenderError", "WorldRenderer"]


class WorldRenderer:
    """Renders one task's world. Opens a graphics context at once: `close` it, or use it as a context manager."""

    def __init__(
        self, task: str, *, width_px: int = 128, height_px: int = 128, visual: Visual = "light", shadows: bool = False
    ) -> None:
        self.task = task
        self._model = compile_world(make_task(task), visual=visual)
        self._data = mujoco.MjData(self._model)
        self._picture = OffscreenPicture(self._model, width_px, height_px, shadows=shadows)
        self._options = mujoco.MjvOption()
        self._options.geomgroup[:] = 0
        self._options.geomgroup[[OBJECT_GROUP, VISUAL_GROUP]] = 1
        self._options.sitegroup[:] = 0
        self._drawn: FullState | None = None
        if visual != "full":
            self._show_hand_shapes()

    def render(self, state: FullState, camera: str) -> NDArray[np.uint8]:
        """The picture (height, width, 3) of `camera` in `state`; raises RenderError for another task's state or camera."""
        if camera not in (*CAMERAS, OVERVIEW):
            raise RenderError(f"unknown camera '{camera}'; known cameras: {', '.join((*CAMERAS, OVERVIEW))}")
        if state is not self._drawn:
            self._set(state)
        return self._picture.take(self._data, camera, self._options)

    def close(self) -> None:
        """Release the graphics context. Idempotent."""
        self._picture.close()

    def __enter__(self) -> WorldRenderer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _set(self, state: FullState) -> None:
        data = self._data
        expected, got = (self.task, data.qpos.size, 7 * self._model.nmocap), (state.task, state.qpos.size, state.mocap.size)
        if expected != got:
            raise RenderError(
                f"expected a state of task '{expected[0]}' with {expected[1]} positions and {expected[2]} mocap numbers, "
                f"got task '{got[0]}' with {got[1]} and {got[2]}; camera and simulation must come from the same version"
            )
        if not (np.isfinite(state.qpos).all() and np.isfinite(state.mocap).all()):
            raise RenderError("expected a finite state, got NaN or infinity; the simulation has diverged, reset it")
        data.qpos[:] = state.qpos
        mocap = state.mocap.reshape(-1, 7)
        data.mocap_pos[:], data.mocap_quat[:] = mocap[:, :3], mocap[:, 3:]
        mujoco.mj_kinematics(self._model, data)
        mujoco.mj_comPos(self._model, data)
        mujoco.mj_camlight(self._model, data)
        self._drawn = state

    def _show_hand_shapes(self) -> None:
        """The hand's meshes have a quarter of a million triangles: its primitives stand in for them."""
        for geom in range(self._model.ngeom):
            if self._model.geom_group[geom] == COLLISION_GROUP and self._model.body(
                self._model.geom_bodyid[geom]
            ).name.startswith("hand_"):
                self._model.geom_group[geom] = VISUAL_GROUP
                self._model.geom_rgba[geom] = (0.16, 0.17, 0.19, 1.0)

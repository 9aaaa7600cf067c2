"""Pictures of the world from its full state, by MuJoCo's off-screen renderer on the CPU or a GPU.

Rendering belongs into a process of its own, never beside a control loop. A frame's cost lies in the triangles, not in the pixels,
and shadows and smooth edges cost many times as much: cameras have light meshes and neither. Fails with `RenderError`, which says
what to do.
"""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from sernf_robot.model import COLLISION_GROUP, VISUAL_GROUP, Visual
from sernf_sim.graphics import OffscreenPicture, RenderError
from sernf_sim.shown_state import put_state
from sernf_sim.tasks import make_task
from sernf_sim.tasks.scenery import CAMERAS, OBJECT_GROUP, OVERVIEW
from sernf_sim.world import FullState, compile_world

__all__ = ["RenderError", "WorldRenderer"]


class WorldRenderer:
    """Renders one task's world. Opens a graphics context at once: `close` it, or use it as a context manager."""

    def __init__(
        self, task: str, *, width_px: int = 128, height_px: int = 128, visual: Visual = "light", fine: bool = False
    ) -> None:
        self.task = task
        self._model = compile_world(make_task(task), visual=visual)
        self._data = mujoco.MjData(self._model)
        self._picture = OffscreenPicture(self._model, width_px, height_px, fine=fine)
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
        try:
            put_state(self._model, self._data, self.task, state)
        except ValueError as error:
            raise RenderError(str(error)) from error
        self._drawn = state

    def _show_hand_shapes(self) -> None:
        """The hand's meshes have a quarter of a million triangles: its primitives stand in for them."""
        for geom in range(self._model.ngeom):
            if self._model.geom_group[geom] == COLLISION_GROUP and self._model.body(
                self._model.geom_bodyid[geom]
            ).name.startswith("hand_"):
                self._model.geom_group[geom] = VISUAL_GROUP
                self._model.geom_rgba[geom] = (0.16, 0.17, 0.19, 1.0)

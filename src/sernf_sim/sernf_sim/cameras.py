"""Pictures of the world from its full state, by MuJoCo's off-screen renderer on the CPU or a GPU.

Rendering belongs into a process of its own, never beside a control loop. Tries EGL first, then OSMesa, unless `MUJOCO_GL` says
which; fails with `RenderError`, which says what to install. A frame's cost lies in the triangles, not in the pixels, and shadows
cost many times as much: cameras use light meshes without shadows.
"""

from __future__ import annotations

import os
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from sernf_robot.model import COLLISION_GROUP, VISUAL_GROUP, Visual
from sernf_sim.tasks import make_task
from sernf_sim.tasks.scenery import CAMERAS, OBJECT_GROUP
from sernf_sim.world import FullState, compile_world

BACKENDS = ("egl", "osmesa")


class RenderError(RuntimeError):
    """No picture can be made; the message says why and what to install."""


class WorldRenderer:
    """Renders one task's world. Opens a graphics context at once: `close` it, or use it as a context manager."""

    def __init__(
        self, task: str, *, width_px: int = 128, height_px: int = 128, visual: Visual = "light", shadows: bool = False
    ) -> None:
        self.task = task
        self._model = compile_world(make_task(task), visual=visual)
        self._model.vis.global_.offwidth = max(width_px, 1)
        self._model.vis.global_.offheight = max(height_px, 1)
        self._data = mujoco.MjData(self._model)
        self._renderer = open_renderer(self._model, width_px, height_px)
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = shadows
        self._options = mujoco.MjvOption()
        self._options.geomgroup[:] = 0
        self._options.geomgroup[[OBJECT_GROUP, VISUAL_GROUP]] = 1
        self._options.sitegroup[:] = 0
        self._drawn: FullState | None = None
        if visual != "full":
            self._show_hand_shapes()

    def render(self, state: FullState, camera: str) -> NDArray[np.uint8]:
        """The picture (height, width, 3) of `camera` in `state`; raises RenderError for another task's state or camera."""
        if camera not in CAMERAS:
            raise RenderError(f"unknown camera '{camera}'; known cameras: {', '.join(CAMERAS)}")
        if state is not self._drawn:
            self._set(state)
        self._renderer.update_scene(self._data, camera, self._options)
        return np.array(self._renderer.render())

    def close(self) -> None:
        """Release the graphics context. Idempotent."""
        self._renderer.close()

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


def open_renderer(model: mujoco.MjModel, width_px: int, height_px: int) -> Any:
    """A MuJoCo renderer on the first graphics backend that works; raises RenderError that tells what was tried."""
    chosen = os.environ.get("MUJOCO_GL", "").lower()
    problems = []
    for backend in (chosen,) if chosen else BACKENDS:
        os.environ["MUJOCO_GL"] = backend
        try:
            return mujoco.Renderer(model, height_px, width_px)
        except (ImportError, AttributeError, RuntimeError, OSError, mujoco.FatalError) as error:
            problems.append(f"{backend}: {error}")
        finally:
            if not chosen:
                del os.environ["MUJOCO_GL"]
    raise RenderError(
        f"no off-screen graphics ({'; '.join(problems)}); install EGL (Debian: libegl1 libegl-mesa0 libgl1-mesa-dri) or OSMesa "
        "(libosmesa6), or start without cameras"
    )

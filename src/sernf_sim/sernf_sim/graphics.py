"""An off-screen picture of a MuJoCo scene: graphics context, scene and pixels, without a window or a display.

MuJoCo's own renderer decides on its graphics library when it is first imported, and crashes without a display unless the
environment was prepared before that. Here the library is chosen when a picture is first needed: what `MUJOCO_GL` says (egl or
osmesa), else EGL if it is installed, else OSMesa. Fails with `RenderError`.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib
import os
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

LIBRARIES = {"egl": "EGL", "osmesa": "OSMesa"}
MAX_GEOMS = 2000


class RenderError(RuntimeError):
    """No picture can be made; the message says why and what to do."""


def choose_library() -> str:
    """Name of the graphics library to use; raises RenderError if none is installed or `MUJOCO_GL` names another."""
    wanted = os.environ.get("MUJOCO_GL", "").strip().lower()
    if wanted in LIBRARIES:
        return wanted
    if wanted:
        raise RenderError(
            f"MUJOCO_GL: expected {' or '.join(LIBRARIES)} or nothing for pictures without a display, got '{wanted}'"
        )
    for name, library in LIBRARIES.items():
        if ctypes.util.find_library(library):
            return name
    raise RenderError(
        "no library for off-screen graphics found; install EGL (Debian: apt install libegl1 libegl-mesa0 libgl1-mesa-dri) "
        "or OSMesa (apt install libosmesa6), or start without cameras"
    )


class OffscreenPicture:
    """One graphics context with one size, for one model. Use it from the thread that made it."""

    def __init__(self, model: mujoco.MjModel, width_px: int, height_px: int, *, fine: bool) -> None:
        """`fine`: with shadows and smooth edges, which cost many times as much."""
        library = choose_library()
        # PyOpenGL and the drivers raise all kinds of errors; whatever it is, the answer is the same.
        try:
            self._context: Any = importlib.import_module(f"mujoco.{library}").GLContext(width_px, height_px)
            self._context.make_current()
            if not fine:
                model.vis.quality.offsamples = 0
            model.vis.global_.offwidth, model.vis.global_.offheight = width_px, height_px
            self._gpu = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        except (ImportError, AttributeError, RuntimeError, OSError, TypeError, ValueError, mujoco.FatalError) as error:
            raise RenderError(
                f"{library} cannot open an off-screen context ({type(error).__name__}: {error}); check that {LIBRARIES[library]} "
                "is installed, try MUJOCO_GL=egl or MUJOCO_GL=osmesa, or start without cameras"
            ) from error
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._gpu)
        self._model = model
        self._scene = mujoco.MjvScene(model, MAX_GEOMS)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = fine
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._area = mujoco.MjrRect(0, 0, width_px, height_px)
        self._pixels = np.zeros((height_px, width_px, 3), dtype=np.uint8)

    def take(self, data: mujoco.MjData, camera: str, options: mujoco.MjvOption) -> NDArray[np.uint8]:
        """The picture (height, width, 3) that the model's fixed camera of this name sees; the array is the caller's."""
        if self._context is None:
            raise RenderError("the renderer is closed; make a new one")
        self._context.make_current()
        self._camera.fixedcamid = self._model.camera(camera).id
        mujoco.mjv_updateScene(
            self._model, data, options, None, self._camera, mujoco.mjtCatBit.mjCAT_ALL.value, self._scene
        )  # fmt: skip
        mujoco.mjr_render(self._area, self._scene, self._gpu)
        mujoco.mjr_readPixels(self._pixels, None, self._area, self._gpu)
        return np.flipud(self._pixels).copy()

    def close(self) -> None:
        """Release the graphics context. Idempotent."""
        if self._context is not None:
            self._context.make_current()
            self._gpu.free()
            self._context.free()
            self._context = None

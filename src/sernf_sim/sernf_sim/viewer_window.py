"""A window that shows one task's world, in MuJoCo's passive viewer: seen from where the user drags it, never stepped.

The viewer draws in a thread of its own. Where no window with OpenGL can be opened, MuJoCo ends the whole process with hardly a
word: `check_graphics` tries it first and fails with `WindowError`, which says what to do.
"""

from __future__ import annotations

import importlib
import queue
import threading
import warnings
from typing import Any

import mujoco

from sernf_robot.model import VISUAL_GROUP
from sernf_sim.shown_state import put_state
from sernf_sim.tasks import make_task
from sernf_sim.tasks.scenery import OBJECT_GROUP
from sernf_sim.world import FullState, compile_world

REMEDY = (
    "check that DISPLAY or WAYLAND_DISPLAY names a running display and that OpenGL is installed "
    "(Debian: apt install libgl1 libglx-mesa0 libgl1-mesa-dri), or start with headless:=true"
)
OPEN_TIMEOUT_S = 60.0
CLOSE_TIMEOUT_S = 5.0

LOOK_AT_M = (0.38, -0.03, 0.29)
"""Where the window looks at first, in `fr3_link0`: the whole robot and the table in front of it."""
DISTANCE_M = 1.75
AZIMUTH_DEG = 126.0
ELEVATION_DEG = -14.0


class WindowError(RuntimeError):
    """No window can be opened; the message says why and what to do."""


def check_graphics() -> None:
    """Open and close an invisible window with OpenGL; raises WindowError where that fails."""
    try:
        glfw = importlib.import_module("glfw")
        importlib.import_module("mujoco.viewer")
    except (ImportError, RuntimeError, OSError) as error:
        raise WindowError(f"no window: GLFW cannot be loaded ({error}); {REMEDY}") from error
    with warnings.catch_warnings():
        # What these warnings say is in the error below.
        warnings.simplefilter("ignore")
        if not glfw.init():
            raise WindowError(f"no window: there is no display ({_glfw_error(glfw)}); {REMEDY}")
        try:
            glfw.window_hint(glfw.VISIBLE, glfw.FALSE)
            window = glfw.create_window(64, 64, "sernf", None, None)
            if not window:
                raise WindowError(f"no window: the display has no OpenGL ({_glfw_error(glfw)}); {REMEDY}")
            glfw.make_context_current(window)
            if not glfw.extension_supported("GL_ARB_framebuffer_object"):
                raise WindowError(f"no window: the display's OpenGL is too old, framebuffer objects are missing; {REMEDY}")
        finally:
            glfw.terminate()


def window_for(task: str, current: ViewerWindow | None, *, panels: bool = False) -> ViewerWindow:
    """The window of `task`: `current` if it shows that one, else a new one in its place.

    Raises ValueError for an unknown task, and then leaves `current` open; WindowError when the new one does not open.
    """
    if current is not None:
        if current.task == task:
            return current
        make_task(task)
        current.close()
    return ViewerWindow(task, panels=panels)


class ViewerWindow:
    """The open window of one task. Opens at once: `close` it, or use it as a context manager. Use it from one thread."""

    def __init__(self, task: str, *, panels: bool = False) -> None:
        """Raises ValueError for an unknown task, WindowError when the window does not open."""
        self.task = task
        self._model = compile_world(make_task(task), visual="full")
        self._data = mujoco.MjData(self._model)
        before = set(threading.enumerate())
        self._handle = _launch(self._model, self._data, panels)
        self._threads = [thread for thread in threading.enumerate() if thread not in before]
        with self._handle.lock():
            self._handle.opt.geomgroup[:] = 0
            self._handle.opt.geomgroup[[OBJECT_GROUP, VISUAL_GROUP]] = 1
            self._handle.opt.sitegroup[:] = 0
            camera = self._handle.cam
            camera.lookat[:] = LOOK_AT_M
            camera.distance, camera.azimuth, camera.elevation = DISTANCE_M, AZIMUTH_DEG, ELEVATION_DEG
        self._notice = ""

    @property
    def is_open(self) -> bool:
        """False once the user has closed it."""
        return bool(self._handle.is_running())

    def show(self, state: FullState) -> None:
        """Show `state` from now on; raises ValueError for one that does not belong to this task or is not finite."""
        with self._handle.lock():
            put_state(self._model, self._data, self.task, state)

    def refresh(self, notice: str = "") -> None:
        """Bring what was shown, and what the user did, to the screen, with `notice` in the corner. Call it at the frame rate."""
        if notice != self._notice:
            if notice:
                self._handle.set_texts((None, None, notice, ""))
            else:
                self._handle.clear_texts()
            self._notice = notice
        self._handle.sync()

    def close(self) -> None:
        """Close the window and wait for its thread. Idempotent."""
        self._handle.close()
        # A window that still draws while the interpreter ends can crash it.
        for thread in self._threads:
            thread.join(CLOSE_TIMEOUT_S)

    def __enter__(self) -> ViewerWindow:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _launch(model: mujoco.MjModel, data: mujoco.MjData, panels: bool) -> Any:
    """MuJoCo's handle of the open window. Its own wait for the window has no end, so it happens in a thread."""
    opened: queue.Queue[Any] = queue.Queue()
    viewer = importlib.import_module("mujoco.viewer")

    def launch() -> None:
        opened.put(viewer.launch_passive(model, data, show_left_ui=panels, show_right_ui=panels))

    launcher = threading.Thread(target=launch, name="viewer_launch", daemon=True)
    launcher.start()
    try:
        handle = opened.get(timeout=OPEN_TIMEOUT_S)
    except queue.Empty:
        raise WindowError(f"no window within {OPEN_TIMEOUT_S:.0f} s; {REMEDY}") from None
    launcher.join(CLOSE_TIMEOUT_S)
    return handle


def _glfw_error(glfw: Any) -> str:
    code, text = glfw.get_error()
    return text.decode(errors="replace") if text else f"GLFW error {code}"

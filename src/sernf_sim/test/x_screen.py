"""A virtual X screen for tests of windows: starts Xvfb, reads what is on the screen, closes a window as its user would."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

XVFB = shutil.which("Xvfb")
START_TIMEOUT_S = 20.0
WIDTH_PX, HEIGHT_PX = 800, 600


class ClientMessage(ctypes.Structure):
    """Xlib's XClientMessageEvent, as long as its XEvent."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("rest", ctypes.c_long * 24),
    )


CLIENT_MESSAGE = 33


class XScreen:
    """A running Xvfb; `name` is what DISPLAY must say."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self._framebuffer = directory / "Xvfb_screen0"

    def picture(self) -> NDArray[np.uint8]:
        """What is on the screen: (height, width, 3) blue, green, red."""
        content = self._framebuffer.read_bytes()
        header = np.frombuffer(content, dtype=">u4", count=25)
        size, height, line_bytes, colors = (int(header[field]) for field in (0, 5, 12, 19))
        pixels = np.frombuffer(content, dtype=np.uint8, offset=size + 12 * colors, count=height * line_bytes)
        return pixels.reshape(height, -1, 4)[:, :WIDTH_PX, :3].copy()

    def close_windows(self) -> int:
        """Ask every visible window to close, as the button of its frame does; how many were asked."""
        x11 = ctypes.CDLL("libX11.so.6")
        x11.XOpenDisplay.restype = ctypes.c_void_p
        x11.XDefaultRootWindow.restype = x11.XInternAtom.restype = ctypes.c_ulong
        display = ctypes.c_void_p(x11.XOpenDisplay(self.name.encode()))
        root = x11.XDefaultRootWindow(display)
        protocols, delete = (x11.XInternAtom(display, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW"))
        unused, children, count = ctypes.c_ulong(), ctypes.POINTER(ctypes.c_ulong)(), ctypes.c_uint()
        x11.XQueryTree(
            display, ctypes.c_ulong(root), *(ctypes.byref(value) for value in (unused, unused, children, count))
        )  # fmt: skip
        asked = 0
        for window in children[: count.value]:
            # Windows of GLFW's own, which nobody sees, know no protocols.
            atoms = ctypes.POINTER(ctypes.c_ulong)()
            if not x11.XGetWMProtocols(display, ctypes.c_ulong(window), ctypes.byref(atoms), ctypes.byref(count)):
                continue
            asked += 1
            message = ClientMessage(type=CLIENT_MESSAGE, window=window, message_type=protocols, format=32)
            message.data[0] = delete
            x11.XSendEvent(display, ctypes.c_ulong(window), 0, ctypes.c_long(0), ctypes.byref(message))
        x11.XCloseDisplay(display)
        return asked


@contextlib.contextmanager
def x_screen(directory: Path, *, opengl: bool = True) -> Iterator[XScreen]:
    """A screen with its framebuffer in `directory`, on a display number that is free."""
    reader, writer = os.pipe()
    command = [
        str(XVFB), "-displayfd", str(writer), "-screen", "0", f"{WIDTH_PX}x{HEIGHT_PX}x24", "-fbdir", str(directory),
        "-nolisten", "tcp", *([] if opengl else ["-extension", "GLX"]),
    ]  # fmt: skip
    server = subprocess.Popen(command, pass_fds=[writer], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(writer)
    try:
        assert select.select([reader], [], [], START_TIMEOUT_S)[0], "Xvfb did not start in time"
        number = os.read(reader, 16).decode().strip()
        assert number, "Xvfb ended at once"
        yield XScreen(f":{number}", directory)
    finally:
        os.close(reader)
        server.terminate()
        server.wait(START_TIMEOUT_S)

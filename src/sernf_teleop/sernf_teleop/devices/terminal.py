"""The terminal under a keyboard device: unbuffered keys, a screen of its own, and a guard that always restores it.

The guard is a small process that outlives this one however it ends, `kill -9` included, and then puts the terminal back.
Nothing here blocks: keys are read and frames are written as far as the terminal takes them.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import termios
import tty

from sernf_teleop.operator_device import DeviceError

ENTER_SCREEN = b"\x1b[?1049h\x1b[?25l\x1b[2J"
LEAVE_SCREEN = b"\x1b[?25h\x1b[?1049l"
GUARD_TIMEOUT_S = 2.0
GUARD = 'trap "" HUP INT TERM; cat >/dev/null; stty "$1" <"$2"; printf "\\033[?25h\\033[?1049l" >"$2"'
MOST_BYTES = 4096


class Terminal:
    """The terminal that standard input is connected to."""

    def __init__(self) -> None:
        self._fd = -1
        self._guard: subprocess.Popen[bytes] | None = None
        self._stderr_copy = -1
        self._messages = -1
        self._unwritten = b""

    def open(self) -> None:
        """Take the terminal; raises DeviceError when there is none."""
        try:
            name = os.ttyname(sys.stdin.fileno())
            # A file description of its own: non-blocking mode must not leak into the shell's.
            self._fd = os.open(name, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            saved = subprocess.run(
                ["stty", "-g"], stdin=self._fd, capture_output=True, text=True, check=True, timeout=GUARD_TIMEOUT_S
            ).stdout.strip()
            self._guard = subprocess.Popen(
                ["sh", "-c", GUARD, "sernf-terminal-guard", saved, name],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            self._configure()
        except (OSError, ValueError, subprocess.SubprocessError, termios.error) as error:
            self.close()
            raise DeviceError(
                f"the keyboard needs a terminal on standard input ({error}); run ./sernf teleop in one, not from a launch file"
            ) from error
        self._catch_messages()
        self._send(ENTER_SCREEN)

    def read(self) -> bytes:
        """Bytes typed since the last call; raises DeviceError when the terminal is gone."""
        try:
            data = os.read(self._fd, MOST_BYTES)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise DeviceError(f"the terminal is gone ({error.strerror}); the robot holds, start teleop again") from error
        if not data:
            raise DeviceError("the terminal was closed; the robot holds, start teleop again")
        return data

    def draw(self, lines: list[str]) -> None:
        """Show `lines` from the top of the screen, as far as they fit."""
        try:
            columns, rows = os.get_terminal_size(self._fd)
        except OSError:
            return
        # Some terminals say 0 when they do not know.
        shown = [line[: columns - 1] for line in lines[: rows - 1]] if columns and rows else lines
        text = "\x1b[H" + "".join(f"{line}\x1b[K\n" for line in shown) + "\x1b[J"
        self._send(text.encode())

    def close(self) -> None:
        """Restore the terminal; messages written to standard error in the meantime come out now."""
        if self._guard is not None:
            guard, self._guard = self._guard, None
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                guard.communicate(timeout=GUARD_TIMEOUT_S)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._unwritten = b""
        self._release_messages()

    def _configure(self) -> None:
        """Keys one by one, without echo. Ctrl-C still ends; Ctrl-S and Ctrl-Z, which would freeze the screen, do nothing."""
        tty.setcbreak(self._fd, termios.TCSANOW)
        attributes = termios.tcgetattr(self._fd)
        attributes[0] &= ~termios.IXON
        attributes[6][termios.VSUSP] = b"\x00"
        termios.tcsetattr(self._fd, termios.TCSANOW, attributes)

    def _send(self, data: bytes) -> None:
        """Write without waiting; a frame is dropped while the one before is still stuck in a slow connection."""
        stuck = bool(self._unwritten)
        pending = self._unwritten or data
        try:
            self._unwritten = pending[os.write(self._fd, pending) :]
        except BlockingIOError:
            self._unwritten = pending
        except OSError:
            # `read` finds out and says so.
            self._unwritten = b""
        if stuck and not self._unwritten:
            self._send(data)

    def _catch_messages(self) -> None:
        """Log lines would run through the screen: keep them until it is closed."""
        if not os.isatty(2):
            return
        self._messages = os.memfd_create("sernf_teleop_messages")
        self._stderr_copy = os.dup(2)
        os.dup2(self._messages, 2)

    def _release_messages(self) -> None:
        if self._messages < 0:
            return
        os.dup2(self._stderr_copy, 2)
        os.close(self._stderr_copy)
        with open(self._messages, "rb") as messages, contextlib.suppress(OSError):
            messages.seek(0)
            sys.stderr.buffer.write(messages.read())
            sys.stderr.flush()
        self._messages = -1

"""Where the launch's own messages and the lines of its processes go: the terminal and a log file.

The file is ``launch.log`` in a new directory below ``$ROS_LOG_DIR``, else ``$ROS_HOME/log``, else ``~/.ros/log``. A directory
that cannot be written costs the file, a terminal that is gone costs the terminal; neither ends the launch.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

MODES = ("screen", "log", "both")
"""``screen`` and ``both``: everything to the terminal and the file. ``log``: stdout to the file only, stderr to both."""


def shown_on_screen(mode: str, stream: str) -> bool:
    """Whether the lines of ``stream`` (stdout or stderr) go to the terminal too."""
    return mode != "log" or stream == "stderr"


class Output:
    """Writes lines. ``open`` starts the log file; before it everything goes to the terminal only."""

    def __init__(self) -> None:
        self.debug_enabled = False
        self._file: IO[str] | None = None
        self._screen_works = True

    def open(self, environment: Mapping[str, str]) -> None:
        """Create the log directory and file, and say where they are."""
        directory = log_root(environment) / f"{time.strftime('%Y-%m-%d-%H-%M-%S')}-{socket.gethostname()}-{os.getpid()}"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file = (directory / "launch.log").open("a", encoding="utf-8", buffering=1)
        except OSError as error:
            self.message("WARNING", "launch", f"no log file: {directory} cannot be written ({error.strerror})")
            return
        self.message("INFO", "launch", f"All log files can be found below {directory}")

    def message(self, level: str, name: str, text: str) -> None:
        """A message of the launch itself: ``[LEVEL] [name]: text``."""
        if level != "DEBUG" or self.debug_enabled:
            self.line(f"[{level}] [{name}]: {text}", screen=True)

    def line(self, text: str, *, screen: bool) -> None:
        """One line to the file, and to the terminal where ``screen``."""
        if self._file is not None:
            try:
                self._file.write(f"{time.time():.7f} {text}\n")
            except OSError:
                self._file = None
        if screen and self._screen_works:
            try:
                sys.stdout.write(text + "\n")
                sys.stdout.flush()
            except (OSError, ValueError):  # ValueError: the stream is closed
                self._screen_works = False

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def log_root(environment: Mapping[str, str]) -> Path:
    """Directory that holds the logs of all launches."""
    if environment.get("ROS_LOG_DIR"):
        return Path(environment["ROS_LOG_DIR"]).expanduser()
    return Path(environment.get("ROS_HOME") or "~/.ros").expanduser() / "log"

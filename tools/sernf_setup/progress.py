"""What the user sees while the set-up runs: one line a step, with its time, on standard error."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import TextIO


def duration(seconds: float) -> str:
    """5.2 s, 2 min 05 s."""
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60):02d} s"


class Progress:
    """A live line on a terminal; elsewhere a line at the start and end of each step and every `quiet_s` between."""

    def __init__(self, stream: TextIO | None = None, quiet_s: float = 15.0) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._live = self._stream.isatty()
        self._period_s = 0.2 if self._live else quiet_s
        self._detail = ""
        self.download_s = 0.0

    def say(self, text: str) -> None:
        self._write(("\r\033[K" if self._live else "") + text + "\n")

    def detail(self, text: str) -> None:
        """What the running step is at."""
        self._detail = text

    @contextlib.contextmanager
    def step(self, title: str, *, download: bool = False) -> Iterator[None]:
        """Show a step; its time counts as download when `download`."""
        started, ended, self._detail = time.monotonic(), threading.Event(), ""
        ticker = threading.Thread(target=self._tick, args=(title, started, ended), daemon=True)
        ticker.start()
        outcome = "stopped after"
        try:
            yield
            outcome = "done in"
        finally:
            ended.set()
            ticker.join(timeout=5.0)
            taken = time.monotonic() - started
            if download:
                self.download_s += taken
            self.say(f"  {title}: {outcome} {duration(taken)}")

    def _tick(self, title: str, started: float, ended: threading.Event) -> None:
        if not self._live:
            self._write(f"  {title} ...\n")
        while not ended.wait(self._period_s):
            text = f"  {title}: {duration(time.monotonic() - started)} {self._detail}"
            self._write(f"\r\033[K{text[:120]}" if self._live else f"{text}\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

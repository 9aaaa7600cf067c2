"""Which weights run, which ran before, and which are on their way.

Weights come from a service call, from the learner's announcement or from the start; one load at a time, and never in the control
thread: the loader answers when asked. What is refused leaves everything as it was. A rollback pins: announced weights are left
alone until somebody loads weights by hand, because whoever rolls back has seen something that the checks did not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sernf_policy.loaded_weights import LoadedWeights

Told = Callable[[bool, str], None]
"""Receives the end of a request: whether the weights run now, and one sentence."""


@dataclass(frozen=True)
class WeightsFile:
    """`file`: path or shipped name. `sha256`: that the weights must have; empty for any."""

    file: str
    sha256: str = ""


@dataclass(frozen=True)
class Refusal:
    """Why weights will not run."""

    reason: str


class Loader(Protocol):
    """Loads and checks weights somewhere else."""

    def start(self, wanted: WeightsFile) -> None:
        """Begin; only while nothing is being loaded."""

    def poll(self) -> LoadedWeights | Refusal | None:
        """The end of what was started; None while it lasts."""


def _tell_nobody(_success: bool, _message: str) -> None:
    pass


class WeightsStore:
    """Every call from the control thread. `fits` says why weights cannot run here, or nothing."""

    def __init__(self, loader: Loader, fits: Callable[[LoadedWeights], str], *, auto_load: bool, swap_timeout_s: float) -> None:
        self._loader, self._fits, self._auto_load, self._swap_timeout_s = loader, fits, auto_load, swap_timeout_s
        self._loading: WeightsFile | None = None
        self._announced: WeightsFile | None = None
        self._tell: Told = _tell_nobody
        self._ready_s = 0.0
        self.running: LoadedWeights | None = None
        self.previous: LoadedWeights | None = None
        self.candidate: LoadedWeights | None = None
        """loaded and checked, waits for a chunk boundary"""
        self.pinned = False
        self.last_refusal = ""
        """why the weights that came after the running ones were not taken"""

    @property
    def loading(self) -> str:
        """File that is being loaded; empty if none."""
        return "" if self._loading is None else self._loading.file

    def load(self, wanted: WeightsFile, tell: Told = _tell_nobody) -> None:
        """Load and run `wanted`; `tell` hears the end, perhaps at once."""
        if self._is_busy():
            first = self.candidate.version if self.candidate is not None else self.loading or "a shipped file"
            tell(False, f"{first} is on its way already; call again when it runs")
            return
        self.pinned = False
        self._announced = None
        if self.running is not None and wanted.sha256 == self.running.sha256:
            tell(True, f"{self.running.version} runs already")
            return
        self._start(wanted, tell)

    def announce(self, wanted: WeightsFile) -> None:
        """The learner has new weights; only the newest that are waiting are loaded."""
        self._announced = wanted

    def roll_back(self, now_s: float, tell: Told = _tell_nobody) -> None:
        """Run the previous weights again; `tell` hears the end."""
        if self._is_busy():
            tell(False, "other weights are on their way; call again when they run or are refused")
        elif self.previous is None:
            tell(False, "expected weights that ran before, there are none")
        else:
            self.pinned = True
            self._tell = tell
            self.candidate, self._ready_s = self.previous, now_s

    def poll(self, now_s: float) -> None:
        """Move on: take what has been loaded, load what has been announced, give up what cannot be swapped in."""
        if self._loading is not None:
            result = self._loader.poll()
            if result is not None:
                self._take(result, now_s)
        elif self.candidate is not None:
            if now_s - self._ready_s > self._swap_timeout_s:
                version, timeout_s = self.candidate.version, self._swap_timeout_s
                self._refuse(f"{version} was not swapped in within {timeout_s:g} s: no fresh observation with all that it sees")
        elif self._announced is not None and self._auto_load and not self.pinned:
            wanted, self._announced = self._announced, None
            if self.running is None or wanted.sha256 != self.running.sha256:
                self._start(wanted, _tell_nobody)

    def adopted(self, weights: LoadedWeights) -> None:
        """`weights` run from now on."""
        is_rollback = weights is self.previous
        self.previous = None if is_rollback else self.running
        self.running = weights
        self.candidate, self.last_refusal = None, ""
        pinned = "; announced weights wait until policy/load_weights is called" if is_rollback else ""
        self._end(True, f"{weights.version} runs{pinned}")

    def close(self, reason: str) -> None:
        """Whoever waits for weights is told that none will come."""
        self._loading = self.candidate = None
        self._end(False, reason)

    def _is_busy(self) -> bool:
        return self._loading is not None or self.candidate is not None

    def _start(self, wanted: WeightsFile, tell: Told) -> None:
        self._tell, self._loading = tell, wanted
        self._loader.start(wanted)

    def _take(self, result: LoadedWeights | Refusal, now_s: float) -> None:
        self._loading = None
        if isinstance(result, Refusal):
            self._refuse(result.reason)
        elif unfit := self._fits(result):
            self._refuse(unfit)
        else:
            self.candidate, self._ready_s = result, now_s

    def _refuse(self, reason: str) -> None:
        self.candidate = None
        self.last_refusal = reason
        self._end(False, reason)

    def _end(self, success: bool, message: str) -> None:
        tell, self._tell = self._tell, _tell_nobody
        tell(success, message)

"""Loads weights in a child process of low priority, and makes them ready in a thread: no control tick waits for any of it.

The child hands over ONNX graphs; what is left to do here is to start ONNX Runtime, which leaves the interpreter to others. A
child that dies or hangs is a refusal, and the next request gets a new one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import queue
import subprocess
import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sernf_policy import frames
from sernf_policy.check_config import CheckConfig
from sernf_policy.engine import Graphs
from sernf_policy.loaded_weights import LoadedWeights, WeightsDescription
from sernf_policy.shipped_weights import ShippedWeightsError, weights_path
from sernf_policy.weights_store import Refusal, WeightsFile

START_TIMEOUT_S = 120.0
CLOSE_TIMEOUT_S = 5.0
LOWEST_NICE = 19
CHILD = "sernf_policy.weights_child"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True, kw_only=True)
class LoaderConfig:
    """`nice`: of the child once weights run, 0 to 19 more than this process has. `timeout_s`: for loading and checking.

    `threads`: of ONNX Runtime, there and here.
    """

    nice: int = 10
    timeout_s: float = 60.0
    threads: int = 1
    check: CheckConfig = field(default_factory=CheckConfig)

    def __post_init__(self) -> None:
        if not 0 <= self.nice <= 19:
            raise ValueError(f"nice: expected 0 to 19, got {self.nice}")
        if self.timeout_s <= 0.0:
            raise ValueError(f"timeout_s: expected a positive number of seconds, got {self.timeout_s}")
        if self.threads < 1:
            raise ValueError(f"threads: expected 1 or more, got {self.threads}")


class ChildLoader:
    """A `Loader`. `open` begins to start the child; `close` ends it."""

    def __init__(self, config: LoaderConfig, *, joint_names: Sequence[str], limits_file: Path, task: str) -> None:
        self._config, self._joint_names, self._limits_file, self._task = config, tuple(joint_names), limits_file, task
        # As it is before this process asks for real-time scheduling.
        self._base_nice = os.getpriority(os.PRIO_PROCESS, 0)
        self._weights_run = False
        self._child: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._renew()

    def _renew(self) -> None:
        self._wanted: queue.SimpleQueue[WeightsFile | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[LoadedWeights | Refusal] = queue.SimpleQueue()

    def open(self) -> None:
        """Start; the child needs some seconds, which nobody waits for."""
        self._renew()
        self._thread = threading.Thread(target=self._work, args=(self._wanted, self._results), name="weights", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End; what is being loaded is dropped."""
        self._wanted.put(None)
        child = self._child
        if child is not None:
            child.kill()
        if self._thread is not None:
            self._thread.join(CLOSE_TIMEOUT_S)
            self._thread = None

    def start(self, wanted: WeightsFile) -> None:
        """Begin to load."""
        self._wanted.put(wanted)

    def poll(self) -> LoadedWeights | Refusal | None:
        """The end of what was started; None while it lasts."""
        try:
            return self._results.get_nowait()
        except queue.Empty:
            return None

    def _work(self, requests: queue.SimpleQueue[WeightsFile | None], results: queue.SimpleQueue[LoadedWeights | Refusal]) -> None:
        """Top of the thread."""
        # What is wrong with the child is told by the first request, which starts another.
        with contextlib.suppress(OSError, frames.PipeClosed, frames.PipeTimeout):
            self._living_child()
        while (wanted := requests.get()) is not None:
            results.put(self._load(wanted))
        self._end_child()

    def _load(self, wanted: WeightsFile) -> LoadedWeights | Refusal:
        try:
            path = weights_path(wanted.file, self._task)
            message, parts = self._ask(path, wanted.sha256)
            if "refused" in message:
                return Refusal(str(message["refused"]))
            description = WeightsDescription.of_mapping(message["description"])
            self._weights_run = True
            self._set_priority()
            eyes = dict(zip((view.name for view in description.layout.cameras), parts[2:], strict=True))
            graphs = Graphs(sampling=parts[0], likelihood=parts[1], has_critic=description.has_critic, eyes=eyes)
            return LoadedWeights.build(description, graphs, self._joint_names, threads=self._config.threads)
        except ShippedWeightsError as error:
            return Refusal(str(error))
        except frames.PipeClosed:
            status = self._end_child()
            return Refusal(f"{wanted.file}: the process that loads weights has ended with status {status} over it; see its log")
        except frames.PipeTimeout:
            self._end_child()
            return Refusal(f"{wanted.file}: expected it loaded and checked within {self._config.timeout_s:g} s; it was given up")
        except Exception as error:  # noqa: BLE001  top of a thread: what runs goes on running
            return Refusal(f"{wanted.file}: {error!r}\n{traceback.format_exc()}")

    def _ask(self, path: Path, sha256: str) -> tuple[dict[str, Any], list[bytes]]:
        child = self._living_child()
        assert child.stdin is not None and child.stdout is not None
        request = {
            "file": str(path), "sha256": sha256, "joint_names": self._joint_names, "limits_file": str(self._limits_file),
            "threads": self._config.threads, "check": dataclasses.asdict(self._config.check),
        }  # fmt: skip
        frames.send(child.stdin.fileno(), request)
        return frames.receive(child.stdout.fileno(), timeout_s=self._config.timeout_s)

    def _living_child(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is None:
            return self._child
        self._end_child()
        threads = dict.fromkeys(THREAD_VARIABLES, "1")
        # A session of its own, so that a Ctrl-C in the terminal does not reach it.
        child = subprocess.Popen(
            [sys.executable, "-m", CHILD],
            env={**os.environ, **threads}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        # It has inherited what this process was granted, and has no other threads yet.
        os.sched_setscheduler(child.pid, os.SCHED_OTHER, os.sched_param(0))
        self._child = child
        self._set_priority()
        assert child.stdout is not None
        frames.receive(child.stdout.fileno(), timeout_s=START_TIMEOUT_S)
        return child

    def _set_priority(self) -> None:
        """Ordinary until the first weights run, for which everybody waits; low beside a policy that runs."""
        nice = self._base_nice + (self._config.nice if self._weights_run else 0)
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, self._child.pid, min(nice, LOWEST_NICE))

    def _end_child(self) -> int | None:
        child, self._child = self._child, None
        if child is None:
            return None
        child.kill()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
        try:
            return child.wait(CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:  # a machine so busy that not even the dead get their turn
            return None

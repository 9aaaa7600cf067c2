"""Computes chunks in a thread of its own: a control tick hands over an observation and takes the chunk at a later tick.

One request at a time. What the computation raises comes back as the answer; nothing here ever blocks a tick.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

ResultT = TypeVar("ResultT")
CLOSE_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Answer(Generic[ResultT]):
    """Of request `number`: a result, or the error that came instead."""

    number: int
    result: ResultT | None
    error: Exception | None = None


class InferenceWorker(Generic[ResultT]):
    """`open` starts the thread, `close` ends it; everything else is called from the control thread only."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._renew()

    def _renew(self) -> None:
        self._requests: queue.SimpleQueue[tuple[int, Callable[[], ResultT]] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Answer[ResultT]] = queue.SimpleQueue()
        self._waiting = 0

    def open(self) -> None:
        """Start; priority and scheduling are those of the calling thread."""
        self._renew()
        self._thread = threading.Thread(target=self._work, args=(self._requests, self._answers), name="inference", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End; a computation that hangs is left behind."""
        self._requests.put(None)
        if self._thread is not None:
            self._thread.join(CLOSE_TIMEOUT_S)
            self._thread = None

    @property
    def is_busy(self) -> bool:
        """Whether an answer is still to come."""
        return self._waiting > 0

    def submit(self, number: int, compute: Callable[[], ResultT]) -> None:
        """Compute; raises RuntimeError while another request is under way."""
        if self.is_busy:
            raise RuntimeError("expected an idle worker, got one that is still computing; ask is_busy first")
        self._waiting += 1
        self._requests.put((number, compute))

    def poll(self) -> Answer[ResultT] | None:
        """An answer that has come since; None if there is none."""
        try:
            answer = self._answers.get_nowait()
        except queue.Empty:
            return None
        self._waiting -= 1
        return answer

    @staticmethod
    def _work(
        requests: queue.SimpleQueue[tuple[int, Callable[[], ResultT]] | None], answers: queue.SimpleQueue[Answer[ResultT]]
    ) -> None:
        while (request := requests.get()) is not None:
            number, compute = request
            try:
                answers.put(Answer(number, compute()))
            except Exception as error:  # noqa: BLE001  top of a thread: the session reports it and withdraws the chunk
                answers.put(Answer(number, None, error))

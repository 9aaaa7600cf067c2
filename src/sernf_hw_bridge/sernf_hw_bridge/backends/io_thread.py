"""A thread that owns a vendor driver, so that the control loop never waits for one.

Drivers block: a bus round trip takes milliseconds, a lost network connection a second and more. Everything that touches a driver
runs in its `IoThread`, one thing at a time: `poll` again and again, and in between the calls that others ask for, with a
time-out. Newest values are handed over by assigning one attribute, which needs no lock. Whatever the driver raises comes out as
`BackendError`.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from sernf_hw_bridge.backends.protocol import BackendError

LOG = logging.getLogger(__name__)
ResultT = TypeVar("ResultT")


class _Request:
    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.done = threading.Event()
        self.result: Any = None
        self.error: Exception | None = None


class IoThread:
    """Runs `poll` every `period_s` from `start` until it raises or the thread ends; `close` is the last thing that it runs.

    `failure` tells why polling ended (None while it goes on). `explain` turns a driver's exception into the remedy that the user
    reads. A call that times out ends the thread, because what it would still do later could move the robot: make a new one.
    """

    def __init__(
        self,
        name: str,
        *,
        poll: Callable[[], None],
        close: Callable[[], None],
        explain: Callable[[Exception], str],
        period_s: float,
    ) -> None:
        self._name = name
        self._poll = poll
        self._close = close
        self._explain = explain
        self._period_s = period_s
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._ending = False
        self._polling = False
        self._thread = threading.Thread(target=self._run, name=f"{name} driver", daemon=True)
        self.failure: str | None = None

    def start(self) -> None:
        """Start the thread; polling begins with `resume`."""
        self._thread.start()

    def resume(self) -> None:
        """Poll from now on, also after a failure that has been mended. Call it from within a `call`."""
        self.failure = None
        self._polling = True

    @property
    def alive(self) -> bool:
        """Whether calls are still served."""
        return self._thread.is_alive() and not self._ending

    def call(self, what: str, function: Callable[[], ResultT], timeout_s: float) -> ResultT:
        """Result of `function`, run in the thread, after which it has polled once more.

        Raises BackendError that says `what` failed when it raises or takes longer.
        """
        if not self.alive:
            raise BackendError(f"{self._name}: {what}: the driver's thread has ended; connect again")
        request = _Request(function)
        self._requests.put(request)
        if not request.done.wait(timeout_s):
            self._ending = True
            self.failure = f"{what} took longer than {timeout_s:.1f} s; check power and connection, then re-arm"
            raise BackendError(f"{self._name}: {self.failure}")
        if isinstance(request.error, BackendError):
            raise request.error
        if request.error is not None:
            raise BackendError(f"{self._name}: {what} failed: {self._describe(request.error)}") from request.error
        result: ResultT = request.result
        return result

    def stop(self, timeout_s: float) -> None:
        """Close the driver and end the thread; a thread that hangs in its driver is left behind after `timeout_s`."""
        self._ending = True
        self._requests.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        if self._thread.is_alive():
            LOG.warning("%s: the driver did not close within %.1f s and was left behind", self._name, timeout_s)

    def _describe(self, error: Exception) -> str:
        return f"{error} ({self._explain(error)})"

    def _run(self) -> None:
        due_s = time.monotonic()
        try:
            while not self._ending:
                due_s = self._serve_until(due_s)
                self._poll_if_wanted()
        finally:
            self._close_driver()

    def _serve_until(self, due_s: float) -> float:
        """Serve requests until `due_s`; return when the next poll is due."""
        while not self._ending:
            try:
                request = self._requests.get(timeout=max(0.0, due_s - time.monotonic()))
            except queue.Empty:
                break
            if request is not None and not self._ending:
                self._serve(request)
        return max(due_s + self._period_s, time.monotonic())

    def _serve(self, request: _Request) -> None:
        try:
            request.result = request.function()
        except Exception as error:  # the caller gets it as BackendError
            LOG.debug("%s: a call failed", self._name, exc_info=True)
            request.error = error
        self._poll_if_wanted()
        request.done.set()

    def _poll_if_wanted(self) -> None:
        if not self._polling or self._ending or self.failure is not None:
            return
        try:
            self._poll()
        except BackendError as error:
            self.failure = str(error).removeprefix(f"{self._name}: ")
        except Exception as error:
            LOG.debug("%s: polling ended", self._name, exc_info=True)
            self.failure = self._describe(error)

    def _close_driver(self) -> None:
        self._polling = False
        try:
            self._close()
        except Exception:
            LOG.exception("%s: closing the driver failed", self._name)

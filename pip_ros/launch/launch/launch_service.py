"""Runs launch descriptions."""

from __future__ import annotations

import asyncio
import signal
import threading
import traceback
from collections.abc import Callable, Sequence
from functools import partial

from .action import LaunchDescriptionEntity
from .event import Event, EventHandler
from .events import Shutdown
from .events.process import ProcessExited
from .launch_context import LaunchContext
from .launch_description import LaunchDescription


class LaunchService:
    """Visits launch descriptions, then answers events until every process has ended.

    An error in an action or a handler is printed, shuts everything down and makes ``run`` return 1; so does a process that
    dies with a non-zero code and has a shutdown as its answer. SIGINT, SIGTERM and SIGHUP shut down in order while ``run``
    works in the main thread. ``shutdown`` and ``include_launch_description`` may be called from any thread.
    """

    def __init__(self, *, argv: Sequence[str] | None = None, noninteractive: bool = False, debug: bool = False) -> None:
        self._context = LaunchContext(argv=argv, noninteractive=noninteractive)
        self._context.output.debug_enabled = debug
        self._pending: list[LaunchDescriptionEntity] = []
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._return_code = 0
        self._shutdown_handled = False

    @property
    def context(self) -> LaunchContext:
        """State of this launch."""
        return self._context

    def include_launch_description(self, launch_description: LaunchDescription) -> None:
        """Visit a description when ``run`` starts, or now if it is running."""
        with self._lock:
            self._pending.append(launch_description)
        self._wake_from_any_thread()

    def shutdown(self, force_sync: bool = False) -> None:
        """Begin to end everything; returns at once. Before ``run`` it makes ``run`` end at once."""
        if force_sync:
            raise TypeError("LaunchService.shutdown: force_sync is not part of this stand-in; wait for run() to return")
        with self._lock:
            self._pending.append(_ShutdownRequest())
        self._wake_from_any_thread()

    def run(self, *, shutdown_when_idle: bool = True) -> int:
        """Run to the end; returns 0, or 1 after an error. Must not be called inside an event loop."""
        return asyncio.run(self.run_async(shutdown_when_idle=shutdown_when_idle))

    async def run_async(self, *, shutdown_when_idle: bool = True) -> int:
        """As ``run``, inside an event loop."""
        self._loop = asyncio.get_running_loop()
        wake = self._context.bind()
        self._context.output.open(self._context.environment)
        handled_signals = self._catch_signals()
        try:
            while True:
                await wake.wait()
                wake.clear()
                self._work()
                if not self._context.processes:
                    if self._shutdown_handled:
                        return self._return_code
                    if shutdown_when_idle and self._is_idle():
                        self._request_shutdown(Shutdown(reason="idle"))
        finally:
            for number in handled_signals:
                self._loop.remove_signal_handler(number)
            self._loop = None
            self._context.close()

    def _work(self) -> None:
        context = self._context
        while True:
            with self._lock:
                pending, self._pending = self._pending, []
            for entity in pending:
                self._guarded(partial(context.visit_now, [entity]))
            if context.deferred:
                callback = context.deferred.popleft()
                if not context.is_shutdown:
                    self._guarded(callback)
            elif context.events:
                self._answer(*context.events.popleft())
            elif not self._pending:
                return

    def _answer(self, event: Event, cause: Event | None) -> None:
        context = self._context
        if isinstance(event, Shutdown):
            if self._shutdown_handled:
                return
            self._shutdown_handled = context.is_shutdown = True
            context.cancel_timers()
            context.output.message("DEBUG", "launch", f"shutdown: {event.reason}")
            if isinstance(cause, ProcessExited) and cause.returncode != 0:
                self._return_code = 1
        context.event_being_handled = event
        try:
            for handler in context.handlers_of(event):
                self._guarded(partial(self._handle, handler, event))
        finally:
            context.event_being_handled = None
        if isinstance(event, Shutdown):
            for process in list(context.processes):
                process.stop()

    def _handle(self, handler: EventHandler, event: Event) -> None:
        self._context.visit_now(handler.handle(event, self._context) or ())

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever a launch file raises must end all its processes in order
            self._return_code = 1
            self._context.output.message("ERROR", "launch", f"{type(error).__name__}: {error}")
            self._context.output.message("DEBUG", "launch", traceback.format_exc())
            self._request_shutdown(Shutdown(reason=f"error in the launch: {error}"))

    def _is_idle(self) -> bool:
        context = self._context
        return not (context.timers or context.deferred or context.events or self._pending)

    def _request_shutdown(self, event: Shutdown) -> None:
        self._context.is_shutdown = True  # from now on nothing starts, even before the event's turn
        self._context.emit_event_sync(event)

    def _wake_from_any_thread(self) -> None:
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(self._context.wake)

    def _catch_signals(self) -> list[signal.Signals]:
        assert self._loop is not None
        if threading.current_thread() is not threading.main_thread():
            return []
        numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
        for number in numbers:
            self._loop.add_signal_handler(number, self._on_signal, number)
        return numbers

    def _on_signal(self, number: signal.Signals) -> None:
        if self._context.is_shutdown:
            self._context.output.message("WARNING", "launch", f"'{number.name}' again, ignored: processes are already ending")
            return
        how = "user interrupted with ctrl-c (SIGINT)" if number is signal.SIGINT else f"ended by {number.name}"
        self._context.output.message("WARNING", "launch", how)
        self._request_shutdown(Shutdown(reason=how, due_to_sigint=number is signal.SIGINT))


class _ShutdownRequest(LaunchDescriptionEntity):
    """Lets ``LaunchService.shutdown`` take the same way as a description."""

    def visit(self, context: LaunchContext) -> None:
        context.is_shutdown = True
        context.emit_event_sync(Shutdown(reason="LaunchService.shutdown() called"))

"""What a running launch knows: arguments, environment, handlers, processes, timers."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .action import LaunchDescriptionEntity
from .event import Event, EventHandler
from .guardian_client import GuardianClient
from .output import Output
from .substitution import Substitution

if TYPE_CHECKING:
    from .process import ManagedProcess


class LaunchContext:
    """State that actions and substitutions read and change; lives in the thread of ``LaunchService.run``.

    argv:                  ``name:=value`` texts of the command line
    launch_configurations: values of launch arguments by name
    environment:           environment of the processes; a copy of this process's own
    is_shutdown:           the launch has begun to end; nothing new may start
    """

    def __init__(self, *, argv: Sequence[str] | None = None, noninteractive: bool = False) -> None:
        self.argv = list(argv or ())
        self.noninteractive = noninteractive
        self.launch_configurations: dict[str, str] = {}
        self.environment: dict[str, str] = dict(os.environ)
        self.is_shutdown = False
        self.output = Output()
        self.guardian = GuardianClient()
        self.processes: set[ManagedProcess] = set()
        self.timers: set[asyncio.TimerHandle] = set()
        self.events: deque[tuple[Event, Event | None]] = deque()
        self.event_being_handled: Event | None = None
        self.deferred: deque[Callable[[], None]] = deque()
        self._handlers: list[EventHandler] = []
        self._scopes: list[tuple[dict[str, str], dict[str, str]]] = []
        self._cleanups: list[Callable[[], None]] = []
        self._process_count = 0
        self._wake: asyncio.Event | None = None

    @property
    def asyncio_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the running launch. Raises RuntimeError outside of it."""
        return asyncio.get_running_loop()

    def perform_substitution(self, sub: Substitution) -> str:
        """The text of one substitution."""
        return sub.perform(self)

    def emit_event_sync(self, event: Event) -> None:
        """Queue an event; handlers run after the present entity."""
        self.events.append((event, self.event_being_handled))
        self.wake()

    def register_event_handler(self, handler: EventHandler) -> None:
        """Ask a handler about every event from now on."""
        self._handlers.append(handler)

    def unregister_event_handler(self, handler: EventHandler) -> None:
        """Forget a handler. Raises ValueError when it was not registered."""
        self._handlers.remove(handler)

    def handlers_of(self, event: Event) -> list[EventHandler]:
        """Handlers that answer ``event``, in the order of their registration."""
        return [handler for handler in self._handlers if handler.matches(event)]

    def push_scope(self) -> None:
        """Remember arguments and environment until ``pop_scope``."""
        self._scopes.append((dict(self.launch_configurations), dict(self.environment)))

    def pop_scope(self) -> None:
        """Bring back arguments and environment of the matching ``push_scope``."""
        self.launch_configurations, self.environment = self._scopes.pop()

    def next_process_number(self) -> int:
        """1, 2, ... over all processes of this launch."""
        self._process_count += 1
        return self._process_count

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> None:
        """Run ``callback`` in the launch's thread after ``delay_s``, unless the launch ends before. Errors end the launch."""

        def run() -> None:
            self.timers.discard(handle)
            self.deferred.append(callback)
            self.wake()

        handle = self.asyncio_loop.call_later(delay_s, run)
        self.timers.add(handle)

    def visit_now(self, entities: Sequence[LaunchDescriptionEntity]) -> None:
        """Visit entities and, depth first, what their visits return."""
        for entity in entities:
            self.visit_now(entity.visit(self) or ())

    def cancel_timers(self) -> None:
        """Forget everything that ``call_later`` still had to do."""
        for handle in self.timers:
            handle.cancel()
        self.timers.clear()

    def add_cleanup(self, cleanup: Callable[[], None]) -> None:
        """Run ``cleanup`` after all processes have ended."""
        self._cleanups.append(cleanup)

    def bind(self) -> asyncio.Event:
        """Called once by the service in its loop: the event that tells it to look again."""
        self._wake = asyncio.Event()
        self._wake.set()
        return self._wake

    def wake(self) -> None:
        """Let the service look again."""
        if self._wake is not None:
            self._wake.set()

    def close(self) -> None:
        """Called once by the service at its end."""
        self._wake = None
        self.cancel_timers()
        self.guardian.close()
        for cleanup in self._cleanups:
            cleanup()
        self.output.close()

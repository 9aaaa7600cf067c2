"""Handlers of the events that launch files usually answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .event import Event, EventHandler, SomeReaction
from .events import Shutdown
from .events.process import ProcessExited
from .upstream_only import refuse_attribute

if TYPE_CHECKING:
    from .actions.execute_process import ExecuteProcess

__all__ = ["OnProcessExit", "OnShutdown"]


class OnProcessExit(EventHandler):
    """Answers the end of a process: of one action's, of those that a function of the action accepts, or of any."""

    def __init__(
        self,
        *,
        target_action: ExecuteProcess | Callable[[ExecuteProcess], bool] | None = None,
        on_exit: SomeReaction = None,
        handle_once: bool = False,
    ) -> None:
        self._target_action = target_action
        super().__init__(matcher=self._is_target, entities=on_exit, handle_once=handle_once)

    def _is_target(self, event: Event) -> bool:
        if not isinstance(event, ProcessExited):
            return False
        if callable(self._target_action):
            return self._target_action(event.action)
        return self._target_action is None or event.action is self._target_action


class OnShutdown(EventHandler):
    """Answers the shutdown of the launch, before processes are told to end."""

    def __init__(self, *, on_shutdown: SomeReaction = None, handle_once: bool = False) -> None:
        super().__init__(matcher=lambda event: isinstance(event, Shutdown), entities=on_shutdown, handle_once=handle_once)


__getattr__ = refuse_attribute(
    __name__,
    __all__,
    "OnActionEventBase OnExecutionComplete OnIncludeLaunchDescription OnProcessIO OnProcessStart",
)

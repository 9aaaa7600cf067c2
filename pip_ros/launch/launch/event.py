"""What happens while a launch file runs, and who answers to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .action import LaunchDescriptionEntity, SomeEntities, entity_list

if TYPE_CHECKING:
    from .launch_context import LaunchContext


class Event:
    """Base of all events."""

    name = "launch.Event"


SomeReaction = LaunchDescriptionEntity | SomeEntities | Callable[[Event, "LaunchContext"], SomeEntities]
"""Entities to visit, or a function of event and context that returns them."""


class EventHandler:
    """Answers the events that ``matcher`` accepts with ``entities`` (or what that function returns)."""

    def __init__(self, *, matcher: Callable[[Event], bool], entities: SomeReaction = None, handle_once: bool = False) -> None:
        self._matcher = matcher
        self._entities = entities
        self.handle_once = handle_once
        if not callable(entities):
            entity_list(entities)  # wrong types must fail where the launch file is written, not when the event comes

    def matches(self, event: Event) -> bool:
        """Whether this handler answers ``event``."""
        return self._matcher(event)

    def handle(self, event: Event, context: LaunchContext) -> Sequence[LaunchDescriptionEntity] | None:
        """The entities to visit."""
        if self.handle_once:
            context.unregister_event_handler(self)
        if callable(self._entities):
            return entity_list(self._entities(event, context))
        return entity_list(self._entities)

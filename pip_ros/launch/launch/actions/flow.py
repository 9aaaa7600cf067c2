"""Actions that bring other actions, events and handlers into play."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..action import Action, LaunchDescriptionEntity, SomeEntities, entity_list
from ..event import Event, EventHandler
from ..events import Shutdown as ShutdownEvent
from ..substitution import SomeSubstitutionsType, normalize_to_list_of_substitutions, perform_substitutions
from ..upstream_only import refuse_keywords

if TYPE_CHECKING:
    from ..conditions import Condition
    from ..launch_context import LaunchContext


class EmitEvent(Action):
    """Emits an event."""

    def __init__(self, *, event: Event, condition: Condition | None = None) -> None:
        super().__init__(condition=condition)
        self.event = event

    def execute(self, context: LaunchContext) -> None:
        context.emit_event_sync(self.event)

    def describe(self) -> str:
        return f"EmitEvent({self.event.name})"


class Shutdown(Action):
    """Ends the launch. As the answer to a process that died with a non-zero code it makes the launch exit with 1."""

    def __init__(self, *, reason: SomeSubstitutionsType = "reason not given", condition: Condition | None = None) -> None:
        super().__init__(condition=condition)
        self._reason = normalize_to_list_of_substitutions(reason)

    def execute(self, context: LaunchContext) -> None:
        context.emit_event_sync(ShutdownEvent(reason=perform_substitutions(context, self._reason)))


class RegisterEventHandler(Action):
    """Registers a handler from here on."""

    def __init__(self, event_handler: EventHandler, *, condition: Condition | None = None) -> None:
        super().__init__(condition=condition)
        self.event_handler = event_handler

    def execute(self, context: LaunchContext) -> None:
        context.register_event_handler(self.event_handler)

    def describe(self) -> str:
        return f"RegisterEventHandler({type(self.event_handler).__name__})"


class GroupAction(Action):
    """Actions with a common condition. Unless ``scoped`` is false, arguments and environment set inside end with the group.

    launch_configurations: values set at its start
    """

    def __init__(
        self,
        actions: Iterable[LaunchDescriptionEntity],
        *,
        scoped: bool = True,
        launch_configurations: Mapping[str, SomeSubstitutionsType] | None = None,
        condition: Condition | None = None,
        **unsupported: object,
    ) -> None:
        super().__init__(condition=condition)
        refuse_keywords(self, unsupported)
        self._actions = entity_list(actions)
        self._scoped = scoped
        self._configurations = {
            name: normalize_to_list_of_substitutions(value) for name, value in (launch_configurations or {}).items()
        }

    def execute(self, context: LaunchContext) -> Sequence[LaunchDescriptionEntity]:
        values = {name: perform_substitutions(context, value) for name, value in self._configurations.items()}
        if not self._scoped:
            context.launch_configurations.update(values)
            return self._actions
        context.push_scope()
        context.launch_configurations.update(values)
        return [*self._actions, _PopScope()]

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        return self._actions


class _PopScope(LaunchDescriptionEntity):
    def visit(self, context: LaunchContext) -> None:
        context.pop_scope()


class OpaqueFunction(Action):
    """Calls ``function(context, *args, **kwargs)`` when it is visited; the entities that it returns are visited next."""

    def __init__(
        self,
        *,
        function: Callable[..., SomeEntities],
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        if not callable(function):
            raise TypeError(f"OpaqueFunction: expected a function, got {type(function).__name__}")
        self._function = function
        self._args = tuple(args or ())
        self._kwargs = dict(kwargs or {})

    def execute(self, context: LaunchContext) -> Sequence[LaunchDescriptionEntity] | None:
        return entity_list(self._function(context, *self._args, **self._kwargs))

    def describe(self) -> str:
        return f"OpaqueFunction({getattr(self._function, '__name__', self._function)})"


class TimerAction(Action):
    """Visits ``actions`` after ``period`` seconds, unless the launch ends before."""

    def __init__(
        self,
        *,
        period: float | SomeSubstitutionsType,
        actions: Iterable[LaunchDescriptionEntity],
        condition: Condition | None = None,
        **unsupported: object,
    ) -> None:
        super().__init__(condition=condition)
        refuse_keywords(self, unsupported)
        self._period = period if isinstance(period, (int, float)) else normalize_to_list_of_substitutions(period)
        self._actions = entity_list(actions)

    def execute(self, context: LaunchContext) -> None:
        if context.is_shutdown:
            return
        period = self._period if isinstance(self._period, (int, float)) else perform_substitutions(context, self._period)
        try:
            period_s = float(period)
        except ValueError as error:
            raise RuntimeError(f"TimerAction: expected a period in seconds, got {period!r}") from error
        context.call_later(period_s, lambda: context.visit_now(self._actions))

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        return self._actions

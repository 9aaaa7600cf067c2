"""The parts of a launch description."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conditions import Condition
    from .launch_context import LaunchContext


class LaunchDescriptionEntity:
    """Anything that a launch description may hold."""

    def visit(self, context: LaunchContext) -> Sequence[LaunchDescriptionEntity] | None:
        """Do what the entity is for; what it returns is visited next, in order."""
        raise TypeError(f"{type(self).__name__} must override visit(context)")

    def describe(self) -> str:
        """One line for ``ros2 launch --print``."""
        return f"{type(self).__name__}()"

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        """Entities inside this one, as far as they are known before it runs."""
        return ()


SomeActions = Iterable[LaunchDescriptionEntity] | None
SomeEntities = Iterable[LaunchDescriptionEntity] | None


class Action(LaunchDescriptionEntity):
    """An entity that does something, where its condition allows it."""

    def __init__(self, *, condition: Condition | None = None) -> None:
        self.condition = condition

    def visit(self, context: LaunchContext) -> Sequence[LaunchDescriptionEntity] | None:
        if self.condition is not None and not self.condition.evaluate(context):
            return None
        return self.execute(context)

    def execute(self, context: LaunchContext) -> Sequence[LaunchDescriptionEntity] | None:
        """Do it; what is returned is visited next."""
        raise TypeError(f"{type(self).__name__} must override execute(context)")


def entity_list(entities: LaunchDescriptionEntity | Iterable[LaunchDescriptionEntity] | None) -> list[LaunchDescriptionEntity]:
    """One entity, several or none, as a list."""
    if entities is None:
        return []
    if isinstance(entities, LaunchDescriptionEntity):
        return [entities]
    checked = list(entities)
    for entity in checked:
        if not isinstance(entity, LaunchDescriptionEntity):
            raise TypeError(f"expected an action or another launch entity, got {type(entity).__name__}: {entity!r}")
    return checked

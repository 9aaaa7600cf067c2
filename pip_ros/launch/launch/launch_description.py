"""A list of actions, and the launch arguments among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from .action import LaunchDescriptionEntity, entity_list
from .actions.declare_launch_argument import DeclareLaunchArgument

if TYPE_CHECKING:
    from .launch_context import LaunchContext


class LaunchDescription(LaunchDescriptionEntity):
    """What a launch file's ``generate_launch_description`` returns; visited in order."""

    def __init__(self, initial_entities: Iterable[LaunchDescriptionEntity] | None = None) -> None:
        self.entities = entity_list(initial_entities)

    def add_action(self, action: LaunchDescriptionEntity) -> None:
        """Append one action."""
        self.add_entity(action)

    def add_entity(self, entity: LaunchDescriptionEntity) -> None:
        """Append one entity."""
        self.entities.extend(entity_list(entity))

    def visit(self, context: LaunchContext) -> Sequence[LaunchDescriptionEntity]:
        return self.entities

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        return self.entities

    def get_launch_arguments(self) -> list[DeclareLaunchArgument]:
        """Declared arguments in order, also those inside groups and included files; of equal names the first."""
        arguments: dict[str, DeclareLaunchArgument] = {}
        for argument in _arguments(self):
            arguments.setdefault(argument.name, argument)
        return list(arguments.values())


def _arguments(entity: LaunchDescriptionEntity) -> Iterator[DeclareLaunchArgument]:
    if isinstance(entity, DeclareLaunchArgument):
        yield entity
    for inner in entity.describe_sub_entities():
        yield from _arguments(inner)

"""Launch files inside launch files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..action import Action, LaunchDescriptionEntity
from ..launch_description_sources import LaunchDescriptionSource, PythonLaunchDescriptionSource
from ..substitution import SomeSubstitutionsType, SubstitutionFailure, normalize_to_list_of_substitutions, perform_substitutions
from .configuration import SetLaunchConfiguration

if TYPE_CHECKING:
    from ..conditions import Condition
    from ..launch_context import LaunchContext


class IncludeLaunchDescription(Action):
    """Visits another launch file's description.

    launch_arguments: (name, value) pairs for it. They stay set after the include; put it into a GroupAction to end them there.
    RuntimeError when an argument without default is not given.
    """

    def __init__(
        self,
        launch_description_source: LaunchDescriptionSource | SomeSubstitutionsType,
        *,
        launch_arguments: Iterable[tuple[SomeSubstitutionsType, SomeSubstitutionsType]] | None = None,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        if not isinstance(launch_description_source, LaunchDescriptionSource):
            launch_description_source = PythonLaunchDescriptionSource(launch_description_source)
        self._source = launch_description_source
        self._arguments = [
            (normalize_to_list_of_substitutions(name), normalize_to_list_of_substitutions(value))
            for name, value in launch_arguments or ()
        ]

    def execute(self, context: LaunchContext) -> Sequence[LaunchDescriptionEntity]:
        values = [
            (perform_substitutions(context, name), perform_substitutions(context, value)) for name, value in self._arguments
        ]
        description = self._source.get_launch_description(context)
        known = set(context.launch_configurations) | {name for name, _ in values}
        for argument in description.get_launch_arguments():
            if argument.default_value is None and argument.condition is None and argument.name not in known:
                raise RuntimeError(
                    f"launch argument '{argument.name}' is missing ({argument.description}); "
                    f"give {argument.name}:=VALUE to {self._source.location}"
                )
        return [*(SetLaunchConfiguration(name, value) for name, value in values), description]

    def describe(self) -> str:
        return f"IncludeLaunchDescription({self._source.location})"

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        from ..launch_context import LaunchContext

        try:
            return [self._source.get_launch_description(LaunchContext())]
        except SubstitutionFailure:  # the path depends on arguments: what is in it is not known before it runs
            return []

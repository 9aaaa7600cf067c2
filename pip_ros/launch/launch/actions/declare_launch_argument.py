"""Arguments of a launch file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..action import Action
from ..substitution import (
    SomeSubstitutionsType,
    describe_substitutions,
    normalize_to_list_of_substitutions,
    perform_substitutions,
)

if TYPE_CHECKING:
    from ..conditions import Condition
    from ..launch_context import LaunchContext


class DeclareLaunchArgument(Action):
    """Declares an argument ``name``, given as ``name:=value``; without a default it must be given.

    choices: the only values it may have. RuntimeError when the value is none of them or missing.
    """

    def __init__(
        self,
        name: str,
        *,
        default_value: SomeSubstitutionsType | None = None,
        description: str | None = None,
        choices: Iterable[str] | None = None,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        self.name = name
        self.default_value = None if default_value is None else normalize_to_list_of_substitutions(default_value)
        self.description = description or "no description given"
        self.choices = None if choices is None else list(choices)
        if self.choices is not None:
            if not self.choices:
                raise ValueError(f"DeclareLaunchArgument '{name}': expected at least one choice, got an empty list")
            if isinstance(default_value, str) and default_value not in self.choices:
                raise ValueError(f"DeclareLaunchArgument '{name}': default {default_value!r} is none of {self.choices}")

    def execute(self, context: LaunchContext) -> None:
        values = context.launch_configurations
        if self.name not in values:
            if self.default_value is None:
                raise RuntimeError(f"launch argument '{self.name}' is missing ({self.description}); give {self.name}:=VALUE")
            values[self.name] = perform_substitutions(context, self.default_value)
        if self.choices is not None and values[self.name] not in self.choices:
            expected = ", ".join(self.choices)
            raise RuntimeError(f"launch argument '{self.name}': expected one of {expected}, got '{values[self.name]}'")

    def describe(self) -> str:
        default = "none" if self.default_value is None else describe_substitutions(self.default_value)
        return f"DeclareLaunchArgument(name={self.name!r}, default={default})"

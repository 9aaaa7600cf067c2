"""Actions on the launch's own state."""

from __future__ import annotations

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


class _SetText(Action):
    def __init__(self, name: SomeSubstitutionsType, value: SomeSubstitutionsType, *, condition: Condition | None = None) -> None:
        super().__init__(condition=condition)
        self._name = normalize_to_list_of_substitutions(name)
        self._value = normalize_to_list_of_substitutions(value)

    def _texts(self, context: LaunchContext) -> tuple[str, str]:
        return perform_substitutions(context, self._name), perform_substitutions(context, self._value)

    def describe(self) -> str:
        return f"{type(self).__name__}({describe_substitutions(self._name)}, {describe_substitutions(self._value)})"


class SetEnvironmentVariable(_SetText):
    """Sets an environment variable of the processes that start after it, up to the end of its GroupAction."""

    def execute(self, context: LaunchContext) -> None:
        name, value = self._texts(context)
        context.environment[name] = value


class SetLaunchConfiguration(_SetText):
    """Sets a launch configuration, up to the end of its GroupAction."""

    def execute(self, context: LaunchContext) -> None:
        name, value = self._texts(context)
        context.launch_configurations[name] = value


class LogInfo(Action):
    """Prints a message of the launch."""

    def __init__(self, *, msg: SomeSubstitutionsType, condition: Condition | None = None) -> None:
        super().__init__(condition=condition)
        self.msg = normalize_to_list_of_substitutions(msg)

    def execute(self, context: LaunchContext) -> None:
        context.output.message("INFO", "launch.user", perform_substitutions(context, self.msg))

    def describe(self) -> str:
        return f"LogInfo({describe_substitutions(self.msg)})"

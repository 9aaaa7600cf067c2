"""Substitutions of launch files."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from .substitution import (
    SomeSubstitutionsType,
    Substitution,
    SubstitutionFailure,
    TextSubstitution,
    describe_substitutions,
    normalize_to_list_of_substitutions,
    perform_substitutions,
)
from .upstream_only import refuse_attribute

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .launch_context import LaunchContext

__all__ = [
    "EnvironmentVariable",
    "LaunchConfiguration",
    "PathJoinSubstitution",
    "PythonExpression",
    "SubstitutionFailure",
    "TextSubstitution",
]


class LaunchConfiguration(Substitution):
    """The value of a launch argument, or ``default`` where it has none."""

    def __init__(self, variable_name: SomeSubstitutionsType, *, default: SomeSubstitutionsType | None = None) -> None:
        self.variable_name = normalize_to_list_of_substitutions(variable_name)
        self._default = None if default is None else normalize_to_list_of_substitutions(default)

    def perform(self, context: LaunchContext) -> str:
        name = perform_substitutions(context, self.variable_name)
        if name in context.launch_configurations:
            return context.launch_configurations[name]
        if self._default is not None:
            return perform_substitutions(context, self._default)
        raise SubstitutionFailure(
            f"launch configuration '{name}' does not exist; declare it with DeclareLaunchArgument before it is used, "
            f"or give it on the command line as {name}:=VALUE"
        )

    def describe(self) -> str:
        return f"LaunchConfig({describe_substitutions(self.variable_name)})"


class EnvironmentVariable(Substitution):
    """The value of an environment variable at that moment, or ``default_value`` where it is not set."""

    def __init__(self, name: SomeSubstitutionsType, *, default_value: SomeSubstitutionsType | None = None) -> None:
        self._name = normalize_to_list_of_substitutions(name)
        self._default = None if default_value is None else normalize_to_list_of_substitutions(default_value)

    def perform(self, context: LaunchContext) -> str:
        name = perform_substitutions(context, self._name)
        value = context.environment.get(name)
        if value is not None:
            return value
        if self._default is not None:
            return perform_substitutions(context, self._default)
        raise SubstitutionFailure(f"environment variable '{name}' is not set; set it or give EnvironmentVariable a default_value")

    def describe(self) -> str:
        return f"EnvVar({describe_substitutions(self._name)})"


class PathJoinSubstitution(Substitution):
    """Path components, joined by the system's separator."""

    def __init__(self, substitutions: Iterable[str | Path | Substitution]) -> None:
        self._components = normalize_to_list_of_substitutions(substitutions)

    def perform(self, context: LaunchContext) -> str:
        return os.path.join(*(context.perform_substitution(component) for component in self._components))

    def describe(self) -> str:
        return f"PathJoin({', '.join(component.describe() for component in self._components)})"


class PythonExpression(Substitution):
    """The result of a Python expression, as text. Builtins and the names of ``math`` are known to it."""

    def __init__(self, expression: SomeSubstitutionsType) -> None:
        self._expression = normalize_to_list_of_substitutions(expression)

    def perform(self, context: LaunchContext) -> str:
        expression = perform_substitutions(context, self._expression)
        try:
            return str(eval(expression, {"math": math, **vars(math)}))
        except Exception as error:
            raise SubstitutionFailure(f"PythonExpression({expression!r}): {type(error).__name__}: {error}") from error

    def describe(self) -> str:
        return f"PythonExpr({describe_substitutions(self._expression)})"


__getattr__ = refuse_attribute(
    __name__,
    __all__,
    "AndSubstitution AnySubstitution AllSubstitution AnonName BooleanSubstitution Command EqualsSubstitution FileContent "
    "FindExecutable ForLoopIndex ForEachVar IfElseSubstitution LaunchLogDir LocalSubstitution NotEqualsSubstitution "
    "NotSubstitution OrSubstitution PathSubstitution StringJoinSubstitution ThisLaunchFile ThisLaunchFileDir",
)

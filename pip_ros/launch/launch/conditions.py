"""Conditions that let an action run or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .substitution import SomeSubstitutionsType, normalize_to_list_of_substitutions, perform_substitutions
from .upstream_only import refuse_attribute

if TYPE_CHECKING:
    from .launch_context import LaunchContext

__all__ = ["IfCondition", "InvalidConditionExpressionError", "UnlessCondition"]


class InvalidConditionExpressionError(RuntimeError):
    """A condition's text is neither true nor false."""


class Condition:
    """A predicate over the launch context."""

    def __init__(self, *, predicate: Callable[[LaunchContext], bool]) -> None:
        self._predicate = predicate

    def evaluate(self, context: LaunchContext) -> bool:
        """Whether the action may run."""
        return self._predicate(context)


class IfCondition(Condition):
    """True when the text is ``true`` or ``1``, false when it is ``false`` or ``0``; case does not matter."""

    def __init__(self, predicate_expression: SomeSubstitutionsType) -> None:
        self._expression = normalize_to_list_of_substitutions(predicate_expression)
        super().__init__(predicate=self._is_true)

    def _is_true(self, context: LaunchContext) -> bool:
        text = perform_substitutions(context, self._expression)
        value = text.strip().lower()
        if value not in ("true", "1", "false", "0"):
            raise InvalidConditionExpressionError(f"{type(self).__name__}: expected true, false, 1 or 0, got {text!r}")
        return value in ("true", "1")


class UnlessCondition(IfCondition):
    """The opposite of IfCondition."""

    def evaluate(self, context: LaunchContext) -> bool:
        return not super().evaluate(context)


__getattr__ = refuse_attribute(
    __name__, __all__, "LaunchConfigurationEquals LaunchConfigurationNotEquals evaluate_condition_expression"
)

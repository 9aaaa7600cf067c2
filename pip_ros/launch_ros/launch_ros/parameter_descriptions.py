"""Values of node parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from launch import LaunchContext, SomeSubstitutionsType, Substitution
from launch.upstream_only import refuse_attribute
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

__all__ = ["ParameterValue"]

Scalar = bool | int | float | str
EvaluatedValue = Scalar | list[Scalar]
_ITEM_TYPES = {list[kind]: kind for kind in (bool, int, float, str)}  # type: ignore[valid-type]


class ParameterValue:
    """A value with a type: ``bool``, ``int``, ``float``, ``str``, a ``list`` of one of them, or None to go by YAML's rules.

    value: a plain value, or texts and substitutions that result in one
    """

    def __init__(self, value: Any, *, value_type: Any = None, description: SomeSubstitutionsType | None = None) -> None:
        if value_type is not None and value_type not in (bool, int, float, str) and value_type not in _ITEM_TYPES:
            raise TypeError(f"ParameterValue: expected bool, int, float, str, a list of one, or None, got {value_type}")
        self.value = value
        self.value_type = value_type
        self.description = description

    def evaluate(self, context: LaunchContext) -> EvaluatedValue:
        """The value. Raises ValueError when it is not of the type."""
        value = self.value
        if _holds_substitution(value) or isinstance(value, str):
            text = perform_substitutions(context, normalize_to_list_of_substitutions(value))
            if self.value_type is str:
                return text
            value = yaml.safe_load(text)
        return _check_type(value, self.value_type)


def evaluate_parameter_dict(context: LaunchContext, parameters: Mapping[Any, Any], prefix: str = "") -> dict[str, EvaluatedValue]:
    """Names and values of a dictionary of parameters; inner dictionaries get names with dots.

    A text stays a text; a substitution's result goes by YAML's rules. A list with a substitution in it is joined to one text
    that goes by YAML's rules too; any other list is an array whose items have one type.
    """
    evaluated: dict[str, EvaluatedValue] = {}
    for key, value in parameters.items():
        name = prefix + perform_substitutions(context, normalize_to_list_of_substitutions(key))
        if isinstance(value, Mapping):
            evaluated.update(evaluate_parameter_dict(context, value, prefix=name + "."))
        elif isinstance(value, ParameterValue):
            try:
                evaluated[name] = value.evaluate(context)
            except (ValueError, yaml.YAMLError) as error:
                raise ValueError(f"parameter '{name}': {error}") from error
        elif isinstance(value, str):
            evaluated[name] = value
        else:
            evaluated[name] = ParameterValue(value).evaluate(context)
    return evaluated


def _holds_substitution(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_holds_substitution(item) for item in value)
    return isinstance(value, Substitution)


def _check_type(value: Any, expected: Any) -> EvaluatedValue:
    if isinstance(value, (list, tuple)):
        item_type = _ITEM_TYPES.get(expected) if expected is not None else None
        if expected is not None and item_type is None:
            raise ValueError(f"expected a {expected.__name__}, got the list {value!r}")
        return _check_items(value, item_type)
    if expected in _ITEM_TYPES:
        raise ValueError(f"expected a list, got {value!r}")
    return _check_scalar(value, expected)


def _check_items(values: Sequence[Any], item_type: Any) -> list[Scalar]:
    if item_type is None and {type(value) for value in values} == {int, float}:
        item_type = float
    items = [_check_scalar(value, item_type) for value in values]
    if len({type(item) for item in items}) > 1:
        raise ValueError(f"expected a list with items of one type, got {list(values)!r}")
    return items


def _check_scalar(value: Any, expected: Any) -> Scalar:
    if expected is float and type(value) is int:
        return float(value)
    if (expected is not None and type(value) is not expected) or not isinstance(value, (bool, int, float, str)):
        raise ValueError(f"expected a {expected.__name__ if expected else 'bool, int, float or str'}, got {value!r}")
    return value


__getattr__ = refuse_attribute(__name__, __all__, "Parameter ParameterFile", "launch_ros")

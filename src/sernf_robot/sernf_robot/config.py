"""Typed configuration: YAML files onto frozen dataclasses.

The dataclass owns names, types, defaults and checks; a file only overrides. An unknown key, a key with another unit, a missing
key or a value of the wrong type raises `ConfigError`, which names the file and the key and says what was expected.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

ConfigT = TypeVar("ConfigT")

UNIT_SUFFIXES = (
    "_rad_s3", "_rad_s2", "_rad_s", "_rad", "_deg_s", "_deg", "_m_s", "_mm", "_m",
    "_hz", "_khz", "_ms", "_us", "_s", "_kg", "_g", "_nm", "_n", "_px",
)  # fmt: skip


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names file and key and says what to do."""


def load_config(cls: type[ConfigT], path: str | Path, overrides: Mapping[str, Any] | None = None) -> ConfigT:
    """Read `path` (YAML mapping) into the frozen dataclass `cls`; `overrides` win over the file, mappings key by key."""
    path = Path(path)
    try:
        text = path.read_text()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); expected a YAML file for {cls.__name__}") from error
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected a mapping of keys to values, got {type(content).__name__}")
    return from_mapping(cls, _merged(content, overrides or {}), where=str(path))


def from_mapping(cls: type[ConfigT], content: Mapping[str, Any], *, where: str) -> ConfigT:
    """Build `cls` from `content`; nested dataclasses, tuples, dicts, unions with None and Literals are followed."""
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    for key in content:
        if key not in fields:
            raise ConfigError(f"{where}: unknown key '{key}'{_hint(str(key), fields)}")
    values = {key: _convert(hints[key], value, f"{where}: {key}") for key, value in content.items()}
    missing = [
        name
        for name, field in fields.items()
        if name not in values and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"{where}: missing key '{missing[0]}' of {cls.__name__}; it has no default, give its value")
    try:
        return cls(**values)
    except ConfigError:
        raise
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{where}: {error}") from error


def _merged(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in overrides.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(below, value) if both else value  # type: ignore[arg-type]
    return merged


def _hint(key: str, fields: Mapping[str, object]) -> str:
    stem = _without_unit(key)
    for name in fields:
        if stem != key and _without_unit(name) == stem:
            return f": wrong unit, expected '{name}'"
    close = difflib.get_close_matches(key, list(fields), n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known keys: {', '.join(sorted(fields))}"


def _without_unit(key: str) -> str:
    for suffix in UNIT_SUFFIXES:
        if key.endswith(suffix):
            return key[: -len(suffix)]
    return key


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, Mapping):
            raise _wrong(where, "a mapping", value)
        return from_mapping(hint, value, where=where)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        rest = [argument for argument in arguments if argument is not type(None)]
        return _convert(rest[0], value, where)
    if origin is typing.Literal:
        if value not in arguments:
            raise _wrong(where, "one of " + ", ".join(map(repr, arguments)), value)
        return value
    if origin is tuple:
        return _convert_tuple(arguments, value, where)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise _wrong(where, "a mapping", value)
        return {str(key): _convert(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    return _convert_scalar(hint, value, where)


def _convert_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise _wrong(where, "a list", value)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = (arguments[0],) * len(value)
    elif len(arguments) != len(value):
        raise _wrong(where, f"a list of {len(arguments)} values", value)
    pairs = enumerate(zip(arguments, value, strict=True))
    return tuple(_convert(item_hint, item, f"{where}[{index}]") for index, (item_hint, item) in pairs)


def _convert_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is bool:
        if not isinstance(value, bool):
            raise _wrong(where, "true or false", value)
        return value
    if hint is float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _wrong(where, "a number", value)
        return float(value)
    if hint is int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong(where, "a whole number", value)
        return value
    if hint is str:
        if not isinstance(value, str):
            raise _wrong(where, "text", value)
        return value
    if hint is Path:
        if not isinstance(value, (str, Path)):
            raise _wrong(where, "a path", value)
        return Path(value)
    raise TypeError(f"{where}: configuration fields of type {hint} are not supported")


def _wrong(where: str, expected: str, value: Any) -> ConfigError:
    return ConfigError(f"{where}: expected {expected}, got {value!r}")

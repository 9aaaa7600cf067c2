"""Definitions of message types as text, which bags carry so that they can be read anywhere.

Types of ROS 2 Kilted are known; every other one is read from the `.msg` files of the packages in `AMENT_PREFIX_PATH`.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore


class UnknownTypeError(ValueError):
    """A message type whose definition is nowhere to be found."""


class MessageDefinitions:
    """Looks definitions up once."""

    def __init__(self) -> None:
        self._store: Typestore = get_typestore(Stores.ROS2_KILTED)
        self._known: dict[str, tuple[str, str]] = {}

    def of(self, msgtype: str) -> tuple[str, str]:
        """Text and RIHS01 hash of "package/msg/Name"; raises UnknownTypeError."""
        if msgtype not in self._known:
            self._register(msgtype)
            text, _ = self._store.generate_msgdef(msgtype, ros_version=2)
            self._known[msgtype] = (text, self._store.hash_rihs01(msgtype))
        return self._known[msgtype]

    def _register(self, msgtype: str) -> None:
        if msgtype in self._store.fielddefs:
            return
        types = get_types_from_msg(_read_definition(msgtype), msgtype)
        for name in set(_names_in(types[msgtype])) - {msgtype}:
            self._register(name)
        self._store.register(types)


def typestore_from(definitions: dict[str, str]) -> Typestore:
    """Types read back from the definitions that a bag carries (type to text), for machines without these packages.

    To be read only: whoever asks for the same definitions gets the same store, since all bags of a data set carry them.
    """
    return _store_of(frozenset(definitions.items()))


@functools.lru_cache(maxsize=16)
def _store_of(definitions: frozenset[tuple[str, str]]) -> Typestore:
    store = get_typestore(Stores.ROS2_KILTED)
    for msgtype, text in sorted(definitions):
        types = get_types_from_msg(text, msgtype)
        store.register({name: fields for name, fields in types.items() if name not in store.fielddefs})
    return store


def _read_definition(msgtype: str) -> str:
    package, _, name = msgtype.split("/")
    prefixes = [prefix for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    for prefix in prefixes:
        path = Path(prefix) / "share" / package / "msg" / f"{name}.msg"
        if path.is_file():
            return path.read_text()
    raise UnknownTypeError(
        f"{msgtype}: expected share/{package}/msg/{name}.msg in AMENT_PREFIX_PATH, looked in {', '.join(prefixes) or 'nothing'}; "
        "source the workspace that has this package"
    )


def _names_in(definition: Any) -> Iterator[str]:
    """Message types mentioned anywhere in a parsed definition."""
    if isinstance(definition, str):
        if "/msg/" in definition:
            yield definition
    elif isinstance(definition, (tuple, list)):
        for item in definition:
            yield from _names_in(item)

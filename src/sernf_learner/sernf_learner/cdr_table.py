"""Many serialised messages of one type as columns of numbers, without building a message object for any of them.

Messages of one topic differ in their numbers and hardly ever in their shape: the lengths of their strings and sequences. One
message of each shape is walked along its type's definition, which gives the offset of every field; the columns of all others
with this shape are then cut out at once. A topic whose messages all have different shapes is read correctly too, only not as
fast.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Nodetype

Bytes = NDArray[np.uint8]

LITTLE_ENDIAN = b"\x00\x01"
HEADER_SIZE = 4
"""bytes before the message, from which alignment counts"""
LENGTH = struct.Struct("<I")
NUMBERS = {
    "bool": "u1", "byte": "u1", "char": "u1", "uint8": "u1", "int8": "i1", "uint16": "<u2", "int16": "<i2", "uint32": "<u4",
    "int32": "<i4", "uint64": "<u8", "int64": "<i8", "float32": "<f4", "float64": "<f8",
}  # fmt: skip
"""ROS type -> numpy type."""


class CdrError(ValueError):
    """Bytes that are no message of the type; the message says what was expected."""


@dataclass(frozen=True)
class Block:
    """Messages that share one shape and the texts of the wanted fields.

    `rows` (k,): their places among the messages. `numbers`: field, such as "header.stamp.sec", -> (k,), or (k, n) for n elements.
    `texts`: field -> the strings that all k have, one for a plain string.
    """

    rows: NDArray[np.intp]
    numbers: Mapping[str, NDArray[Any]]
    texts: Mapping[str, tuple[str, ...]]


def read_blocks(messages: Sequence[bytes], store: Any, msgtype: str, wanted: Collection[str]) -> Iterator[Block]:
    """The `wanted` fields of all messages, in blocks; `store` holds the definition of `msgtype` (a rosbags Typestore).

    Raises CdrError for bytes that do not fit the definition, and for a wanted field that it does not have.
    """
    by_size: dict[int, list[int]] = {}
    for row, data in enumerate(messages):
        by_size.setdefault(len(data), []).append(row)
    for size, chosen in by_size.items():
        joined = b"".join(messages[row] for row in chosen)
        content = np.frombuffer(joined, dtype=np.uint8).reshape(len(chosen), size)
        rows = np.array(chosen, dtype=np.intp)
        while len(rows):
            shape = _shape_of(content[0].tobytes(), store, msgtype, frozenset(wanted))
            alike = (content[:, shape.fixed] == content[0, shape.fixed]).all(axis=1)
            columns = {name: _column(content[alike], *place) for name, place in shape.numbers.items()}
            yield Block(rows[alike], columns, shape.texts)
            content, rows = content[~alike], rows[~alike]


@dataclass
class _Shape:
    """`fixed`: bytes that all messages of this shape share. `numbers`: field -> offset, numpy type, elements (None: a scalar)."""

    fixed: NDArray[np.intp]
    numbers: dict[str, tuple[int, str, int | None]]
    texts: dict[str, tuple[str, ...]]


def _column(content: Bytes, offset: int, number: str, count: int | None) -> NDArray[Any]:
    width = np.dtype(number).itemsize
    values = np.ascontiguousarray(content[:, offset : offset + width * (1 if count is None else count)]).view(number)
    return values[:, 0] if count is None else values


def _shape_of(data: bytes, store: Any, msgtype: str, wanted: frozenset[str]) -> _Shape:
    walk = _Walk(data, store.fielddefs, wanted)
    try:
        walk.message(msgtype, "")
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise CdrError(f"expected a {msgtype}, got {len(data)} bytes that end or break within it: {error}") from error
    missing = sorted(wanted - walk.numbers.keys() - walk.texts.keys())
    if missing:
        raise CdrError(f"expected {msgtype} to have the fields {', '.join(missing)}; its definition in the bag does not")
    fixed = np.concatenate([np.arange(*span) for span in walk.fixed]).astype(np.intp)
    return _Shape(fixed, walk.numbers, walk.texts)


@dataclass
class _Walk:
    """Goes through one message field by field; every method begins where the last one ended."""

    data: bytes
    definitions: Mapping[str, Any]
    wanted: frozenset[str]
    offset: int = HEADER_SIZE
    fixed: list[tuple[int, int]] = field(default_factory=lambda: [(0, HEADER_SIZE)])
    numbers: dict[str, tuple[int, str, int | None]] = field(default_factory=dict)
    texts: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def message(self, msgtype: str, prefix: str) -> None:
        """`prefix`: of its fields' names, such as "header."."""
        if self.data[: len(LITTLE_ENDIAN)] != LITTLE_ENDIAN:
            raise CdrError(f"expected little-endian CDR, got a message that begins with {self.data[:HEADER_SIZE].hex()}")
        for name, description in self.definitions[msgtype][1]:
            self._field(description, prefix + name)

    def _field(self, description: Any, name: str) -> None:
        kind, content = description
        if kind == Nodetype.BASE:
            self._base(content[0], name, None)
        elif kind == Nodetype.NAME:
            self.message(content, f"{name}.")
        else:
            (element_kind, element), count = content
            if kind == Nodetype.SEQUENCE:
                count = self._length()
            if element_kind == Nodetype.BASE:
                self._base(element[0], name, count)
            else:
                for index in range(count):
                    self.message(element, f"{name}.{index}.")

    def _base(self, base: str, name: str, count: int | None) -> None:
        if base == "string":
            texts = tuple(self._text(name) for _ in range(1 if count is None else count))
            if name in self.wanted:
                self.texts[name] = texts
        elif base not in NUMBERS:
            raise CdrError(f"{name}: expected numbers or strings, got {base}")
        elif count != 0:  # an empty sequence is not aligned
            width = np.dtype(NUMBERS[base]).itemsize
            self._align(width)
            begin = self.offset
            self._advance(width * (1 if count is None else count))
            if name in self.wanted:
                self.numbers[name] = (begin, NUMBERS[base], count)
        elif name in self.wanted:
            self.numbers[name] = (self.offset, NUMBERS[base], 0)

    def _text(self, name: str) -> str:
        size = self._length()
        begin = self.offset
        self._advance(size)
        if name not in self.wanted:
            return ""
        self.fixed.append((begin, self.offset))
        return self.data[begin : self.offset].rstrip(b"\x00").decode()

    def _length(self) -> int:
        self._align(LENGTH.size)
        (value,) = LENGTH.unpack_from(self.data, self.offset)
        self.fixed.append((self.offset, self.offset + LENGTH.size))
        self.offset += LENGTH.size
        return int(value)

    def _align(self, width: int) -> None:
        self.offset += -(self.offset - HEADER_SIZE) % width

    def _advance(self, size: int) -> None:
        self.offset += size
        if self.offset > len(self.data):
            raise IndexError(f"{self.offset} bytes needed, {len(self.data)} there")


def stamps_ns(block: Block, name: str) -> NDArray[np.int64]:
    """(k,) nanoseconds since the epoch of the time field `name`, whose parts `name`.sec and `name`.nanosec were wanted."""
    stamps: NDArray[np.int64] = block.numbers[f"{name}.sec"].astype(np.int64) * 1_000_000_000 + block.numbers[f"{name}.nanosec"]
    return stamps


def time_fields(*names: str) -> tuple[str, ...]:
    """What has to be wanted for `stamps_ns`."""
    return tuple(f"{name}.{part}" for name in names for part in ("sec", "nanosec"))

"""Columns cut out of bytes are what a deserialiser makes of them, whatever the shapes of the messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import TYPES, serialised, store_of

from sernf_learner.cdr_table import CdrError, read_blocks

BRIDGE = TYPES["bridge_state"]
NUMBERS = ("header.stamp.sec", "header.stamp.nanosec", "mode", "requested_position_rad", "executed_position_rad", "tick")
TEXTS = ("active_source", "joint_names", "clipped", "header.frame_id")

TEXT = st.text(max_size=5).filter(lambda text: "\x00" not in text)
VECTOR = st.lists(st.floats(), max_size=3)
BRIDGE_STATES = st.fixed_dictionaries(
    {
        "header": st.fixed_dictionaries(
            {
                "stamp": st.fixed_dictionaries({"sec": st.integers(0, 2**31 - 1), "nanosec": st.integers(0, 10**9 - 1)}),
                "frame_id": TEXT,
            }
        ),
        "mode": st.integers(0, 255), "reason": TEXT, "active_source": st.sampled_from(["policy", "teleop", ""]),
        "joint_names": st.lists(TEXT, max_size=3), "requested_position_rad": VECTOR, "executed_position_rad": VECTOR,
        "clipped": st.lists(TEXT, max_size=2), "command_age_s": st.floats(), "tick": st.integers(0, 2**64 - 1),
    }
)  # fmt: skip


def value_of(message: Any, path: str) -> Any:
    for part in path.split("."):
        message = getattr(message, part)
    return message


@settings(max_examples=60, deadline=None)
@given(st.lists(BRIDGE_STATES, min_size=1, max_size=8), st.integers(1, 3))
def test_every_message_is_read_as_a_deserialiser_does(contents: list[dict[str, Any]], repeats: int) -> None:
    store = store_of(BRIDGE)
    data = [serialised(BRIDGE, **content) for content in contents] * repeats
    seen = []
    for block in read_blocks(data, store, BRIDGE, (*NUMBERS, *TEXTS)):
        for place, row in enumerate(block.rows.tolist()):
            seen.append(row)
            expected = store.deserialize_cdr(data[row], BRIDGE)
            for name in NUMBERS:
                np.testing.assert_array_equal(block.numbers[name][place], value_of(expected, name))
            for name in TEXTS:
                value = value_of(expected, name)
                assert block.texts[name] == ((value,) if isinstance(value, str) else tuple(value))
    assert sorted(seen) == list(range(len(data)))


def test_messages_of_one_shape_come_in_one_block() -> None:
    data = [serialised(BRIDGE, tick=tick, reason="abc" if tick % 2 else "xyz", clipped=["a"] * (tick > 7)) for tick in range(10)]
    blocks = list(read_blocks(data, store_of(BRIDGE), BRIDGE, ("tick", "clipped")))
    assert [block.rows.tolist() for block in blocks] == [list(range(8)), [8, 9]]
    assert [block.texts["clipped"] for block in blocks] == [(), ("a",)]


def test_a_field_that_the_type_does_not_have_is_named() -> None:
    with pytest.raises(CdrError, match=r"to have the fields colour; its definition in the bag does not"):
        list(read_blocks([serialised(BRIDGE)], store_of(BRIDGE), BRIDGE, ("tick", "colour")))


@pytest.mark.parametrize("size", [5, 30, 100])
def test_cut_messages_are_refused(size: int) -> None:
    data = serialised(BRIDGE, joint_names=["a", "b"], requested_position_rad=[1.0, 2.0])
    with pytest.raises(CdrError, match="expected a sernf_msgs/msg/BridgeState, got"):
        list(read_blocks([data[:size]], store_of(BRIDGE), BRIDGE, ("tick",)))


def test_lengths_from_nowhere_are_refused() -> None:
    data = bytearray(serialised(BRIDGE))
    data[12:16] = b"\xff\xff\xff\x7f"  # of frame_id
    with pytest.raises(CdrError, match="bytes needed"):
        list(read_blocks([bytes(data)], store_of(BRIDGE), BRIDGE, ("tick",)))


def test_other_byte_orders_are_refused() -> None:
    data = b"\x00\x00" + serialised(BRIDGE)[2:]
    with pytest.raises(CdrError, match="expected little-endian CDR, got a message that begins with 00000000"):
        list(read_blocks([data], store_of(BRIDGE), BRIDGE, ("tick",)))


def test_texts_of_the_same_length_are_kept_apart() -> None:
    data = [serialised(BRIDGE, active_source=source, reason=source[::-1]) for source in ("policy", "teleop", "policy")]
    blocks = read_blocks(data, store_of(BRIDGE), BRIDGE, ("active_source",))
    assert {block.texts["active_source"]: block.rows.tolist() for block in blocks} == {("policy",): [0, 2], ("teleop",): [1]}

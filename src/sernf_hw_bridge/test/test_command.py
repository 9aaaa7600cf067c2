"""Only complete, finite, fresh and ordered commands of known sources are accepted; what is refused leaves no trace."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from sernf_hw_bridge.command import Command, CommandConfig, CommandValidator, Rejection

NAMES = ("a", "b", "c")
NOW_NS = 1_700_000_000_000_000_000
MS = 1_000_000


def check(validator: CommandValidator, **changes: Any) -> Command | Rejection:
    good: dict[str, Any] = {
        "source": "policy", "stamp_ns": NOW_NS, "joint_names": list(NAMES), "position_rad": [0.1, 0.2, 0.3],
        "release": False, "now_ns": NOW_NS,
    }  # fmt: skip
    return validator.check(**{**good, **changes})


@pytest.fixture
def validator() -> CommandValidator:
    return CommandValidator(NAMES, CommandConfig())


def test_a_good_command_keeps_what_it_says(validator: CommandValidator) -> None:
    command = check(validator, chunk_id=7, step_in_chunk=3, weights_sha256="abc")
    assert isinstance(command, Command)
    assert (command.source, command.stamp_ns, command.chunk_id, command.step_in_chunk) == ("policy", NOW_NS, 7, 3)
    assert command.weights_sha256 == "abc"
    np.testing.assert_array_equal(command.position_rad, [0.1, 0.2, 0.3])


def test_joints_are_matched_by_name(validator: CommandValidator) -> None:
    for number, order in enumerate((["c", "a", "b"], ["a", "b", "c"], ["c", "a", "b"])):
        values = [{"a": 0.1, "b": 0.2, "c": 0.3}[name] for name in order]
        command = check(validator, joint_names=order, position_rad=values, stamp_ns=NOW_NS + number)
        assert isinstance(command, Command)
        np.testing.assert_array_equal(command.position_rad, [0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"source": "nobody"}, "unknown_source"),
        ({"source": ""}, "unknown_source"),
        ({"source": "home"}, "unknown_source"),
        ({"joint_names": ["a", "b"], "position_rad": [0.1, 0.2]}, "wrong_joints"),
        ({"joint_names": ["a", "b", "b"]}, "wrong_joints"),
        ({"joint_names": ["a", "b", "elbow"]}, "wrong_joints"),
        ({"joint_names": ["a", "b", "c", "a"], "position_rad": [0.0] * 4}, "wrong_joints"),
        ({"joint_names": [], "position_rad": []}, "wrong_joints"),
        ({"position_rad": [0.1, 0.2]}, "wrong_length"),
        ({"position_rad": [0.1, 0.2, 0.3, 0.4]}, "wrong_length"),
        ({"position_rad": [0.1, math.nan, 0.3]}, "not_finite"),
        ({"position_rad": [0.1, 0.2, -math.inf]}, "not_finite"),
        ({"stamp_ns": NOW_NS - 251 * MS}, "stale"),
        ({"stamp_ns": NOW_NS + 101 * MS}, "from_the_future"),
    ],
)
def test_what_is_refused(validator: CommandValidator, changes: dict[str, Any], name: str) -> None:
    refused = check(validator, **changes)
    assert isinstance(refused, Rejection)
    assert refused.name == name
    assert refused.reason
    assert isinstance(check(validator), Command)  # a refused command does not count as the source's last


def test_stamps_increase_for_each_source(validator: CommandValidator) -> None:
    assert isinstance(check(validator), Command)
    for stamp_ns in (NOW_NS, NOW_NS - 1):
        refused = check(validator, stamp_ns=stamp_ns)
        assert isinstance(refused, Rejection)
        assert refused.name == "out_of_order"
    assert isinstance(check(validator, source="teleop", stamp_ns=NOW_NS - 1), Command)
    assert isinstance(check(validator, stamp_ns=NOW_NS + 1), Command)


def test_a_clock_that_was_set_back_is_accepted_after_a_re_arm(validator: CommandValidator) -> None:
    check(validator)
    back_ns = NOW_NS - 3_600_000 * MS
    assert isinstance(check(validator, stamp_ns=back_ns, now_ns=back_ns), Rejection)
    validator.forget()
    assert isinstance(check(validator, stamp_ns=back_ns, now_ns=back_ns), Command)


def test_a_release_needs_no_positions(validator: CommandValidator) -> None:
    command = check(validator, release=True, joint_names=[], position_rad=[])
    assert isinstance(command, Command)
    assert command.release


def test_the_message_names_the_joints() -> None:
    refused = check(CommandValidator(NAMES, CommandConfig()), joint_names=["a", "b", "elbow"])
    assert isinstance(refused, Rejection)
    assert "missing c" in refused.reason
    assert "unknown elbow" in refused.reason


@pytest.mark.parametrize("values", [{"stale_after_s": 0.0}, {"most_ahead_s": math.inf}])
def test_ages_are_checked(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        CommandConfig(**values)

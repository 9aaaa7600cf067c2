"""Observations: the newest by stamp, nothing stale, every reason with its topic."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from sernf_policy.observation_sync import BridgeReading, ObservationSync, StalenessConfig

MS = 1_000_000
NOW_NS = 1_000_000 * MS
ORDER = np.array([1, 0])
UNIT = np.array([1.0, 0.0, 0.0, 0.0])


def reading(age_ms: float = 5.0, **changes: object) -> BridgeReading:
    """A bridge that follows the policy."""
    plain = BridgeReading(
        stamp_ns=NOW_NS - round(age_ms * MS), mode="track", fault="", reason="", selected_source="policy", active_source="policy",
        requested_rad=np.array([0.1, 0.2]), executed_rad=np.array([0.09, 0.19]), command_stamp_ns=7, clipped=False,
    )  # fmt: skip
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def full() -> ObservationSync:
    """Everything is there and fresh."""
    sync = ObservationSync(StalenessConfig())
    sync.set_joints(NOW_NS - 3 * MS, np.array([0.08, 0.18]), NOW_NS)
    sync.set_bridge(reading(), NOW_NS)
    sync.set_object("duck", NOW_NS - 10 * MS, np.array([0.5, 0.0, 0.1]), UNIT, NOW_NS)
    return sync


def test_a_snapshot_holds_the_newest_of_everything_in_the_policys_order() -> None:
    sync = full()
    assert sync.obstacle(NOW_NS, ("duck",)) == ""
    snapshot = sync.snapshot(ORDER, ("duck",))
    np.testing.assert_array_equal(snapshot.joint_position_rad, [0.18, 0.08])
    np.testing.assert_array_equal(snapshot.commanded_position_rad, [0.2, 0.1])
    np.testing.assert_array_equal(snapshot.object_poses["duck"][0], [0.5, 0.0, 0.1])
    assert sync.joints_stamp_ns == NOW_NS - 3 * MS


def test_stamps_decide_and_not_the_order_of_arrival() -> None:
    sync = full()
    sync.set_joints(NOW_NS - 20 * MS, np.array([9.0, 9.0]), NOW_NS)
    sync.set_object("duck", NOW_NS - 50 * MS, np.array([9.0, 9.0, 9.0]), UNIT, NOW_NS)
    sync.set_bridge(reading(30.0, requested_rad=np.array([9.0, 9.0])), NOW_NS)
    snapshot = sync.snapshot(ORDER, ("duck",))
    assert max(snapshot.joint_position_rad.max(), snapshot.commanded_position_rad.max()) < 1.0
    assert snapshot.object_poses["duck"][0].max() < 1.0


@pytest.mark.parametrize(
    ("topic", "later_ms"), [("joint_states", 60), ("bridge_state", 110), ("objects/duck/pose", 250), ("objects/bowl/pose", 0)]
)
def test_what_is_missing_or_stale_is_named(topic: str, later_ms: int) -> None:
    sync = full()
    now_ns = NOW_NS + later_ms * MS
    if topic != "joint_states":
        sync.set_joints(now_ns, np.zeros(2), now_ns)
    if topic not in ("joint_states", "bridge_state"):
        sync.set_bridge(reading(-later_ms), now_ns)
    objects = ("duck", "bowl") if "bowl" in topic else ("duck",)
    assert sync.obstacle(now_ns, objects).startswith(f"{topic}: ")


def test_objects_that_the_policy_does_not_see_may_be_missing() -> None:
    sync = full()
    assert sync.obstacle(NOW_NS, ()) == ""


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_not_acted_on(value: float) -> None:
    sync = full()
    sync.set_joints(NOW_NS, np.array([0.0, value]), NOW_NS)
    assert sync.obstacle(NOW_NS, ("duck",)).startswith("joint_states: expected finite")
    sync = full()
    sync.set_object("duck", NOW_NS, np.array([0.0, 0.0, value]), UNIT, NOW_NS)
    assert sync.obstacle(NOW_NS, ("duck",)).startswith("objects/duck/pose: expected finite")


def test_an_unarmed_bridge_executes_nothing_to_start_from() -> None:
    sync = full()
    sync.set_bridge(reading(0.0, mode="unarmed", executed_rad=np.full(2, np.nan)), NOW_NS)
    assert "arm the bridge" in sync.obstacle(NOW_NS, ())


def test_a_pose_that_is_no_rotation_is_not_acted_on() -> None:
    sync = full()
    sync.set_object("duck", NOW_NS, np.zeros(3), np.zeros(4), NOW_NS)
    assert "unit quaternion" in sync.obstacle(NOW_NS, ("duck",))


def test_a_stamp_in_the_future_tells_of_a_wrong_clock_and_a_clock_set_back_is_followed() -> None:
    sync = full()
    sync.set_joints(NOW_NS + 5000 * MS, np.ones(2), NOW_NS)
    assert "synchronise the clocks" in sync.obstacle(NOW_NS, ())
    sync.set_joints(NOW_NS, np.zeros(2), NOW_NS)
    assert sync.obstacle(NOW_NS, ()) == ""


def test_where_the_filter_changed_the_command_what_is_executed_counts_until_the_next_command() -> None:
    sync = full()
    sync.set_bridge(reading(4.0, clipped=True), NOW_NS)
    sync.set_bridge(reading(3.0, clipped=False), NOW_NS)
    np.testing.assert_array_equal(sync.commanded(ORDER), [0.19, 0.09])
    sync.set_bridge(reading(2.0, command_stamp_ns=8), NOW_NS)
    np.testing.assert_array_equal(sync.commanded(ORDER), [0.2, 0.1])


def test_while_the_bridge_holds_what_is_executed_counts() -> None:
    sync = full()
    sync.set_bridge(reading(1.0, mode="hold"), NOW_NS)
    np.testing.assert_array_equal(sync.commanded(ORDER), [0.19, 0.09])


def test_a_pose_that_no_motion_explains_is_a_jump() -> None:
    sync = full()
    sync.set_bridge(reading(-15.0, executed_rad=np.array([0.15, 0.25])), NOW_NS)
    assert sync.jumps == 0, "0.06 rad in 20 ms is a fast motion"
    sync.set_bridge(reading(-35.0, executed_rad=np.array([0.15, 0.95])), NOW_NS)
    assert sync.jumps == 1
    sync.set_bridge(reading(-55.0, executed_rad=np.full(2, np.nan)), NOW_NS)
    assert sync.jumps == 1, "an unarmed bridge executes nothing"


@pytest.mark.parametrize("name", ["joint_states_s", "bridge_state_s", "objects_s", "most_ahead_s"])
@pytest.mark.parametrize("value", [0.0, -1.0, 11.0])
def test_limits_that_make_no_sense_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        StalenessConfig(**{name: value})

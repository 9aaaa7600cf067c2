"""Exact and approximate synchronizers: what comes out for what goes in."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from builtin_interfaces.msg import Time as TimeMsg
from hypothesis import given
from hypothesis import strategies as st
from rclpy.time import Time

from message_filters import ApproximateTimeSynchronizer, SimpleFilter, TimeSynchronizer

MS = 1_000_000


def stamped(nanoseconds: int, label: object = None) -> Any:
    stamp = TimeMsg(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
    return SimpleNamespace(header=SimpleNamespace(stamp=stamp), ns=nanoseconds, label=label)


def inputs(count: int) -> list[SimpleFilter]:
    return [SimpleFilter() for _ in range(count)]


def record(synchronizer: SimpleFilter) -> list[tuple[Any, ...]]:
    sets: list[tuple[Any, ...]] = []
    synchronizer.registerCallback(lambda *msgs: sets.append(msgs))
    return sets


def test_equal_stamps_come_out_in_the_order_of_the_inputs() -> None:
    fs = inputs(3)
    sets = record(TimeSynchronizer(fs, 10))
    msgs = [stamped(5, label) for label in "abc"]
    for index in (2, 0, 1):
        assert not sets
        fs[index].signalMessage(msgs[index])
    assert sets == [tuple(msgs)]


def test_a_set_removes_older_messages_but_not_newer_ones() -> None:
    fs = inputs(2)
    sets = record(TimeSynchronizer(fs, 10))
    for ns in (1, 2, 3):
        fs[0].signalMessage(stamped(ns))
    for ns in (2, 1, 3):
        fs[1].signalMessage(stamped(ns))
    assert [(a.ns, b.ns) for a, b in sets] == [(2, 2), (3, 3)]


def test_a_full_queue_loses_its_oldest_stamp() -> None:
    fs = inputs(2)
    sets = record(TimeSynchronizer(fs, 2))
    for ns in (1, 2, 3):
        fs[0].signalMessage(stamped(ns))
    for ns in (1, 2, 3):
        fs[1].signalMessage(stamped(ns))
    assert [a.ns for a, _ in sets] == [2, 3]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 15)), max_size=60), st.integers(1, 6))
def test_every_exact_set_has_one_stamp_and_each_message_is_used_once(arrivals: list[tuple[int, int]], size: int) -> None:
    fs = inputs(3)
    sets = record(TimeSynchronizer(fs, size))
    for label, (index, ns) in enumerate(arrivals):
        fs[index].signalMessage(stamped(ns, label))
    assert all(len({msg.ns for msg in matched}) == 1 for matched in sets)
    for column in zip(*sets, strict=True):
        assert len({msg.label for msg in column}) == len(column)


def test_arguments_given_at_registration_follow_the_messages() -> None:
    fs = inputs(1)
    calls: list[tuple[Any, ...]] = []
    TimeSynchronizer(fs, 1).registerCallback(lambda *args: calls.append(args), "extra", 7)
    msg = stamped(1)
    fs[0].signalMessage(msg)
    assert calls == [(msg, "extra", 7)]


def test_a_callback_may_feed_the_synchronizer_it_was_called_by() -> None:
    fs = inputs(1)
    synchronizer = TimeSynchronizer(fs, 4)
    seen: list[int] = []

    def feed(msg: Any) -> None:
        seen.append(msg.ns)
        if msg.ns < 3:
            fs[0].signalMessage(stamped(msg.ns + 1))

    synchronizer.registerCallback(feed)
    fs[0].signalMessage(stamped(0))
    assert seen == [0, 1, 2, 3]


def test_inputs_from_several_threads_lose_nothing() -> None:
    fs = inputs(2)
    count = 500
    sets = record(TimeSynchronizer(fs, count))
    # Shared stamps meet in the queues whichever thread is ahead; only a set ahead of its elders may drop them.
    threads = [threading.Thread(target=lambda f=f: [f.signalMessage(stamped(ns)) for ns in range(count)]) for f in fs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive()
    assert [a.ns for a, _ in sets] == list(range(count))


def test_connecting_again_replaces_the_inputs() -> None:
    old, new = inputs(2), inputs(2)
    synchronizer = TimeSynchronizer(old, 4)
    sets = record(synchronizer)
    old[0].signalMessage(stamped(1))
    synchronizer.connectInput(new)
    old[0].signalMessage(stamped(2))
    for f in new:
        f.signalMessage(stamped(1))
    assert len(sets) == 1
    assert not old[0].callbacks


def test_rclpy_times_count_as_stamps() -> None:
    fs = inputs(2)
    sets = record(TimeSynchronizer(fs, 2))
    fs[0].signalMessage(stamped(12))
    fs[1].signalMessage(SimpleNamespace(header=SimpleNamespace(stamp=Time(nanoseconds=12))))
    assert len(sets) == 1


def test_exact_synchronizer_refuses_messages_without_stamp() -> None:
    fs = inputs(2)
    TimeSynchronizer(fs, 2)
    with pytest.raises(AttributeError, match=r"header\.stamp.*allow_headerless"):
        fs[0].signalMessage(SimpleNamespace(data=1))


def test_neighbours_within_the_slop_match_and_others_wait() -> None:
    fs = inputs(2)
    sets = record(ApproximateTimeSynchronizer(fs, 10, 0.010))
    fs[0].signalMessage(stamped(0))
    fs[1].signalMessage(stamped(10 * MS))
    assert not sets
    fs[1].signalMessage(stamped(9 * MS))
    assert [(a.ns, b.ns) for a, b in sets] == [(0, 9 * MS)]
    fs[0].signalMessage(stamped(11 * MS))
    assert [(a.ns, b.ns) for a, b in sets[1:]] == [(11 * MS, 10 * MS)]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 100)), max_size=60), st.integers(1, 6), st.integers(1, 40))
def test_every_approximate_set_is_tight_and_no_match_is_left(arrivals: list[tuple[int, int]], size: int, slop_ms: int) -> None:
    fs = inputs(3)
    synchronizer = ApproximateTimeSynchronizer(fs, size, slop_ms / 1000)
    sets = record(synchronizer)
    for label, (index, ms) in enumerate(arrivals):
        fs[index].signalMessage(stamped(ms * MS, label))
        waiting = [queue.stamps_ns for queue in synchronizer.queues]
        assert not any(max(a, b, c) - min(a, b, c) < slop_ms * MS for a in waiting[0] for b in waiting[1] for c in waiting[2]), (
            "a set that fits was left in the queues"
        )
    for matched in sets:
        assert max(msg.ns for msg in matched) - min(msg.ns for msg in matched) < slop_ms * MS
    for column in zip(*sets, strict=True):
        assert len({msg.label for msg in column}) == len(column)


def test_offsets_are_subtracted_from_the_stamps() -> None:
    fs = inputs(2)
    sets = record(ApproximateTimeSynchronizer(fs, 10, 0.001, queue_offset=[0, 50 * MS]))
    fs[0].signalMessage(stamped(100 * MS))
    fs[1].signalMessage(stamped(100 * MS))
    assert not sets
    fs[1].signalMessage(stamped(150 * MS))
    assert [(a.ns, b.ns) for a, b in sets] == [(100 * MS, 150 * MS)]


def test_messages_without_stamp_are_dropped_unless_allowed() -> None:
    fs = inputs(2)
    sets = record(ApproximateTimeSynchronizer(fs, 10, 60.0))
    for f in fs:
        f.signalMessage(SimpleNamespace(data=1))
    assert not sets

    fs = inputs(2)
    sets = record(ApproximateTimeSynchronizer(fs, 10, 60.0, allow_headerless=True))
    for f in fs:
        f.signalMessage(SimpleNamespace(data=1))
    assert len(sets) == 1


def test_time_of_arrival_may_stand_for_the_stamps() -> None:
    fs = inputs(2)
    sets = record(ApproximateTimeSynchronizer(fs, 10, 60.0, sync_arrival_time=True))
    fs[0].signalMessage(stamped(0))
    fs[1].signalMessage(stamped(10**15))
    assert [(a.ns, b.ns) for a, b in sets] == [(0, 10**15)]


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (lambda: TimeSynchronizer([], 1), ValueError, "at least one input"),
        (lambda: TimeSynchronizer(inputs(1), 0), ValueError, "queue_size >= 1"),
        (lambda: ApproximateTimeSynchronizer(inputs(2), 1, 0.0), ValueError, "slop > 0"),
        (lambda: ApproximateTimeSynchronizer(inputs(2), 1, float("nan")), ValueError, "slop > 0"),
        (lambda: ApproximateTimeSynchronizer(inputs(2), 1, 0.1, True), TypeError, "allow_headerless=True"),
        (lambda: ApproximateTimeSynchronizer(inputs(2), 1, 0.1, [1]), ValueError, "each of 2 inputs"),
    ],
)
def test_wrong_arguments_are_explained(build: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        build()

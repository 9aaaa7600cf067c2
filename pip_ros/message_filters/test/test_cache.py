"""Cache: history by time stamp, and the plain filter below it."""

from types import SimpleNamespace
from typing import Any

import pytest
from builtin_interfaces.msg import Time as TimeMsg
from hypothesis import given
from hypothesis import strategies as st
from rclpy.clock import ClockType
from rclpy.time import Time

from message_filters import Cache, SimpleFilter


def stamped(nanoseconds: int) -> Any:
    return SimpleNamespace(header=SimpleNamespace(stamp=TimeMsg(nanosec=nanoseconds)), ns=nanoseconds)


def ros_time(nanoseconds: int) -> Time:
    return Time(nanoseconds=nanoseconds, clock_type=ClockType.ROS_TIME)


@given(st.lists(st.integers(0, 30), max_size=30), st.integers(1, 10), st.integers(0, 30), st.integers(0, 10))
def test_answers_follow_the_stamps_whatever_the_order_of_arrival(arrivals: list[int], size: int, start: int, length: int) -> None:
    source = SimpleFilter()
    cache = Cache(source, size)
    for ns in arrivals:
        source.signalMessage(stamped(ns))
    kept = sorted(arrivals)[-size:]
    end = start + length
    assert [msg.ns for msg in cache.getInterval(ros_time(start), ros_time(end))] == [ns for ns in kept if start <= ns <= end]
    after, before = cache.getElemAfterTime(ros_time(start)), cache.getElemBeforeTime(ros_time(start))
    assert (after.ns if after else None) == min((ns for ns in kept if ns >= start), default=None)
    assert (before.ns if before else None) == max((ns for ns in kept if ns <= start), default=None)
    if kept:
        assert cache.getOldestTime() == ros_time(kept[0])
        assert cache.getLatestTime() == cache.getLastestTime() == ros_time(kept[-1])
        last = cache.getLast()
        assert last is not None
        assert last.ns == kept[-1]
    else:
        assert cache.getOldestTime() is cache.getLatestTime() is cache.getLast() is None


def test_messages_pass_through() -> None:
    source = SimpleFilter()
    passed: list[Any] = []
    Cache(source).registerCallback(passed.append)
    msg = stamped(1)
    source.signalMessage(msg)
    assert passed == [msg]


def test_a_message_without_stamp_is_dropped_unless_allowed() -> None:
    source = SimpleFilter()
    strict, tolerant = Cache(source, 5), Cache(source, 5, allow_headerless=True)
    source.signalMessage(SimpleNamespace(data=1))
    assert strict.getLast() is None
    last, latest = tolerant.getLast(), tolerant.getLatestTime()
    assert last is not None
    assert last.data == 1
    assert latest is not None
    assert latest.clock_type == ClockType.ROS_TIME


def test_wrong_questions_are_explained() -> None:
    cache = Cache(SimpleFilter(), 2)
    with pytest.raises(ValueError, match="swap"):
        cache.getInterval(ros_time(2), ros_time(1))
    with pytest.raises(TypeError, match=r"rclpy\.time\.Time.*Time\.from_msg"):
        cache.getElemAfterTime(TimeMsg())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cache_size >= 1"):
        Cache(SimpleFilter(), 0)


def test_connection_numbers_are_never_used_twice() -> None:
    source = SimpleFilter()
    calls: list[str] = []
    first = source.registerCallback(lambda _: calls.append("first"))
    second = source.registerCallback(lambda _: calls.append("second"))
    source.unregisterCallback(first)
    third = source.registerCallback(lambda _: calls.append("third"))
    source.unregisterCallback(99)
    assert len({first, second, third}) == 3
    source.signalMessage(stamped(1))
    assert calls == ["second", "third"]


def test_callbacks_may_come_and_go_while_a_message_is_delivered() -> None:
    source = SimpleFilter()
    calls: list[str] = []

    def once(_: Any) -> None:
        calls.append("once")
        source.unregisterCallback(connection)
        source.registerCallback(lambda _: calls.append("later"))

    connection = source.registerCallback(once)
    source.signalMessage(stamped(1))
    assert calls == ["once"]
    source.signalMessage(stamped(2))
    assert calls == ["once", "later"]


def test_only_callables_register() -> None:
    with pytest.raises(TypeError, match="callable, got str"):
        SimpleFilter().registerCallback("callback")  # type: ignore[arg-type]

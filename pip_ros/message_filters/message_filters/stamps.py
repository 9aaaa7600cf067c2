"""Time stamps of messages, as integers in nanoseconds or as rclpy times."""

from typing import Any

import rclpy.logging
from rclpy.clock import ROSClock
from rclpy.time import Time

_WARN_PERIOD_S = 5.0


def header_stamp(msg: Any) -> Any | None:
    """``msg.header.stamp`` (builtin_interfaces Time, or an rclpy Time), or None where the message has none."""
    return getattr(getattr(msg, "header", None), "stamp", None)


def as_nanoseconds(stamp: Any) -> int:
    """Stamp as nanoseconds. Done by hand for messages, since it runs once a message and ``Time.from_msg`` costs more."""
    nanoseconds = getattr(stamp, "nanoseconds", None)
    if nanoseconds is not None:
        return int(nanoseconds)
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def as_time(stamp: Any) -> Time:
    """Stamp as an rclpy Time; a message's stamp counts as ROS time."""
    return stamp if isinstance(stamp, Time) else Time.from_msg(stamp)


class ArrivalClock:
    """ROS time of arrival, for messages that have no stamp of their own. The clock is made on first use."""

    def __init__(self) -> None:
        self._clock: ROSClock | None = None

    def now(self) -> Time:
        if self._clock is None:
            self._clock = ROSClock()
        return self._clock.now()


def warn_headerless(logger_name: str, msg: Any) -> None:
    """Say, at most every few seconds, that a message without a stamp was dropped."""
    rclpy.logging.get_logger(logger_name).warning(
        f"dropped a {type(msg).__name__}: expected a message with header.stamp, got one without. "
        "Construct the filter with allow_headerless=True to use the time of arrival instead.",
        throttle_duration_sec=_WARN_PERIOD_S,
    )

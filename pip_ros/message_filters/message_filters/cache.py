"""Bounded history of messages, to be asked by time stamp."""

import threading
from bisect import bisect_left, bisect_right
from typing import Any

from rclpy.time import Time

from .simple_filter import SimpleFilter
from .stamps import ArrivalClock, as_time, header_stamp, warn_headerless


class Cache(SimpleFilter):
    """Keeps the ``cache_size`` messages with the newest stamps, in the order of their stamps, and passes every message on.

    f:                filter to listen to
    cache_size:       most messages kept, at least 1
    allow_headerless: give messages without ``header.stamp`` the ROS time of arrival; otherwise they are dropped with a warning

    Stamps of messages count as ROS time; times asked for must be rclpy times of the same clock type (TypeError otherwise).
    """

    def __init__(self, f: SimpleFilter, cache_size: int = 1, allow_headerless: bool = False) -> None:
        super().__init__()
        if cache_size < 1:
            raise ValueError(f"Cache: expected cache_size >= 1, got {cache_size}")
        self.cache_size = cache_size
        self.allow_headerless = allow_headerless
        self.cache_msgs: list[Any] = []
        self.cache_times: list[Time] = []
        self._arrival_clock = ArrivalClock()
        self._lock = threading.Lock()
        self.connectInput(f)

    def connectInput(self, f: SimpleFilter) -> None:
        """Listen to ``f`` as well."""
        self.incoming_connection = f.registerCallback(self.add)

    def add(self, msg: Any) -> None:
        """Store ``msg`` and pass it on."""
        stamp = header_stamp(msg)
        if stamp is None and not self.allow_headerless:
            warn_headerless("message_filters_cache", msg)
            return
        time = self._arrival_clock.now() if stamp is None else as_time(stamp)
        with self._lock:
            place = bisect_right(self.cache_times, time)
            self.cache_times.insert(place, time)
            self.cache_msgs.insert(place, msg)
            if len(self.cache_msgs) > self.cache_size:
                del self.cache_msgs[0], self.cache_times[0]
        self.signalMessage(msg)

    def getInterval(self, from_stamp: Time, to_stamp: Time) -> list[Any]:
        """Messages with ``from_stamp <= stamp <= to_stamp``, oldest first. Raises ValueError when from_stamp > to_stamp."""
        if _checked(from_stamp) > _checked(to_stamp):
            raise ValueError(f"getInterval: expected from_stamp <= to_stamp, got {from_stamp} and {to_stamp}; swap them")
        with self._lock:
            return self.cache_msgs[bisect_left(self.cache_times, from_stamp) : bisect_right(self.cache_times, to_stamp)]

    def getElemAfterTime(self, stamp: Time) -> Any | None:
        """Oldest message with a stamp at or after ``stamp``, or None."""
        with self._lock:
            place = bisect_left(self.cache_times, _checked(stamp))
            return self.cache_msgs[place] if place < len(self.cache_msgs) else None

    def getElemBeforeTime(self, stamp: Time) -> Any | None:
        """Newest message with a stamp at or before ``stamp``, or None."""
        with self._lock:
            place = bisect_right(self.cache_times, _checked(stamp))
            return self.cache_msgs[place - 1] if place else None

    def getLatestTime(self) -> Time | None:
        """Newest stamp, or None while the cache is empty."""
        with self._lock:
            return self.cache_times[-1] if self.cache_times else None

    def getLastestTime(self) -> Time | None:
        """Old, misspelt name of ``getLatestTime``, which upstream keeps as well."""
        return self.getLatestTime()

    def getOldestTime(self) -> Time | None:
        """Oldest stamp, or None while the cache is empty."""
        with self._lock:
            return self.cache_times[0] if self.cache_times else None

    def getLast(self) -> Any | None:
        """First message of those that carry the newest stamp, or None while the cache is empty."""
        with self._lock:
            return self.cache_msgs[bisect_left(self.cache_times, self.cache_times[-1])] if self.cache_times else None


def _checked(stamp: Time) -> Time:
    if not isinstance(stamp, Time):
        raise TypeError(f"expected an rclpy.time.Time, got {type(stamp).__name__}; a message's stamp converts with Time.from_msg")
    return stamp

"""Filters that bring messages of several topics together by their time stamps."""

import threading
from collections.abc import Sequence
from typing import Any

from rclpy.duration import Duration

from .matching import StampQueue, nearest_set
from .simple_filter import SimpleFilter
from .stamps import ArrivalClock, as_nanoseconds, header_stamp, warn_headerless


class TimeSynchronizer(SimpleFilter):
    """Calls ``callback(msg_1, ..., msg_N)`` when one message of each input has arrived with exactly the same stamp.

    fs:         input filters, at least one
    queue_size: most messages that wait on each input; the oldest stamp leaves

    A set on its way out removes all waiting messages with older stamps. Inputs may come from several threads; callbacks run one
    at a time, in the thread of the message that completed the set, and may feed the same synchronizer.
    """

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int) -> None:
        super().__init__()
        if not fs:
            raise ValueError(f"{type(self).__name__}: expected at least one input filter, got none")
        if queue_size < 1:
            raise ValueError(f"{type(self).__name__}: expected queue_size >= 1, got {queue_size}")
        self.queue_size = queue_size
        self.lock = threading.RLock()  # reentrant: a callback may signal an input
        self.input_connections: list[int] = []
        self._inputs: list[SimpleFilter] = []
        self.connectInput(fs)

    def connectInput(self, fs: Sequence[SimpleFilter]) -> None:
        """Listen to these inputs in place of the former ones, with empty queues."""
        with self.lock:
            for f, connection in zip(self._inputs, self.input_connections, strict=True):
                f.unregisterCallback(connection)
            self._inputs = list(fs)
            self.queues = [StampQueue(self.queue_size) for _ in fs]
            self.input_connections = [
                f.registerCallback(self.add, queue, index) for index, (f, queue) in enumerate(zip(fs, self.queues, strict=True))
            ]

    def add(self, msg: Any, my_queue: StampQueue, my_queue_index: int | None = None) -> None:
        """Take a message of the input that owns ``my_queue``. Raises AttributeError when it has no ``header.stamp``."""
        stamp = header_stamp(msg)
        if stamp is None:
            raise AttributeError(
                f"TimeSynchronizer: expected messages with header.stamp, got a {type(msg).__name__} without; "
                "use ApproximateTimeSynchronizer with allow_headerless=True"
            )
        stamp_ns = as_nanoseconds(stamp)
        with self.lock:
            my_queue.push(stamp_ns, msg)
            if all(stamp_ns in queue for queue in self.queues):
                matched = [queue.pop(stamp_ns) for queue in self.queues]
                for queue in self.queues:
                    queue.drop_older(stamp_ns)
                self.signalMessage(*matched)


class ApproximateTimeSynchronizer(TimeSynchronizer):
    """Calls ``callback(msg_1, ..., msg_N)`` when one message of each input lies within less than ``slop`` seconds of the others.

    fs, queue_size:    as for TimeSynchronizer
    slop:              the stamps of a set differ by less than this, seconds, more than 0
    queue_offset:      None or False, or one offset an input, nanoseconds, subtracted from its stamps before they are compared
    allow_headerless:  give messages without ``header.stamp`` the ROS time of arrival; otherwise they are dropped with a warning
    sync_arrival_time: compare the ROS times of arrival instead of the stamps

    Every arrival is matched at once: of all sets that the new message completes, the one goes out whose messages are nearest to
    it, the first inputs choosing first. Messages that do not take part wait until they match or newer ones push them out.
    """

    def __init__(
        self,
        fs: Sequence[SimpleFilter],
        queue_size: int,
        slop: float,
        queue_offset: Sequence[int] | bool | None = False,
        allow_headerless: bool = False,
        sync_arrival_time: bool = False,
    ) -> None:
        if not slop > 0:
            raise ValueError(
                f"ApproximateTimeSynchronizer: expected slop > 0 s, got {slop}; use TimeSynchronizer for equal stamps"
            )
        if queue_offset is True:
            # The mistake to expect: this place held allow_headerless before ROS 2 Kilted.
            raise TypeError(
                "ApproximateTimeSynchronizer: expected queue_offset to be a list of nanoseconds or False, got True; "
                "name the argument that is meant, such as allow_headerless=True"
            )
        if queue_offset and len(queue_offset) != len(fs):
            raise ValueError(
                f"ApproximateTimeSynchronizer: expected one queue_offset for each of {len(fs)} inputs, got {len(queue_offset)}"
            )
        self.slop = Duration(seconds=slop)
        self.queue_offset = queue_offset
        self.allow_headerless = allow_headerless
        self.sync_arrival_time = sync_arrival_time
        self._slop_ns = self.slop.nanoseconds
        self._offsets_ns = [int(offset) for offset in queue_offset] if queue_offset else [0] * len(fs)
        self._arrival_clock = ArrivalClock()
        super().__init__(fs, queue_size)

    def add(self, msg: Any, my_queue: StampQueue, my_queue_index: int | None = None) -> None:
        """Take a message of the input that owns ``my_queue``."""
        stamp = None if self.sync_arrival_time else header_stamp(msg)
        if stamp is None and not (self.allow_headerless or self.sync_arrival_time):
            warn_headerless("message_filters_approx", msg)
            return
        with self.lock:
            index = self.queues.index(my_queue) if my_queue_index is None else my_queue_index
            stamp_ns = as_nanoseconds(self._arrival_clock.now() if stamp is None else stamp) - self._offsets_ns[index]
            my_queue.push(stamp_ns, msg)
            if stamp_ns not in my_queue:  # older than all that waits in a full queue
                return
            others = [queue.stamps_ns for queue in self.queues if queue is not my_queue]
            if not all(others):
                return
            stamps_ns = nearest_set(others, stamp_ns, self._slop_ns)
            if stamps_ns is None:
                return
            stamps_ns.insert(index, stamp_ns)
            matched = [queue.pop(ns) for queue, ns in zip(self.queues, stamps_ns, strict=True)]
            self.signalMessage(*matched)

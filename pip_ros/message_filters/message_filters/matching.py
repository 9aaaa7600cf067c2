"""Search for the messages that belong together, on time stamps alone (integers, nanoseconds)."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from typing import Any


class StampQueue:
    """Messages of one input by stamp. Holds at most ``size``: the oldest stamp leaves. A repeated stamp replaces its message."""

    def __init__(self, size: int) -> None:
        self.stamps_ns: list[int] = []  # sorted
        self._size = size
        self._msgs: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self._msgs)

    def __contains__(self, stamp_ns: int) -> bool:
        return stamp_ns in self._msgs

    def push(self, stamp_ns: int, msg: Any) -> None:
        if stamp_ns not in self._msgs:
            insort(self.stamps_ns, stamp_ns)
        self._msgs[stamp_ns] = msg
        if len(self.stamps_ns) > self._size:
            del self._msgs[self.stamps_ns.pop(0)]

    def pop(self, stamp_ns: int) -> Any:
        """Remove and return the message of a stamp that is in the queue (KeyError otherwise)."""
        msg = self._msgs.pop(stamp_ns)
        del self.stamps_ns[bisect_left(self.stamps_ns, stamp_ns)]
        return msg

    def drop_older(self, stamp_ns: int) -> None:
        """Remove the messages with stamps before ``stamp_ns``."""
        count = bisect_left(self.stamps_ns, stamp_ns)
        for old_ns in self.stamps_ns[:count]:
            del self._msgs[old_ns]
        del self.stamps_ns[:count]


def nearest_set(lists_ns: Sequence[Sequence[int]], centre_ns: int, slop_ns: int) -> list[int] | None:
    """One stamp of every list, so that together with ``centre_ns`` they span less than ``slop_ns``; None where no choice does.

    lists_ns: sorted stamps of the other inputs, ns. Of all choices that fit, upstream's: the first list contributes its stamp
    nearest to the centre that leaves a choice to the others, then the second list, and so on; of two equally near the older.
    """
    if not _can_span(lists_ns, centre_ns, centre_ns, slop_ns):
        return None
    begin_ns = end_ns = centre_ns
    chosen: list[int] = []
    for i, stamps_ns in enumerate(lists_ns):
        near = stamps_ns[bisect_right(stamps_ns, end_ns - slop_ns) : bisect_left(stamps_ns, begin_ns + slop_ns)]
        for ns in sorted(near, key=lambda ns: abs(ns - centre_ns)):
            wider_ns = (min(begin_ns, ns), max(end_ns, ns))
            if _can_span(lists_ns[i + 1 :], *wider_ns, slop_ns):
                chosen.append(ns)
                begin_ns, end_ns = wider_ns
                break
    return chosen


def _can_span(lists_ns: Sequence[Sequence[int]], begin_ns: int, end_ns: int, slop_ns: int) -> bool:
    """Whether an interval shorter than ``slop_ns`` holds [begin, end] and a stamp of every list."""
    older = {
        ns
        for stamps_ns in lists_ns
        for ns in stamps_ns[bisect_right(stamps_ns, end_ns - slop_ns) : bisect_left(stamps_ns, begin_ns)]
    }
    starts = sorted({begin_ns} | older, reverse=True)
    return end_ns - begin_ns < slop_ns and any(
        all(bisect_left(stamps_ns, start_ns) < bisect_left(stamps_ns, start_ns + slop_ns) for stamps_ns in lists_ns)
        for start_ns in starts
    )

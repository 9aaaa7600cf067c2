"""Counts what arrived, what was lost and what was late on one topic during one episode."""

from __future__ import annotations

from dataclasses import dataclass, field

LATE_PERIODS = 1.5


@dataclass(kw_only=True)
class TopicCounter:
    """Every publisher numbers its messages: a gap in the numbers is a loss, on whatever way it happened."""

    expected_hz: float | None
    messages: int = 0
    dropped: int = 0
    late: int = 0
    longest_gap_s: float = 0.0
    _last_ns: int | None = None
    _last_number: dict[bytes, int] = field(default_factory=dict)

    def arrived(self, log_time_ns: int, publisher: bytes, number: int | None) -> int:
        """One message has arrived; `number`: its publisher's, None when the middleware does not tell.

        Returns the time to log: after that of the message before, since arrival times of a burst are only known to microseconds
        and readers put messages in the order of their times.
        """
        if number is not None:
            self.dropped += max(0, number - self._last_number.get(publisher, number - 1) - 1)
            self._last_number[publisher] = number
        if self._last_ns is not None:
            log_time_ns = max(log_time_ns, self._last_ns + 1)
            gap_s = (log_time_ns - self._last_ns) * 1e-9
            self.longest_gap_s = max(self.longest_gap_s, gap_s)
            self.late += self.expected_hz is not None and gap_s * self.expected_hz > LATE_PERIODS
        self._last_ns = log_time_ns
        return log_time_ns

    def overflowed(self) -> None:
        """A message has arrived and found no room in the queue."""
        self.dropped += 1

    def written(self) -> None:
        """A message is in the bag."""
        self.messages += 1

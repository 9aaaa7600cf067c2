"""When to decide a control tick: on the grid of the control period, but together with a joint state that has just arrived.

Joint states come in their own rhythm. A timer alone would decide on one that is up to a whole rhythm old; so the tick is taken by
the arrival nearest to its time, at most half a rhythm early or late, and a timer takes what no arrival took.
"""

from __future__ import annotations

LATE_SHARE = 0.25
"""The timer comes so many control periods after a tick's time; arrivals may take a tick at most so much before it."""
MEMORY = 0.9


class TickSchedule:
    """Tick n is due at `start` + n * `period_s`; every tick is handed out once, in order, and those that were missed never.

    Times are monotonic seconds. `missed` counts ticks that were more than half a period late.
    """

    def __init__(self, period_s: float) -> None:
        self.period_s = period_s
        self.start(0.0)

    def start(self, timer_created_s: float) -> None:
        """Begin anew with a timer of `period_s` that was created now and first fires one period later."""
        self._origin_s = timer_created_s + (1.0 - LATE_SHARE) * self.period_s
        self._last = -1
        self._arrival_s: float | None = None
        self._rhythm_s = 0.0
        self.missed = 0

    def due_s(self, tick: int) -> float:
        """When `tick` is due."""
        return self._origin_s + tick * self.period_s

    def on_arrival(self, now_s: float) -> int | None:
        """A joint state has arrived: the tick to decide with it, if any."""
        if self._arrival_s is not None:
            rhythm_s = min(now_s - self._arrival_s, self.period_s)
            self._rhythm_s = rhythm_s if self._rhythm_s == 0.0 else MEMORY * self._rhythm_s + (1.0 - MEMORY) * rhythm_s
        self._arrival_s = now_s
        return self._take(now_s, -min(0.5 * self._rhythm_s, LATE_SHARE * self.period_s))

    def on_timer(self, now_s: float) -> int | None:
        """The timer has fired: the tick to decide with what there is, if no arrival has taken it."""
        return self._take(now_s, 0.0)

    def _take(self, now_s: float, earliest_s: float) -> int | None:
        tick = round((now_s - self._origin_s) / self.period_s)
        if tick <= self._last or tick < 0 or now_s - self.due_s(tick) < earliest_s:
            return None
        self.missed += tick - self._last - 1 if self._last >= 0 else 0
        self._last = tick
        return tick

"""Stamps of messages whose order matters."""

from __future__ import annotations

SLEWED_NS = 50_000_000


class IncreasingStamps:
    """Strictly increasing while the clock is slewed; one that was set back is followed, and whoever listens has to cope."""

    def __init__(self) -> None:
        self._last_ns = 0

    def next(self, now_ns: int) -> int:
        """Stamp for a message that is sent now, ns."""
        set_back = self._last_ns - now_ns > SLEWED_NS
        self._last_ns = now_ns if set_back else max(now_ns, self._last_ns + 1)
        return self._last_ns

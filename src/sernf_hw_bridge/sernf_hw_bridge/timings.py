"""Measurements of the control loop itself, kept in memory and written at the end, for benches."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sernf_node.timing_ring import TimingRing

TICK_COLUMNS = np.dtype([("start_ns", np.int64), ("filter_s", np.float64), ("tick_s", np.float64)])
COMMAND_COLUMNS = np.dtype([("stamp_ns", np.int64), ("arrived_ns", np.int64), ("executed_ns", np.int64)])
COMMAND_SHARE = 5
"""One command row for so many tick rows: commands come at a fifth of the control rate at most."""


class Timings:
    """Rings of the last `ticks` ticks and of the commands executed in them.

    Per tick: start (monotonic ns), time of the filter and of the whole tick with its publications (s). Per command: its own
    stamp, arrival and execution (end of the tick's write), all wall clock, ns.
    """

    def __init__(self, ticks: int) -> None:
        self._ticks = TimingRing(TICK_COLUMNS, ticks)
        self._commands = TimingRing(COMMAND_COLUMNS, max(1, ticks // COMMAND_SHARE))

    def tick(self, start_ns: int, filter_s: float, tick_s: float) -> None:
        """Note one tick."""
        self._ticks.note(start_ns, filter_s, tick_s)

    def command(self, stamp_ns: int, arrived_ns: int, executed_ns: int) -> None:
        """Note one executed command."""
        self._commands.note(stamp_ns, arrived_ns, executed_ns)

    def save(self, path: Path) -> None:
        """Write `path` (ticks) and, beside it, `<stem>_commands.npy`, oldest row first; structured arrays for `numpy.load`."""
        path = path.with_suffix(".npy")
        self._ticks.save(path)
        self._commands.save(path.with_name(path.stem + "_commands.npy"))

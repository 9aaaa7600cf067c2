"""The control ticks of an episode, counted by the commands that the bridge executed.

Each source keeps its own beat, so the grid is laid over one stretch of the same source at a time:

- commands come at the wanted rate (within 10 %): one tick for each command, decided when the command was. Timers that fire
  late and then catch up do not matter, since commands are counted and not timed; where commands are missing for a period or
  more, ticks are filled in during which the last target stays in effect.
- they come at any other rate: a regular grid from the stretch's first command. A command's target is reached in a straight line
  within one period of its own, as the bridge does it, and a tick's target is the point on this line at the tick's end: the
  last of several faster commands, or a part of the way of a slower one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from sernf_learner.bag_streams import SLEWED_NS, Array, BridgeStates, JointCommands, Times
from sernf_teleop.episode_files import EpisodeError

SAME_RATE = 0.1
FEW_COMMANDS = 3
"""too few to tell a rate from"""
DISTURBED = 0.5
"""A gap that differs by more than this part from the ordinary one is a stall, a loss, or the catching up after one."""
LONGEST_DELAY_NS = 1_000_000_000
"""The bridge refuses what is older than a part of this."""
LONGEST_EPISODE_NS = 3600 * 1_000_000_000
MOST_SLOTS_LATE = 1
"""A command is put this many ticks before its own time to make room for those behind it; beyond that it counts as superseded."""


@dataclass(frozen=True, kw_only=True)
class ExecutedCommands:
    """n commands that the bridge began to follow. `decided_ns`: their own stamps. `begin_ns`: control tick from which on."""

    decided_ns: Times
    begin_ns: Times
    target_rad: Array
    source: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.decided_ns)

    def part(self, chosen: slice) -> ExecutedCommands:
        """Some of them."""
        return ExecutedCommands(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})


@dataclass(frozen=True, kw_only=True)
class Grid:
    """T ticks. `decided_ns`: what was known until then counts. `begin_ns` to `end_ns`: when the bridge did it.

    `target_rad` (T, A): what the bridge was to reach by the end. `source` (T,): who last commanded.
    """

    decided_ns: Times
    begin_ns: Times
    end_ns: Times
    target_rad: Array
    source: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.decided_ns)


def executed_commands(bridge: BridgeStates, commands: JointCommands) -> ExecutedCommands:
    """Raises EpisodeError when there is none.

    What the bridge executed before the recording began is told by its first message too; it counts only if it was recorded.
    """
    before = np.append(0, bridge.command_ns[:-1])
    is_new = (bridge.command_ns != before) & (bridge.command_ns != 0)
    is_new[0] &= bridge.command_ns[0] in commands.stamp_ns
    rows = np.flatnonzero(is_new & np.isfinite(bridge.requested_rad).all(axis=1))
    if not len(rows):
        raise EpisodeError("expected commands that the bridge executed, got none: nobody moved the robot; discard this episode")
    sent_by = dict(zip(commands.stamp_ns.tolist(), commands.source))
    source = [sent_by.get(int(bridge.command_ns[row]), bridge.active_source[row]) for row in rows]
    decided_ns, begin_ns = bridge.command_ns[rows], bridge.stamp_ns[rows]
    is_late = np.abs(begin_ns - decided_ns) > LONGEST_DELAY_NS
    if is_late.any() or (np.diff(decided_ns) < -SLEWED_NS).any() or begin_ns[-1] - begin_ns[0] > LONGEST_EPISODE_NS:
        raise EpisodeError(
            "expected commands that were executed in their order, soon after they were decided, got stamps that cannot be right: "
            "a clock was set; discard this episode"
        )
    return ExecutedCommands(
        decided_ns=decided_ns,
        begin_ns=begin_ns,
        target_rad=bridge.requested_rad[rows],
        source=np.array(source, dtype=object),
    )


def lay_grid(commands: ExecutedCommands, start_rad: Array, period_ns: int) -> Grid:
    """Ticks from the first to the last command. `start_rad` (A,): the target in effect before the first."""
    pieces = []
    for begin, end in _stretches(commands.source):
        stretch = commands.part(slice(begin, end))
        next_ns = int(commands.decided_ns[end]) if end < len(commands) else None
        own_ns = _period_of(stretch.decided_ns) if len(stretch) > FEW_COMMANDS else period_ns
        if abs(own_ns - period_ns) <= SAME_RATE * period_ns:
            pieces.append(_one_each(stretch, own_ns, next_ns))
        else:
            before = commands.target_rad[begin - 1] if begin else start_rad
            pieces.append(_regular(stretch, before, own_ns, period_ns, next_ns))
    decided, began, target, source = (np.concatenate(column) for column in zip(*pieces))
    begin_ns = np.maximum.accumulate(began)
    return Grid(
        decided_ns=np.maximum.accumulate(decided),
        begin_ns=begin_ns,
        end_ns=np.append(begin_ns[1:], begin_ns[-1] + period_ns),
        target_rad=target,
        source=source,
    )


def _period_of(decided_ns: Times) -> int:
    """Mean of the gaps that are not disturbed: the median alone is off when stamps come in steps of the control period."""
    gaps = np.diff(decided_ns)
    ordinary = np.median(gaps)
    return int(gaps[np.abs(gaps - ordinary) <= DISTURBED * ordinary].mean())


Piece = tuple[Times, Times, Array, NDArray[np.object_]]


def _stretches(source: NDArray[np.object_]) -> Iterator[tuple[int, int]]:
    """Begin and end of each run of one source."""
    edges = [0, *(np.flatnonzero(source[1:] != source[:-1]) + 1).tolist(), len(source)]
    return itertools.pairwise(edges)


def _one_each(stretch: ExecutedCommands, own_ns: int, next_ns: int | None) -> Piece:
    """One tick for each command. `own_ns`: period of the commands; `next_ns`: when somebody else takes over."""
    kept, slots = _slots(stretch.decided_ns, own_ns)
    decided = stretch.decided_ns[kept]
    stop_ns = decided[-1] + own_ns if next_ns is None else next_ns
    # A command that somebody else supersedes before half of its tick is over did next to nothing.
    last = 1 if next_ns is None else max(0, int((stop_ns - decided[-1]) / own_ns + 0.5))
    counts = np.append(np.diff(slots), last)
    gaps = np.diff(decided, append=stop_ns)
    which = np.repeat(np.arange(len(kept)), counts)
    nth = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    later = nth * gaps[which] // np.maximum(counts[which], 1)
    row = kept[which]
    return decided[which] + later, stretch.begin_ns[row] + later, stretch.target_rad[row], stretch.source[row]


def _slots(decided_ns: Times, own_ns: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of the commands that count, and the tick of each, strictly increasing.

    A late command is followed by others that are on time, so ticks are given out from the end: each command gets the tick of its
    stamp or, if that is taken, the one before.
    """
    natural = np.floor((decided_ns - decided_ns[0]) / own_ns + 0.5).astype(np.intp)
    kept: list[int] = []
    slots: list[int] = []
    free = int(natural[-1])
    for index in range(len(natural) - 1, -1, -1):
        slot = min(int(natural[index]), free)
        if natural[index] - slot <= MOST_SLOTS_LATE:
            kept.append(index)
            slots.append(slot)
            free = slot - 1
    return np.array(kept[::-1], dtype=np.intp), np.array(slots[::-1], dtype=np.intp)


def _regular(stretch: ExecutedCommands, before_rad: Array, own_ns: int, period_ns: int, next_ns: int | None) -> Piece:
    """A regular grid over commands that come at another rate. `before_rad` (A,): the target in effect before the first."""
    decided = stretch.decided_ns
    stop_ns = int(decided[-1]) + own_ns if next_ns is None else next_ns
    count = max(int((stop_ns - int(decided[0])) / period_ns + 0.5), 1 if next_ns is None else 0)
    later = np.arange(count) * period_ns
    reached = np.minimum(decided + own_ns, np.append(decided[1:], stop_ns))
    knots = np.stack([decided, reached], axis=1).ravel() - decided[0]
    corners = np.concatenate([before_rad[None], np.repeat(stretch.target_rad, 2, axis=0)[:-1]])
    targets = [np.interp(later + period_ns, knots, corner) for corner in corners.T]
    target = np.stack(targets, axis=1) if count else np.zeros((0, len(before_rad)))
    row = np.searchsorted(decided - decided[0], later, side="right") - 1
    delay_ns = int(np.median(stretch.begin_ns - decided))
    return decided[0] + later, decided[0] + later + delay_ns, target, stretch.source[row]

"""Ends the process groups of a launch that can no longer do so itself (kill -9, a crash, the out-of-memory killer).

Runs as a program of its own, in its own session, with nothing but the standard library. It reads lines from its standard input:
``+N`` watches process group N, ``-N`` says that the group's leader has ended. When the input ends, every group that still has
members gets SIGINT, then SIGTERM, then SIGKILL; so does what a leader left behind. Usage: guardian.py SECONDS_BETWEEN_SIGNALS.
"""

from __future__ import annotations

import os
import pathlib
import select
import signal
import sys
import time

POLL_PERIOD_S = 0.05
AFTER_KILL_S = 1.0
STEPS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


class Escalation:
    """SIGINT now, SIGTERM and SIGKILL later, until the group is empty."""

    def __init__(self, group: int, period_s: float) -> None:
        self._group = group
        self._period_s = period_s
        self._step = 0
        self._due_s = time.monotonic()

    def advance(self) -> bool:
        """Send what is due. False when there is nothing left to do."""
        if time.monotonic() >= self._due_s:
            if self._step == len(STEPS):
                return False
            sent = STEPS[self._step]
            self._step += 1
            self._due_s = time.monotonic() + (AFTER_KILL_S if sent == signal.SIGKILL else self._period_s)
            try:
                os.killpg(self._group, sent)
            except (ProcessLookupError, PermissionError):
                return False
        return has_running_member(self._group)


def has_running_member(group: int) -> bool:
    """Whether a process of the group runs. Zombies do not count: where nobody reaps them, they stay for ever."""
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, member_group = stat.read_text(errors="replace").rpartition(")")[2].split()[:3]
        except OSError:  # it ended meanwhile
            continue
        if int(member_group) == group and state not in "ZX":
            return True
    return False


def guard(input_fd: int, period_s: float) -> None:
    """Follow the protocol until the input has ended and no group is left."""
    watched: set[int] = set()
    escalations: list[Escalation] = []
    text, is_open = b"", True
    while is_open or escalations:
        busy_period_s = POLL_PERIOD_S if escalations else None
        if is_open and select.select([input_fd], [], [], busy_period_s)[0]:
            data = os.read(input_fd, 4096)
            text += data
            *lines, text = text.split(b"\n")
            for line in lines:
                group = int(line[1:])
                if line.startswith(b"+"):
                    watched.add(group)
                else:
                    watched.discard(group)
                    escalations.append(Escalation(group, period_s))
            if not data:
                is_open = False
                escalations += [Escalation(group, period_s) for group in watched]
        elif not is_open:
            time.sleep(POLL_PERIOD_S)
        escalations = [escalation for escalation in escalations if escalation.advance()]


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    guard(sys.stdin.fileno(), float(sys.argv[1]))

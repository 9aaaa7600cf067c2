"""Asks the kernel for what a control loop wants, takes what it gets, and says what that was.

Without permission nothing fails: the loop then runs with ordinary scheduling, and diagnostics say so and how to change it.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import threading
from dataclasses import dataclass

_MCL_CURRENT_AND_FUTURE = 1 | 2
_PR_SET_TIMERSLACK = 29
_HELP = (
    "allow it with 'rtprio 80', 'memlock unlimited' and 'nice -15' in /etc/security/limits.d, or cap_sys_nice and cap_ipc_lock"
)


@dataclass(frozen=True)
class RealtimeReport:
    """What was granted: e.g. "SCHED_FIFO 50" or "ordinary scheduling", and whether memory is locked."""

    scheduling: str
    memory_locked: bool

    @property
    def complete(self) -> bool:
        return self.scheduling.startswith("SCHED_FIFO") and self.memory_locked

    @property
    def hint(self) -> str:
        """What to do for more; empty when there is nothing."""
        return "" if self.complete else _HELP


def ask_for_realtime(priority: int, nice: int = -15) -> RealtimeReport:
    """Real-time priority for the calling thread, one less for the process's others (they carry the messages); memory locked."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(1), 0, 0, 0)
    locked = libc.mlockall(_MCL_CURRENT_AND_FUTURE) == 0
    return RealtimeReport(_schedule(priority, nice), locked)


def _schedule(priority: int, nice: int) -> str:
    own = threading.get_native_id()
    others = [thread for thread in map(int, os.listdir("/proc/self/task")) if thread != own]
    try:
        os.sched_setscheduler(own, os.SCHED_FIFO, os.sched_param(priority))
        for thread in others:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(priority - 1))
        return f"SCHED_FIFO {priority}"
    except PermissionError:
        pass
    try:
        for thread in (own, *others):
            with contextlib.suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, thread, nice)
        return f"ordinary scheduling, nice {nice}"
    except PermissionError:
        return "ordinary scheduling"


def freeze_garbage() -> None:
    """Take everything that exists out of garbage collection and switch the automatic collection off: it would hit in mid-tick."""
    gc.collect()
    gc.freeze()
    gc.disable()


def thaw_garbage() -> None:
    """Undo `freeze_garbage`."""
    gc.unfreeze()
    gc.enable()

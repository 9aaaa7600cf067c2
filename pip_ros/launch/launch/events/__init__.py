"""Events that launch files may emit or answer."""

from __future__ import annotations

from ..event import Event
from ..upstream_only import refuse_attribute
from . import process

__all__ = ["Shutdown", "process"]


class Shutdown(Event):
    """Ends everything that this launch runs. ``due_to_sigint`` is set when the user asked for it with Ctrl-C."""

    name = "launch.events.Shutdown"

    def __init__(self, *, reason: str = "reason not given", due_to_sigint: bool = False) -> None:
        self.reason = reason
        self.due_to_sigint = due_to_sigint


__getattr__ = refuse_attribute(__name__, __all__, "ExecutionComplete IncludeLaunchDescription TimerEvent matchers")

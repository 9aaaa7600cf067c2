"""Events of processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..event import Event
from ..upstream_only import refuse_attribute

if TYPE_CHECKING:
    from ..actions.execute_process import ExecuteProcess

__all__ = ["ProcessExited", "ProcessStarted"]


class _ProcessEvent(Event):
    def __init__(
        self, *, action: ExecuteProcess, name: str, cmd: Sequence[str], cwd: str | None, env: Mapping[str, str] | None, pid: int
    ) -> None:
        self.action = action
        self.process_name = name
        self.cmd = list(cmd)
        self.cwd = cwd
        self.env = env
        self.pid = pid


class ProcessStarted(_ProcessEvent):
    """A process has started."""

    name = "launch.events.process.ProcessStarted"


class ProcessExited(_ProcessEvent):
    """A process has ended; ``returncode`` is negative for the signal that ended it."""

    name = "launch.events.process.ProcessExited"

    def __init__(
        self,
        *,
        action: ExecuteProcess,
        name: str,
        cmd: Sequence[str],
        cwd: str | None,
        env: Mapping[str, str] | None,
        pid: int,
        returncode: int,
    ) -> None:
        super().__init__(action=action, name=name, cmd=cmd, cwd=cwd, env=env, pid=pid)
        self.returncode = returncode


__getattr__ = refuse_attribute(
    __name__,
    __all__,
    "ProcessIO ProcessStderr ProcessStdin ProcessStdout ProcessTargetedEvent RunningProcessEvent ShutdownProcess SignalProcess",
)

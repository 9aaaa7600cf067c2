"""Whose commands are executed.

One source is selected by `hw_bridge/set_source`; it drives from its first command until it releases. Teleoperation preempts
everybody, selected or not, and hands back by releasing: to the selected source, which continues with its next command. A
teleoperation that falls silent without releasing keeps the robot in hold: it is unknown what the operator wanted, so nobody else
may move it until teleoperation speaks again, a person selects a source, or the bridge is re-armed.
"""

from __future__ import annotations

from sernf_hw_bridge.command import COMMANDERS, NOBODY, TELEOP, Command, Rejection


class Arbiter:
    """State: the selected source, and the active one, whose commands are executed; "none" if nobody."""

    def __init__(self) -> None:
        self._selected = NOBODY
        self._active = NOBODY
        self._operator_has_it = False

    @property
    def selected(self) -> str:
        return self._selected

    @property
    def active(self) -> str:
        return self._active

    def select(self, source: str) -> None:
        """Choose who may drive; nobody drives until that source's next command. Raises ValueError for an unknown source."""
        if source not in (*COMMANDERS, NOBODY):
            raise ValueError(f"expected one of {', '.join(COMMANDERS)} or {NOBODY}, got {source!r}")
        self._selected = source
        self.release()

    def release(self) -> None:
        """Nobody drives; whoever is entitled may begin."""
        self._active = NOBODY
        self._operator_has_it = False

    def silence(self) -> None:
        """The active source has fallen silent: nobody drives. After a silent operator only the operator may begin again."""
        self._active = NOBODY

    def offer(self, command: Command) -> Rejection | None:
        """Take notice of an accepted command: None if it is to be executed (or was a release), else why not."""
        refused = self._refusal(command.source)
        if refused is not None:
            return refused
        if command.release:
            if command.source == self._active or (command.source == TELEOP and self._operator_has_it):
                self.release()
        else:
            self._active = command.source
            self._operator_has_it = command.source == TELEOP
        return None

    def _refusal(self, source: str) -> Rejection | None:
        if source == TELEOP:
            return None
        if source != self._selected:
            return Rejection("not_selected", f"{source} is not the selected source ({self._selected}): use hw_bridge/set_source")
        if self._operator_has_it:
            return Rejection("preempted", f"teleop has taken over from {source}")
        return None

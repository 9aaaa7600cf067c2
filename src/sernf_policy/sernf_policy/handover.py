"""Whether the bridge lets the policy command, and whether the robot went another way than the policy's last chunk says."""

from __future__ import annotations

from sernf_policy.observation_sync import BridgeReading

SOURCE = "policy"
TELEOP = "teleop"
COMMANDABLE_MODES = ("hold", "track")


class Handover:
    """One `check` a control tick before commanding; `commanded` after each command, `end` when none are sent any more."""

    def __init__(self, follow_timeout_s: float) -> None:
        self._follow_timeout_s = follow_timeout_s
        self._since_s: float | None = None
        self._jumps = 0
        self._followed = False
        self._owes_release = False

    @property
    def is_engaged(self) -> bool:
        """Whether commands are being sent."""
        return self._since_s is not None

    def obstacle(self, bridge: BridgeReading) -> str:
        """Why the bridge would not follow the policy, and what to do; empty when it would."""
        if bridge.mode not in COMMANDABLE_MODES:
            return f"the robot is {bridge.mode}: {bridge.fault or bridge.reason or 'wait, or arm it with hw_bridge/clear_fault'}"
        if bridge.selected_source != SOURCE:
            return f"the selected source is {bridge.selected_source}: call hw_bridge/set_source with '{SOURCE}'"
        if bridge.active_source == TELEOP:
            return "an operator has taken over"
        return ""

    def lost(self, bridge: BridgeReading, jumps: int, now_s: float) -> str:
        """Why what was planned does not count any more although the bridge would follow; empty when it does.

        `jumps`: how often the executed pose was put somewhere else, ever.
        """
        if self._since_s is None:
            return ""
        if jumps != self._jumps:
            return "the robot was put somewhere else"
        if bridge.active_source == SOURCE:
            self._followed = True
        elif self._followed:
            return f"the bridge has stopped following: {bridge.reason or bridge.mode}"
        elif now_s - self._since_s > self._follow_timeout_s:
            return "the bridge does not follow; if an operator fell silent without a release, call hw_bridge/set_source again"
        return ""

    def commanded(self, jumps: int, now_s: float) -> None:
        """A command is being sent."""
        self._owes_release = True
        if self._since_s is None:
            self._since_s, self._jumps, self._followed = now_s, jumps, False

    def end(self) -> None:
        """No commands for the present."""
        self._since_s = None

    def release(self, bridge: BridgeReading | None) -> bool:
        """The policy gives the robot up: whether the bridge has to be told, so that it does not take silence for a fault."""
        owed, self._owes_release = self._owes_release, False
        self.end()
        return owed and bridge is not None and bridge.selected_source == SOURCE

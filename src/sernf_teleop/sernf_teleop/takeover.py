"""Who commands: the operator's side of a takeover, as a pure state machine.

idle -> engaged when the operator asks and nothing stands in the way; the first command repeats what the bridge executes, so that
nothing jumps. engaged -> idle with a release when the operator lets go: control is handed back. engaged -> suspended when data
are missing, the bridge does not accept commands, or the device fails: nothing is sent and nothing is released, the bridge holds.
From there the operator either lets go (release) or, once the obstacle is gone, starts afresh from what is executed.
"""

from __future__ import annotations

from enum import Enum


class Phase(Enum):
    """Where the takeover stands."""

    IDLE = "idle"
    ENGAGED = "engaged"
    SUSPENDED = "suspended"


class Action(Enum):
    """What to send in this control period."""

    NOTHING = "nothing"
    ENGAGE = "engage"
    """the first command of an engagement: exactly what is executed"""
    COMMAND = "command"
    RELEASE = "release"


class Takeover:
    """State machine of takeover and release; one `step` per control period."""

    def __init__(self) -> None:
        self.phase = Phase.IDLE
        self.stay_engaged = False
        self.engagements = 0
        """how often the operator has taken over, resumptions included"""

    def toggle_stay_engaged(self) -> bool:
        """Keep commanding without holding the takeover key, or not any more; returns the new state."""
        self.stay_engaged = not self.stay_engaged
        return self.stay_engaged

    def step(self, held: bool | None, obstacle: str) -> Action:
        """`held`: takeover key or button, None if the device does not know. `obstacle`: why commands are impossible, or ''."""
        if held is None:
            if self.phase is Phase.ENGAGED:
                self.phase = Phase.SUSPENDED
            return Action.NOTHING
        wanted = held or self.stay_engaged
        if not wanted:
            if self.phase is Phase.IDLE:
                return Action.NOTHING
            self.phase = Phase.IDLE
            return Action.RELEASE
        if obstacle:
            if self.phase is Phase.ENGAGED:
                self.phase = Phase.SUSPENDED
            return Action.NOTHING
        if self.phase is Phase.ENGAGED:
            return Action.COMMAND
        self.phase = Phase.ENGAGED
        self.engagements += 1
        return Action.ENGAGE

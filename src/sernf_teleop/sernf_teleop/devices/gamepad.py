"""Gamepad through sensor_msgs/Joy, as the `joy` package publishes it. Without fresh messages the device is in fault.

A driver may send zeros for a trigger that nobody has touched yet, although its rest position is 1: an axis counts only after it
was seen at rest once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from sernf_teleop.motions import TAKEOVER, Motion, Speeds, check_action, is_motion
from sernf_teleop.operator_device import Button, Input, OperatorIntent, QuietDevice, RobotView


@dataclass(frozen=True, kw_only=True)
class AxisConfig:
    """One axis: its index in Joy.axes, the motion that its positive deflection makes, its value at rest."""

    index: int
    action: str
    rest: float = 0.0
    deadzone: float = 0.1

    def __post_init__(self) -> None:
        if self.index < 0:
            raise ValueError(f"index: expected 0 or more, got {self.index}")
        if not is_motion(self.action):
            raise ValueError(f"action: expected a motion such as '+x', got '{self.action}'")
        check_action("action", self.action, ())
        if not -1.0 <= self.rest <= 1.0:
            raise ValueError(f"rest: expected -1 to 1, got {self.rest}")
        if not 0.0 <= self.deadzone < 1.0:
            raise ValueError(f"deadzone: expected 0 or more and less than 1, got {self.deadzone}")

    def deflection(self, value: float) -> float:
        """-1..1 for an axis value; 0 inside the dead zone, without a step at its edge."""
        raw = (value - self.rest) / (1.0 + abs(self.rest))
        size = (min(1.0, abs(raw)) - self.deadzone) / (1.0 - self.deadzone)
        return 0.0 if size <= 0.0 else size if raw > 0.0 else -size


DEFAULT_AXES = (
    AxisConfig(index=1, action="+x"), AxisConfig(index=0, action="+y"), AxisConfig(index=7, action="+z"),
    AxisConfig(index=6, action="+roll"), AxisConfig(index=4, action="+pitch"), AxisConfig(index=3, action="+yaw"),
    AxisConfig(index=5, action="-grasp", rest=1.0), AxisConfig(index=2, action="+grasp", rest=1.0),
)  # fmt: skip
DEFAULT_BUTTONS = {
    "0": "end_success", "1": "end_failure", "2": "end_discard", "3": "start_episode", "4": "takeover", "5": "stay_engaged",
    "6": "stop", "7": "arm", "8": "home",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class GamepadConfig:
    """For an Xbox-like pad. `buttons`: index in Joy.buttons (as text) to action. What a file gives replaces the defaults."""

    topic: str = "joy"
    axes: tuple[AxisConfig, ...] = DEFAULT_AXES
    buttons: dict[str, str] = field(default_factory=lambda: dict(DEFAULT_BUTTONS))
    frame: Literal["hand", "base"] = "base"
    speeds: Speeds = field(default_factory=Speeds)
    stale_after_s: float = 0.3

    def __post_init__(self) -> None:
        for index, action in self.buttons.items():
            if not index.isdecimal():
                raise ValueError(f"buttons: expected the index of a button, got '{index}'")
            check_action(f"buttons.{index}", action, ())
        if TAKEOVER not in self.buttons.values():
            raise ValueError("buttons: expected a button for 'takeover', which is held to drive")
        if not 0.0 < self.stale_after_s <= 2.0:
            raise ValueError(f"stale_after_s: expected more than 0 and at most 2 s, got {self.stale_after_s}")

    @property
    def actions(self) -> dict[str, str]:
        """Everything that is bound, by where."""
        return {**{f"axes[{axis.index}]": axis.action for axis in self.axes}, **self.buttons}


class Gamepad(QuietDevice):
    """Sticks drive while the takeover button is held."""

    def __init__(self, config: GamepadConfig) -> None:
        self._config = config
        self._axes: list[float] = []
        self._buttons: list[int] = []
        self._arrived_s: float | None = None
        self._seen_at_rest: set[int] = set()
        self._presses: list[Button] = []

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The Joy topic."""
        return (Input(topic=self._config.topic, type="sensor_msgs/msg/Joy", callback=self.receive),)

    def receive(self, message: Any, now_s: float) -> None:
        """Take a sensor_msgs/Joy."""
        before = self._buttons
        self._axes, self._buttons = list(message.axes), list(message.buttons)
        # A button that is down in the first message was not pressed for us.
        if self._arrived_s is not None and len(before) == len(self._buttons):
            pressed = [index for index, down in enumerate(self._buttons) if down and not before[index]]
            actions = [self._config.buttons.get(str(index), "") for index in pressed]
            self._presses += [Button(action) for action in actions if action and action != TAKEOVER and not is_motion(action)]
        self._arrived_s = now_s

    def close(self) -> None:
        """Forget everything that was seen."""
        self._arrived_s = None
        self._seen_at_rest.clear()
        self._presses.clear()

    def poll(self, now_s: float, robot: RobotView) -> OperatorIntent:
        """What sticks and buttons ask for; in fault without a fresh message."""
        buttons, self._presses = tuple(self._presses), []
        fault = self._fault(now_s)
        if fault:
            self._seen_at_rest.clear()
            return OperatorIntent(fault=fault, buttons=buttons)
        motion = Motion(self._config.speeds)
        for axis in self._config.axes:
            deflection = axis.deflection(self._axes[axis.index])
            if deflection == 0.0:
                self._seen_at_rest.add(axis.index)
            elif axis.index in self._seen_at_rest:
                motion.add(axis.action, deflection)
        takeover = False
        for index, action in self._config.buttons.items():
            if self._buttons[int(index)]:
                takeover |= action == TAKEOVER
                if is_motion(action):
                    motion.add(action, 1.0)
        return OperatorIntent(
            takeover=takeover,
            twist=motion.twist if motion.twist.any() else None,
            twist_frame=self._config.frame,
            synergy_rate=motion.synergy_rate,
            buttons=buttons,
        )

    def _fault(self, now_s: float) -> str:
        if self._arrived_s is None:
            return f"no message on {self._config.topic} yet: is the gamepad plugged in, and the joy node running?"
        if now_s - self._arrived_s > self._config.stale_after_s:
            return f"gamepad silent for {now_s - self._arrived_s:.1f} s: plugged in? (joy node: set autorepeat_rate to 20)"
        axes = 1 + max((axis.index for axis in self._config.axes), default=-1)
        buttons = 1 + max(int(index) for index in self._config.buttons)
        if len(self._axes) < axes or len(self._buttons) < buttons:
            return (
                f"the configuration needs a gamepad with {axes} axes and {buttons} buttons, "
                f"got {len(self._axes)} and {len(self._buttons)}: change gamepad.axes and gamepad.buttons"
            )
        return ""

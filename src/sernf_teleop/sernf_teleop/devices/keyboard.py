"""Keyboard in a plain terminal; works over ssh.

A terminal tells presses, never releases: a key that is held repeats after a delay, and only the key pressed last repeats. So a
motion lasts a short moment after each byte that comes for it (a tap is a small nudge), and the takeover lasts `linger_s` after
any takeover or motion key, which bridges the delay before the repetition begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from sernf_teleop.devices.terminal import Terminal
from sernf_teleop.motions import TAKEOVER, Motion, Speeds, check_action, is_motion
from sernf_teleop.operator_device import Button, OperatorIntent, QuietDevice, RobotView, Status

FRAME, FASTER, SLOWER = "frame", "faster", "slower"
SPECIAL_KEYS = {"\r": "enter", "\n": "enter", "\t": "tab", " ": "space", "\x7f": "backspace", "\x1b": "escape"}
SEQUENCES = {
    "A": "up", "B": "down", "C": "right", "D": "left", "H": "home_key", "F": "end_key", "5~": "page_up", "6~": "page_down",
}  # fmt: skip
ESCAPE_WAIT_S = 0.05
SLOWEST, SPEED_STEP = 0.1, 1.25
KEYS_PER_LINE = 5

DEFAULT_KEYS: dict[str, str] = {
    "w": "+x", "s": "-x", "a": "+y", "d": "-y", "r": "+z", "f": "-z",
    "u": "+roll", "o": "-roll", "i": "+pitch", "k": "-pitch", "j": "+yaw", "l": "-yaw",
    "up": "+x", "down": "-x", "left": "+y", "right": "-y", "page_up": "+z", "page_down": "-z",
    "g": "+grasp", "b": "-grasp", "h": "+pinch", "n": "-pinch",
    "space": TAKEOVER, "t": "stay_engaged", "tab": FRAME, "+": FASTER, "-": SLOWER,
    "enter": "start_episode", "1": "end_success", "2": "end_failure", "3": "end_discard",
    "escape": "stop", "x": "stop", "A": "arm", "H": "home", "N": "new_scene", "T": "select_teleop", "P": "select_policy",
    "q": "quit",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class KeyboardConfig:
    """`keys`: key to action (see motions.py); besides `frame`, `faster`, `slower`. A file's `keys` replace the default ones."""

    keys: dict[str, str] = field(default_factory=lambda: dict(DEFAULT_KEYS))
    frame: Literal["hand", "base"] = "base"
    speeds: Speeds = field(default_factory=Speeds)
    tap_s: float = 0.12
    """how long a single press moves"""
    repeat_tolerance_s: float = 0.25
    """how long a repeated press moves; longer than the time between two repetitions, network jitter included"""
    linger_s: float = 0.8
    """how long the takeover lasts after the last key; longer than the delay before a held key begins to repeat"""

    def __post_init__(self) -> None:
        if not 0.0 < self.tap_s <= self.repeat_tolerance_s <= self.linger_s <= 2.0:
            raise ValueError(
                "expected 0 < tap_s <= repeat_tolerance_s <= linger_s <= 2.0, "
                f"got {self.tap_s}, {self.repeat_tolerance_s}, {self.linger_s}"
            )
        named = {*SPECIAL_KEYS.values(), *SEQUENCES.values()}
        for key, action in self.keys.items():
            if not (len(key) == 1 and key.isprintable() and not key.isspace()) and key not in named:
                raise ValueError(f"keys: unknown key '{key}'; expected one character, or one of {', '.join(sorted(named))}")
            check_action(f"keys.{key}", action, (FRAME, FASTER, SLOWER))
        if not {Button.STOP.value, Button.QUIT.value} <= set(self.keys.values()):
            raise ValueError("keys: expected a key for 'stop' and one for 'quit'")


class KeyParser:
    """Bytes of a terminal to key names; unknown sequences are swallowed."""

    def __init__(self) -> None:
        self._pending = ""
        self._pending_s = 0.0

    def feed(self, data: bytes, now_s: float) -> list[str]:
        """Keys that are complete at `now_s`. An escape byte that nothing follows soon is the escape key."""
        late = now_s - self._pending_s > ESCAPE_WAIT_S
        text = data.decode("ascii", errors="ignore")
        keys = []
        if self._pending and late:
            keys += ["escape"] if self._pending == "\x1b" else []
            self._pending = ""
        rest = self._pending + text
        while rest:
            key, used = self._next(rest)
            if not used:
                break
            keys += [key] if key else []
            rest = rest[used:]
        if rest != self._pending:
            self._pending_s = now_s
        self._pending = rest
        return keys

    @staticmethod
    def _next(text: str) -> tuple[str, int]:
        """First key ('' if unknown) and the characters it took; 0 when it is not complete."""
        if text[0] != "\x1b":
            return SPECIAL_KEYS.get(text[0], text[0] if text[0].isprintable() else ""), 1
        if len(text) == 1:
            return "", 0
        if text[1] not in "[O":
            return "escape", 1
        for end in range(2, len(text)):
            if "@" <= text[end] <= "~":
                return SEQUENCES.get(text[2 : end + 1], ""), end + 1
        return "", 0


class HeldKeys:
    """Which keys count as held, from their presses and repetitions."""

    def __init__(self, config: KeyboardConfig) -> None:
        self._config = config
        self._pressed_s: dict[str, float] = {}
        self._until_s: dict[str, float] = {}

    def press(self, key: str, now_s: float) -> None:
        """A press or a repetition of `key` arrived."""
        repeated = now_s - self._pressed_s.get(key, -np.inf) <= self._config.linger_s
        self._pressed_s[key] = now_s
        self._until_s[key] = now_s + (self._config.repeat_tolerance_s if repeated else self._config.tap_s)

    def held(self, now_s: float) -> list[str]:
        """Keys that are held at `now_s`."""
        return [key for key, until_s in self._until_s.items() if now_s <= until_s]

    def forget(self) -> None:
        """Nothing is held any more."""
        self._pressed_s.clear()
        self._until_s.clear()


class Keyboard(QuietDevice):
    """Keys held = motion, with a status screen."""

    def __init__(self, config: KeyboardConfig, terminal: Terminal | None = None) -> None:
        self._config = config
        self._terminal = terminal or Terminal()
        self._parser = KeyParser()
        self._held = HeldKeys(config)
        self._takeover_until_s = -np.inf
        self._frame: Literal["hand", "base"] = config.frame
        self._speed = 1.0
        self._help = help_lines(config.keys)

    def open(self) -> None:
        """Take the terminal; raises DeviceError when there is none."""
        self._terminal.open()

    def close(self) -> None:
        """Restore the terminal."""
        self._terminal.close()
        self._held.forget()
        self._takeover_until_s = -np.inf

    def poll(self, now_s: float, robot: RobotView) -> OperatorIntent:
        """What the keys ask for."""
        buttons = []
        for key in self._parser.feed(self._terminal.read(), now_s):
            action = self._config.keys.get(key, "")
            if action == TAKEOVER or is_motion(action):
                self._held.press(key, now_s)
                self._takeover_until_s = now_s + self._config.linger_s
            elif action in (FRAME, FASTER, SLOWER):
                self._adjust(action)
            elif action:
                buttons.append(Button(action))
        if Button.STOP in buttons:
            self._held.forget()
            self._takeover_until_s = -np.inf
        motion = Motion(self._config.speeds)
        for key in self._held.held(now_s):
            if is_motion(self._config.keys[key]):
                motion.add(self._config.keys[key], self._speed)
        return OperatorIntent(
            takeover=now_s <= self._takeover_until_s,
            twist=motion.twist if motion.twist.any() else None,
            twist_frame=self._frame,
            synergy_rate=motion.synergy_rate,
            buttons=tuple(buttons),
        )

    def show(self, status: Status) -> None:
        """Draw the status screen."""
        phase = f"{status.phase}{' (stays engaged)' if status.stay_engaged else ''}"
        self._terminal.draw(
            [
                f"SERNF teleop    robot: {status.mode}    driven by: {status.active_source} (selected: {status.selected_source})",
                f"you: {phase}    axes of: {self._frame}    speed: {self._speed:.0%}",
                f"! {status.trouble}" if status.trouble else "",
                f"  {status.motion}",
                "",
                *self._help,
                "",
                *(f"> {line}" for line in status.results),
            ]
        )

    def _adjust(self, action: str) -> None:
        if action == FRAME:
            self._frame = "hand" if self._frame == "base" else "base"
        else:
            self._speed = float(np.clip(self._speed * (SPEED_STEP if action == FASTER else 1.0 / SPEED_STEP), SLOWEST, 1.0))


def help_lines(keys: Mapping[str, str]) -> list[str]:
    """The key map in a few lines: motions as pairs, then everything else."""
    by_action: dict[str, str] = {}
    for key, action in keys.items():
        by_action.setdefault(action, key)
    motions = [action[1:] for action in by_action if action[0] == "+"]
    entries = [f"{by_action[f'+{name}']}/{by_action.get(f'-{name}', '')} {name}" for name in motions]
    entries += [f"{key} {action.replace('_', ' ')}" for action, key in by_action.items() if not is_motion(action)]
    width = max(map(len, entries), default=0) + 2
    rows = [entries[start : start + KEYS_PER_LINE] for start in range(0, len(entries), KEYS_PER_LINE)]
    return ["".join(entry.ljust(width) for entry in row).rstrip() for row in rows]

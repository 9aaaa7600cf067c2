"""The keyboard: bytes to keys, keys to intents, with the auto-repeat of real terminals."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from teleop_fixtures import CONFIG, view

from sernf_teleop.devices.keyboard import DEFAULT_KEYS, Keyboard, KeyboardConfig, KeyParser, help_lines
from sernf_teleop.devices.terminal import Terminal
from sernf_teleop.motions import check_synergies
from sernf_teleop.operator_device import Button, DeviceError, OperatorIntent, Status

PERIOD_S = 0.05


class FakeTerminal(Terminal):
    """Takes bytes from the test."""

    def __init__(self) -> None:
        super().__init__()
        self.typed = b""
        self.drawn: list[str] = []

    def open(self) -> None:
        pass

    def read(self) -> bytes:
        typed, self.typed = self.typed, b""
        return typed

    def draw(self, lines: list[str]) -> None:
        self.drawn = lines


@pytest.fixture
def terminal() -> FakeTerminal:
    return FakeTerminal()


@pytest.fixture
def keyboard(terminal: FakeTerminal) -> Keyboard:
    return Keyboard(KeyboardConfig(), terminal)


def press(keyboard: Keyboard, terminal: FakeTerminal, keys: str, now_s: float) -> OperatorIntent:
    terminal.typed = keys.encode()
    return keyboard.poll(now_s, view())


def hold(
    keyboard: Keyboard, terminal: FakeTerminal, key: str, delay_s: float, repeat_s: float, end_s: float
) -> list[OperatorIntent]:
    """Intents from 0 to 3 s of a key that is held from 0 to `end_s`, as a terminal with that auto-repeat sends it."""
    stamps = [0.0, *np.arange(delay_s, end_s, repeat_s)]
    intents = []
    for now_s in np.arange(0.0, 3.0, PERIOD_S):
        due = [stamp for stamp in stamps if stamp <= now_s + 1e-9]
        stamps = stamps[len(due) :]
        intents.append(press(keyboard, terminal, key * len(due), float(now_s)))
    return intents


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"w", ["w"]), (b"W ", ["W", "space"]), (b"\r", ["enter"]), (b"\x7f\t", ["backspace", "tab"]),
        (b"\x1b[A\x1b[D", ["up", "left"]), (b"\x1bOB", ["down"]), (b"\x1b[5~w", ["page_up", "w"]),
        (b"\x1b[1;5Aw", ["w"]), (b"\xc3\xa4w", ["w"]), (b"\x00\x01w", ["w"]), (b"\x1bw", ["escape", "w"]),
    ],
)  # fmt: skip
def test_bytes_become_keys(data: bytes, keys: list[str]) -> None:
    assert KeyParser().feed(data, 0.0) == keys


def test_a_sequence_may_arrive_in_pieces() -> None:
    parser = KeyParser()
    assert [parser.feed(piece, 0.01) for piece in (b"\x1b", b"[", b"A")] == [[], [], ["up"]]


def test_escape_alone_is_a_key_after_a_moment() -> None:
    parser = KeyParser()
    assert parser.feed(b"\x1b", 0.0) == []
    assert parser.feed(b"", 0.2) == ["escape"]
    assert parser.feed(b"", 0.4) == []


@given(st.lists(st.binary(max_size=12), max_size=12))
def test_no_bytes_upset_the_parser(pieces: list[bytes]) -> None:
    parser = KeyParser()
    for number, piece in enumerate(pieces):
        parser.feed(piece, number * 0.03)
    assert parser.feed(b"", 100.0) in ([], ["escape"])
    assert parser.feed(b"w", 101.0) == ["w"]


@pytest.mark.parametrize(("delay_s", "repeat_s"), [(0.25, 0.03), (0.5, 0.033), (0.66, 0.04), (0.5, 0.1)])
def test_a_held_key_moves_until_it_is_let_go_and_takes_over_without_a_break(
    keyboard: Keyboard, terminal: FakeTerminal, delay_s: float, repeat_s: float
) -> None:
    intents = hold(keyboard, terminal, "w", delay_s, repeat_s, end_s=1.5)
    times = np.arange(0.0, 3.0, PERIOD_S)
    taken = [bool(intent.takeover) for intent in intents]
    assert all(takeover for takeover, now_s in zip(taken, times, strict=True) if now_s < 1.5)
    assert not any(takeover for takeover, now_s in zip(taken, times, strict=True) if now_s > 2.4)
    moving = [intent.twist is not None for intent in intents]
    assert moving[0]
    assert all(moves for moves, now_s in zip(moving, times, strict=True) if delay_s + PERIOD_S < now_s < 1.5)
    assert not any(moves for moves, now_s in zip(moving, times, strict=True) if now_s > 1.8)


def test_a_tap_is_a_small_nudge(keyboard: Keyboard, terminal: FakeTerminal) -> None:
    twists = [intent.twist for intent in hold(keyboard, terminal, "w", 9, 9, 0.1)]
    assert 0.0 < sum(PERIOD_S * twist[0] for twist in twists if twist is not None) < 0.03


def test_two_keys_add_up_and_opposite_keys_cancel(keyboard: Keyboard, terminal: FakeTerminal) -> None:
    twist = press(keyboard, terminal, "wa", 0.0).twist
    assert twist is not None
    assert twist[0] == twist[1] > 0.0
    assert press(keyboard, terminal, "sd", 0.05).twist is None


def test_synergies_frame_and_speed(keyboard: Keyboard, terminal: FakeTerminal) -> None:
    assert press(keyboard, terminal, "g", 0.0).synergy_rate["grasp"] > 0.0
    full = press(keyboard, terminal, "w", 5.0).twist
    slow = press(keyboard, terminal, "\t--w", 10.0)
    assert slow.twist_frame == "hand"
    assert slow.twist is not None
    assert full is not None
    assert 0.0 < slow.twist[0] < full[0]


def test_buttons_come_once_each_and_in_order(keyboard: Keyboard, terminal: FakeTerminal) -> None:
    assert press(keyboard, terminal, "\r1q", 0.0).buttons == (Button.START_EPISODE, Button.SUCCESS, Button.QUIT)
    assert press(keyboard, terminal, "", 0.05).buttons == ()


def test_stop_ends_all_motion_at_once(keyboard: Keyboard, terminal: FakeTerminal) -> None:
    press(keyboard, terminal, "ww", 0.0)
    stopped = press(keyboard, terminal, "x", 0.05)
    assert stopped.buttons == (Button.STOP,)
    assert not stopped.takeover
    assert stopped.twist is None


def test_the_screen_tells_state_trouble_keys_and_answers(keyboard: Keyboard, terminal: FakeTerminal) -> None:
    status = Status(
        phase="engaged", stay_engaged=True, mode="track", selected_source="policy", active_source="teleop",
        trouble="tracker silent", motion="singularity", results=("home: ok",),
    )  # fmt: skip
    keyboard.show(status)
    screen = "\n".join(terminal.drawn)
    for text in ("engaged", "stays", "track", "policy", "tracker silent", "singularity", "home: ok", "g/b grasp", "escape stop"):
        assert text in screen


def test_every_action_has_its_key_in_the_help() -> None:
    text = "\n".join(help_lines(DEFAULT_KEYS))
    for action in set(DEFAULT_KEYS.values()):
        assert action.lstrip("+-").replace("_", " ") in text


def test_without_a_terminal_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    keyboard = Keyboard(KeyboardConfig())
    with open(os.devnull) as no_terminal:
        monkeypatch.setattr("sys.stdin", no_terminal)
        with pytest.raises(DeviceError, match="needs a terminal"):
            keyboard.open()
    keyboard.close()


@pytest.mark.parametrize(
    ("keys", "message"),
    [({"w": "fly"}, "unknown action 'fly'"), ({"F13": "stop"}, "unknown key 'F13'"), ({"w": "+x"}, "'quit'")],
)
def test_configuration_errors_name_the_key(keys: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KeyboardConfig(keys=keys)


def test_a_motion_must_be_an_axis_or_a_synergy() -> None:
    check_synergies("keys", DEFAULT_KEYS, CONFIG.synergies)
    with pytest.raises(ValueError, match=r"keys\.z: unknown motion 'wave'"):
        check_synergies("keys", {"z": "+wave"}, CONFIG.synergies)

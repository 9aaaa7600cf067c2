"""The gamepad: mapping, dead zone, triggers that lie at first, and silence as a fault."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from teleop_fixtures import view

from sernf_teleop.devices.gamepad import AxisConfig, Gamepad, GamepadConfig
from sernf_teleop.operator_device import Button, OperatorIntent

TAKEOVER, STOP = 4, 6


class Pad:
    """A gamepad at rest that can be moved."""

    def __init__(self) -> None:
        self.gamepad = Gamepad(GamepadConfig())
        self.axes = [0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0]
        self.buttons = [0] * 11
        self.now_s = 0.0

    def poll(self) -> OperatorIntent:
        self.now_s += 0.05
        self.gamepad.receive(SimpleNamespace(axes=self.axes, buttons=self.buttons), self.now_s)
        return self.gamepad.poll(self.now_s, view())


@pytest.fixture
def pad() -> Pad:
    made = Pad()
    made.poll()
    return made


def test_sticks_move_and_the_button_takes_over(pad: Pad) -> None:
    pad.axes[1], pad.buttons[TAKEOVER] = 1.0, 1
    intent = pad.poll()
    assert intent.takeover
    assert intent.twist is not None
    assert intent.twist[0] == pytest.approx(GamepadConfig().speeds.linear_m_s)
    assert not intent.twist[1:].any()


def test_sticks_alone_do_not_take_over(pad: Pad) -> None:
    pad.axes[1] = 1.0
    assert not pad.poll().takeover


def test_dead_zone_has_no_step_at_its_edge() -> None:
    axis = AxisConfig(index=0, action="+x", deadzone=0.1)
    assert axis.deflection(0.1) == 0.0
    assert 0.0 < axis.deflection(0.11) < 0.02
    assert axis.deflection(-1.0) == -1.0


def test_a_trigger_that_was_never_touched_says_zero_and_moves_nothing() -> None:
    pad = Pad()
    pad.axes[5] = pad.axes[2] = 0.0
    pad.buttons[TAKEOVER] = 1
    assert pad.poll().synergy_rate == {}
    pad.axes[5] = pad.axes[2] = 1.0
    pad.poll()
    pad.axes[5] = -1.0
    assert pad.poll().synergy_rate["grasp"] > 0.0
    pad.axes[5], pad.axes[2] = 1.0, -1.0
    assert pad.poll().synergy_rate["grasp"] < 0.0


def test_a_press_counts_once_and_a_button_that_was_down_before_does_not(pad: Pad) -> None:
    pad.buttons[STOP] = 1
    assert pad.poll().buttons == (Button.STOP,)
    assert pad.poll().buttons == ()
    fresh = Pad()
    fresh.buttons[STOP] = 1
    assert fresh.poll().buttons == ()


def test_silence_is_a_fault(pad: Pad) -> None:
    pad.buttons[TAKEOVER] = 1
    assert not pad.poll().fault
    assert "silent" in pad.gamepad.poll(pad.now_s + 1.0, view()).fault
    assert "no message" in Gamepad(GamepadConfig()).poll(0.0, view()).fault


def test_a_smaller_gamepad_is_a_fault_that_says_how_many_it_takes(pad: Pad) -> None:
    pad.axes = [0.0, 0.0]
    assert "8 axes" in pad.poll().fault


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"buttons": {"0": "stop"}}, "takeover"),
        ({"buttons": {"a": "takeover"}}, "'a'"),
        ({"buttons": {"0": "takeover", "1": "dance"}}, "dance"),
        ({"stale_after_s": 0.0}, "stale_after_s"),
    ],
)
def test_configuration_is_checked(wrong: dict, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match=message):
        GamepadConfig(**wrong)
    with pytest.raises(ValueError, match="action"):
        AxisConfig(index=0, action="stop")

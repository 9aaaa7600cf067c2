"""The session: nothing jumps, nothing is sent in doubt, targets stay close to what is executed and inside the limits."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from teleop_fixtures import HOME, LOWER, PERIOD_S, UPPER, ScriptedDevice, bridge, session, synergies

from sernf_robot.joints import JOINTS
from sernf_teleop.operator_device import Button, DeviceError, OperatorIntent
from sernf_teleop.session import TeleopSession

FORWARD = np.array([0.1, 0.0, 0.0, 0.0, 0.0, 0.0])


@pytest.fixture
def device() -> ScriptedDevice:
    return ScriptedDevice()


@pytest.fixture
def teleop(device: ScriptedDevice) -> TeleopSession:
    made = session(device)
    made.open()
    made.set_bridge(bridge(0.0))
    return made


def want(device: ScriptedDevice, **intent: object) -> None:
    device.intent = lambda _: OperatorIntent(**intent)  # type: ignore[arg-type]


def test_the_first_command_repeats_what_is_executed(device: ScriptedDevice, teleop: TeleopSession) -> None:
    want(device, takeover=True, twist=FORWARD)
    first, second = teleop.tick(0.0).command, teleop.tick(PERIOD_S).command
    assert first is not None
    assert second is not None
    assert (first.position_rad == HOME).all()
    assert 0.0 < np.abs(second.position_rad - HOME).max() < 0.06


def test_letting_go_releases_once(device: ScriptedDevice, teleop: TeleopSession) -> None:
    want(device, takeover=True)
    teleop.tick(0.0)
    want(device, takeover=False)
    released = teleop.tick(PERIOD_S).command
    assert released is not None
    assert released.release
    assert teleop.tick(2 * PERIOD_S).command is None


@pytest.mark.parametrize("mode", ["unarmed", "fault", "stopped", "mode 9"])
def test_a_robot_that_must_not_move_gets_no_commands(device: ScriptedDevice, teleop: TeleopSession, mode: str) -> None:
    want(device, takeover=True)
    teleop.set_bridge(bridge(0.0, mode=mode))
    assert teleop.tick(0.0).command is None
    assert mode in teleop.status().trouble


def test_a_silent_bridge_ends_commanding_and_a_new_engagement_starts_from_what_is_executed_then(
    device: ScriptedDevice, teleop: TeleopSession
) -> None:
    want(device, takeover=True, twist=FORWARD)
    for step in range(10):
        teleop.tick(step * PERIOD_S)
    assert teleop.tick(0.7).command is None
    elsewhere = HOME + 0.1
    teleop.set_bridge(bridge(0.75, executed=elsewhere))
    again = teleop.tick(0.75).command
    assert again is not None
    assert (again.position_rad == elsewhere).all()


def test_targets_do_not_wind_up_behind_a_blocked_robot(device: ScriptedDevice, teleop: TeleopSession) -> None:
    want(device, takeover=True, twist=FORWARD, synergy_rate={"grasp": 1.0})
    for step in range(100):
        teleop.set_bridge(bridge(step * PERIOD_S))
        command = teleop.tick(step * PERIOD_S).command
        assert command is not None
        assert np.abs(command.position_rad - HOME).max() <= 0.3 + 1e-9


def test_a_device_fault_sends_nothing_and_buttons_still_count(device: ScriptedDevice, teleop: TeleopSession) -> None:
    want(device, takeover=True)
    teleop.tick(0.0)
    want(device, takeover=True, fault="unplugged", buttons=(Button.STOP,))
    tick = teleop.tick(PERIOD_S)
    assert tick.command is None
    assert tick.buttons == (Button.STOP,)
    assert "unplugged" in teleop.status().trouble


def test_a_lost_device_is_opened_again_after_a_while(device: ScriptedDevice, teleop: TeleopSession) -> None:
    def lost(_: object) -> OperatorIntent:
        raise DeviceError("cable pulled")

    device.intent = lost
    assert teleop.tick(0.0).command is None
    assert teleop.device_fault == "cable pulled"
    want(device)
    teleop.tick(0.5)
    assert (device.opened, teleop.device_fault) == (1, "cable pulled")
    teleop.tick(1.1)
    assert (device.opened, teleop.device_fault) == (2, "")


def test_stop_sends_no_release_that_would_hand_the_robot_on(device: ScriptedDevice, teleop: TeleopSession) -> None:
    want(device, takeover=True)
    teleop.tick(0.0)
    want(device, takeover=False, buttons=(Button.STOP,))
    assert teleop.tick(PERIOD_S).command is None


def test_stop_ends_staying_engaged(device: ScriptedDevice, teleop: TeleopSession) -> None:
    want(device, buttons=(Button.STAY_ENGAGED,))
    assert teleop.tick(0.0).command is not None
    want(device, buttons=(Button.STOP,))
    teleop.tick(PERIOD_S)
    assert not teleop.status().stay_engaged


@pytest.mark.parametrize(("selected", "releases"), [("none", True), ("teleop", True), ("policy", False)])
def test_quitting_leaves_the_robot_holding_whoever_is_selected(
    device: ScriptedDevice, teleop: TeleopSession, selected: str, releases: bool
) -> None:
    want(device, takeover=True)
    teleop.set_bridge(bridge(0.0, selected=selected))
    teleop.tick(0.0)
    last = teleop.close()
    assert (last is not None and last.release) is releases


def test_the_demonstrator_waits_to_be_selected_and_gives_way_to_an_operator(device: ScriptedDevice) -> None:
    teleop = session(device, source="demonstrator")
    want(device, takeover=True)
    teleop.set_bridge(bridge(0.0))
    assert teleop.tick(0.0).command is None
    assert "set_source" in teleop.status().trouble
    teleop.set_bridge(bridge(0.0, selected="demonstrator"))
    assert teleop.tick(0.0).command is not None
    teleop.set_bridge(bridge(0.0, selected="demonstrator", active="teleop"))
    assert teleop.tick(0.0).command is None


intents = st.fixed_dictionaries(
    {
        "twist": st.lists(st.floats(-2.0, 2.0), min_size=6, max_size=6).map(np.array),
        "twist_frame": st.sampled_from(["hand", "base"]),
        "synergy_rate": st.dictionaries(st.sampled_from(synergies().names), st.floats(-9.0, 9.0)),
        "synergy_value": st.dictionaries(st.sampled_from(synergies().names), st.floats(-9.0, 9.0)),
        "finger_target_rad": st.dictionaries(st.sampled_from(JOINTS[7:]), st.floats(-9.0, 9.0)),
    }
)


@given(st.lists(intents, min_size=1, max_size=15))
@settings(deadline=None, max_examples=40)
def test_whatever_an_operator_does_commands_are_finite_inside_the_limits_and_never_jump(script: list[dict[str, object]]) -> None:
    device = ScriptedDevice()
    teleop = session(device)
    executed = HOME
    for number, intent in enumerate(script):
        want(device, takeover=True, **intent)
        teleop.set_bridge(dataclasses.replace(bridge(number * PERIOD_S), executed_position_rad=executed))
        command = teleop.tick(number * PERIOD_S).command
        assert command is not None
        assert np.isfinite(command.position_rad).all()
        assert ((command.position_rad >= LOWER) & (command.position_rad <= UPPER)).all()
        assert np.abs(command.position_rad - executed).max() <= 0.3 + 1e-9
        executed = command.position_rad

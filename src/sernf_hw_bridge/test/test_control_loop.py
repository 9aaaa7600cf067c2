"""Modes, faults and handovers of the control loop, with a mock robot and a clock that the test moves."""

from __future__ import annotations

import numpy as np
import pytest
from adversary import PERIOD_S, SMALL_ARM, SMALL_HAND, Robot, build_robot

from sernf_hw_bridge.backends.mock import MockFault
from sernf_hw_bridge.control_loop import ControlError, Mode
from sernf_hw_bridge.pose_guard import no_pose_check
from sernf_hw_bridge.trajectories import Array
from sernf_robot.limits import Limits

NAMES = (*SMALL_ARM, *SMALL_HAND)
HOME = np.array([0.2, -0.2, 0.1, 0.0])
LIMITS = Limits(NAMES, np.full(4, -1.5), np.full(4, 1.5), np.full(4, 2.0), np.full(4, 10.0), np.full(4, 1000.0))


@pytest.fixture
def robot() -> Robot:
    robot = build_robot({"arm": SMALL_ARM, "hand": SMALL_HAND}, LIMITS, np.zeros(4), HOME, no_pose_check)
    robot.tick()
    return robot


def drive(robot: Robot, target: Array, duration_s: float, source: str = "policy") -> None:
    """Command `target` at 20 Hz."""
    for _ in range(round(duration_s / 0.048)):
        robot.offer(position_rad=target, source=source)
        robot.tick(12)


def executed(robot: Robot) -> Array:
    assert robot.loop.step is not None
    return robot.loop.step.state.position_rad.copy()


def test_nothing_is_written_before_arming() -> None:
    robot = build_robot({"arm": SMALL_ARM, "hand": SMALL_HAND}, LIMITS, np.zeros(4), HOME, no_pose_check)
    fresh = type(robot.loop)(dict(robot.parts), LIMITS, robot.loop.config, no_pose_check)
    written = [len(segment) for part in robot.parts.values() for segment in part.segments]
    fresh.tick(robot.now_s)
    assert fresh.mode is Mode.UNARMED
    assert fresh.measurement_is_good
    assert written == [len(segment) for part in robot.parts.values() for segment in part.segments]
    assert fresh.offer(
        source="teleop",
        stamp_ns=robot.now_ns(),
        joint_names=NAMES,
        position_rad=HOME,
        release=False,
        now_s=0.0,
        now_ns=robot.now_ns(),
    )
    with pytest.raises(ControlError, match="clear_fault"):
        fresh.home(0.0)


def test_arming_holds_the_measured_pose(robot: Robot) -> None:
    assert robot.loop.mode is Mode.HOLD
    robot.tick(50)
    np.testing.assert_array_equal(executed(robot), np.zeros(4))
    assert robot.loop.active_source == "none"


def test_targets_are_reached(robot: Robot) -> None:
    drive(robot, HOME, 1.5)
    assert robot.loop.mode is Mode.TRACK
    assert robot.loop.active_source == "policy"
    np.testing.assert_allclose(executed(robot), HOME, atol=1e-4)
    np.testing.assert_allclose(robot.loop.measured.position_rad, HOME, atol=1e-2)


def test_every_command_is_executed_once_and_named(robot: Robot) -> None:
    robot.offer(position_rad=HOME, chunk_id=5)
    robot.offer(position_rad=HOME, chunk_id=5, step_in_chunk=1, stamp_ns=robot.now_ns() + 1)
    robot.tick()
    assert [command.step_in_chunk for command in robot.loop.executed] == [0, 1]
    assert robot.loop.commands_accepted == 2
    robot.tick()
    assert robot.loop.executed == ()
    assert robot.loop.last_command is not None
    assert robot.loop.last_command.chunk_id == 5


def test_targets_beyond_a_limit_are_reported_as_long_as_they_are_followed(robot: Robot) -> None:
    beyond = HOME.copy()
    beyond[1] = 9.0
    drive(robot, beyond, 2.0)
    assert robot.loop.step is not None
    assert "position:a2" in robot.loop.step.clipped
    assert executed(robot)[1] <= 1.5


def test_a_silent_source_ends_in_hold_and_then_in_a_fault(robot: Robot) -> None:
    drive(robot, HOME, 0.5)
    robot.tick(40)
    assert robot.loop.command_is_late
    robot.tick(60)
    assert robot.loop.mode is Mode.HOLD
    drive(robot, HOME, 0.1)
    assert robot.loop.mode is Mode.TRACK
    robot.tick(600)
    assert (robot.loop.mode, robot.loop.fault) == (Mode.FAULT, "command_age")
    drive(robot, HOME, 0.1)
    assert robot.loop.mode is Mode.FAULT
    robot.arm()
    assert robot.loop.mode is Mode.HOLD


def test_a_release_ends_in_hold_without_a_watchdog(robot: Robot) -> None:
    drive(robot, HOME, 0.5)
    robot.offer(release=True)
    robot.tick(1000)
    assert (robot.loop.mode, robot.loop.fault) == (Mode.HOLD, "")


def test_takeover_and_hand_back_do_not_jump(robot: Robot) -> None:
    drive(robot, HOME, 1.0)
    far = np.full(4, -1.0)
    before = executed(robot)
    robot.offer(position_rad=far, source="teleop")
    robot.tick(12)
    assert robot.loop.active_source == "teleop"
    refused = robot.offer(position_rad=HOME)
    assert getattr(refused, "name", None) == "preempted"
    assert np.abs(executed(robot) - before).max() < 2.0 * 12 * PERIOD_S * 0.25
    drive(robot, far, 3.0, "teleop")
    np.testing.assert_allclose(executed(robot), far, atol=1e-3)
    robot.offer(release=True, source="teleop")
    robot.tick(30)
    assert robot.loop.mode is Mode.HOLD
    held = executed(robot)
    robot.offer(position_rad=HOME)
    robot.tick(12)
    assert robot.loop.active_source == "policy"
    assert np.abs(executed(robot) - held).max() < 2.0 * 12 * PERIOD_S * 0.25


def test_a_silent_operator_is_not_followed_by_the_policy(robot: Robot) -> None:
    drive(robot, HOME, 0.5)
    drive(robot, HOME, 0.2, "teleop")
    for _ in range(10):
        robot.tick(10)
        robot.offer(position_rad=HOME)
    assert robot.loop.mode is Mode.HOLD
    assert robot.loop.active_source == "none"


def test_home_is_reached_and_only_teleop_interrupts(robot: Robot) -> None:
    robot.loop.home(robot.now_s)
    robot.tick(5)
    assert (robot.loop.mode, robot.loop.active_source) == (Mode.HOME, "home")
    assert getattr(robot.offer(position_rad=np.zeros(4)), "name", None) == "homing"
    robot.tick(800)
    assert robot.loop.mode is Mode.HOLD
    np.testing.assert_allclose(executed(robot), HOME, atol=1.1e-3)
    robot.loop.home(robot.now_s)
    robot.offer(position_rad=np.zeros(4), source="teleop")
    robot.tick()
    assert robot.loop.active_source == "teleop"


def test_home_behind_a_wall_is_given_up_with_a_reason() -> None:
    def wall(position_rad: Array) -> dict[str, float]:
        return {"workspace": position_rad[0] - 0.1} if position_rad[0] > 0.1 else {}

    robot = build_robot({"arm": SMALL_ARM, "hand": SMALL_HAND}, LIMITS, np.zeros(4), HOME, wall)
    robot.loop.home(robot.now_s)
    robot.tick(1500)
    assert robot.loop.mode is Mode.HOLD
    assert "workspace" in robot.loop.reason


def test_a_stop_brakes_and_latches(robot: Robot) -> None:
    drive(robot, np.full(4, 1.0), 0.3)
    robot.loop.stop("pressed")
    with pytest.raises(ControlError, match="brakes"):
        robot.arm()
    robot.tick(200)
    assert robot.loop.mode is Mode.STOPPED
    assert robot.loop.step is not None
    assert not robot.loop.step.state.velocity_rad_s.any()
    drive(robot, HOME, 0.2)
    assert robot.loop.mode is Mode.STOPPED
    robot.arm()
    assert robot.loop.mode is Mode.HOLD


FAULTS = {
    MockFault.READ_RAISES: "arm_read_failed",
    MockFault.WRITE_RAISES: "arm_write_failed",
    MockFault.DISCONNECTED: "arm_read_failed",
    MockFault.FROZEN: "arm_frozen",
    MockFault.NOT_FINITE: "arm_not_finite",
    MockFault.DRIFT: "tracking_error",
}


@pytest.mark.parametrize(("injected", "name"), FAULTS.items(), ids=lambda value: getattr(value, "value", value))
def test_a_fault_latches_until_it_is_mended_and_cleared(robot: Robot, injected: MockFault, name: str) -> None:
    drive(robot, np.full(4, 0.8), 0.3)
    robot.parts["arm"].fault = injected
    robot.tick(150)
    assert (robot.loop.mode, robot.loop.fault) == (Mode.FAULT, name)
    assert robot.loop.reason
    assert robot.loop.step is not None
    assert not robot.loop.step.state.velocity_rad_s.any()
    hand = len(robot.parts["hand"].segments[-1])
    robot.tick()
    assert len(robot.parts["hand"].segments[-1]) == hand + 1  # the other part goes on holding

    robot.parts["arm"].fault = MockFault.NONE
    robot.tick(150)
    assert robot.loop.mode is Mode.FAULT
    robot.arm()
    assert (robot.loop.mode, robot.loop.fault) == (Mode.HOLD, "")
    np.testing.assert_array_equal(executed(robot), robot.loop.measured.position_rad)


@pytest.mark.parametrize("injected", [MockFault.READ_RAISES, MockFault.DISCONNECTED, MockFault.NOT_FINITE])
def test_arming_is_refused_while_a_part_is_broken(robot: Robot, injected: MockFault) -> None:
    robot.loop.stop("test")
    robot.parts["hand"].fault = injected
    robot.tick()
    written = len(robot.parts["arm"].segments[-1])
    with pytest.raises(ControlError, match="hand"):
        robot.arm()
    robot.tick(10)
    assert robot.loop.mode in (Mode.STOPPED, Mode.FAULT)
    assert len(robot.parts["arm"].segments[-1]) in (written, 1)  # the arm holds by itself: the old target is not sent again


def test_a_backend_with_a_bug_is_a_fault_and_logged(robot: Robot, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> None:
        raise ZeroDivisionError("a bug")

    robot.parts["hand"].read = broken  # type: ignore[method-assign,assignment]
    robot.tick(10)
    assert (robot.loop.mode, robot.loop.fault) == (Mode.FAULT, "hand_read_failed")
    assert caplog.text.count("ZeroDivisionError: a bug") == 1


def test_a_source_cannot_be_followed_from_before_a_re_arm(robot: Robot) -> None:
    drive(robot, HOME, 0.3)
    robot.loop.stop("test")
    robot.tick(100)
    robot.offer(position_rad=HOME)
    robot.arm()
    robot.tick(10)
    assert robot.loop.mode is Mode.HOLD


def test_a_long_gap_between_ticks_moves_no_further_than_one_tick(robot: Robot) -> None:
    drive(robot, np.full(4, 1.0), 0.4)
    before = executed(robot)
    robot.now_s += 0.1
    robot.tick()
    assert np.abs(executed(robot) - before).max() <= 2.0 * PERIOD_S


def test_home_must_be_complete_and_allowed(robot: Robot) -> None:
    config = robot.loop.config
    for bad in ({"a1": 0.0}, {**config.home_position_rad, "elbow": 0.0}, {**config.home_position_rad, "a1": 5.0}):
        changed = type(config)(home_position_rad=bad, measurement=config.measurement)
        with pytest.raises(ValueError, match="home_position_rad"):
            type(robot.loop)(dict(robot.parts), LIMITS, changed, no_pose_check)

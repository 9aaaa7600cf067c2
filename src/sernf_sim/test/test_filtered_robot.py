"""The motion path without ROS: that of the bridge, in ticks that add up to the command rate."""

from __future__ import annotations

from dataclasses import fields

import pytest

from sernf_hw_bridge.control_config import ControlConfig
from sernf_sim.filtered_robot import FilteredRobot, MotionConfig
from sernf_sim.physics import Physics
from sernf_sim.world import SimWorld


def test_moves_as_the_bridge_does_by_default() -> None:
    bridge = {field.name: field.default for field in fields(ControlConfig)}
    motion = MotionConfig()
    assert motion.control_rate_hz == bridge["rate_hz"]
    assert motion.command_rate_hz * bridge["command_period_s"] == pytest.approx(1.0)
    assert motion.smoothing_s == bridge["smoothing_s"]
    assert motion.speed_fraction == bridge["speed_fraction"]


@pytest.mark.parametrize("rate_hz", [0.0, -1.0, 251.0])
def test_refuses_command_rates_that_the_loop_cannot_follow(rate_hz: float) -> None:
    with pytest.raises(ValueError, match=f"command_rate_hz: .* got {rate_hz}"):
        MotionConfig(command_rate_hz=rate_hz)


def test_a_joint_that_does_not_follow_is_a_fault_until_the_next_reset() -> None:
    world = SimWorld("duck", Physics(command_delay_s=1.0), 0)
    robot = FilteredRobot(world)
    target = world.task.start_position_rad.copy()
    target[6] += 0.6
    for _ in range(20):
        robot.command(target)
        if robot.fault:
            break
    assert robot.fault is not None
    assert robot.fault.name == "tracking_error"
    now_s = world.full_state().time_s
    robot.command(target)
    assert world.full_state().time_s == now_s
    world.reset(1)
    robot.reset()
    assert robot.fault is None


def test_commands_take_a_twentieth_of_a_second_on_average() -> None:
    world = SimWorld("duck", Physics(), 0)
    robot = FilteredRobot(world)
    for episode in range(2):
        world.reset(episode)
        robot.reset()
        elapsed_s = []
        for _ in range(20):
            robot.command(world.task.start_position_rad)
            elapsed_s.append(world.full_state().time_s)
        assert elapsed_s[-1] == pytest.approx(1.0)
        for command, now_s in enumerate(elapsed_s, start=1):
            assert now_s == pytest.approx(command / 20.0, abs=0.0021)

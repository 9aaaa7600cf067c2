"""The bridge's motion path without ROS: targets at a command rate, interpolation, safety filter, control ticks, in one call.

The same pure modules as in the bridge, with the same limits, pose checks and tracking check, so that what is learned here moves
the same way there, and what is a fault there ends an attempt here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sernf_hw_bridge.bridge_config import BridgeConfig
from sernf_hw_bridge.interpolator import Interpolator
from sernf_hw_bridge.measurement import Fault, TrackingCheck
from sernf_hw_bridge.pose_guard import PATH_MARGIN_M
from sernf_hw_bridge.safety_filter import SafetyFilter
from sernf_robot.config import load_config
from sernf_robot.config_files import config_path
from sernf_robot.joints import ARM_JOINTS, JOINTS
from sernf_robot.limits import load_limits
from sernf_robot.pose_checker import PoseCheckConfig, PoseChecker
from sernf_sim.world import SimWorld


@dataclass(frozen=True, kw_only=True)
class MotionConfig:
    """The bridge's own defaults: rates in Hz, smoothing in s, speed as a fraction of the limits."""

    control_rate_hz: float = 250.0
    command_rate_hz: float = 20.0
    smoothing_s: float = 0.04
    speed_fraction: float = 0.95

    def __post_init__(self) -> None:
        if not 0.0 < self.command_rate_hz <= self.control_rate_hz:
            raise ValueError(
                f"command_rate_hz: expected more than 0 and at most {self.control_rate_hz}, got {self.command_rate_hz}"
            )


class FilteredRobot:
    """Moves the robot of one `SimWorld` through the safety filter."""

    def __init__(self, world: SimWorld, config: MotionConfig | None = None) -> None:
        self.config = config or MotionConfig()
        self._world = world
        self._period_s = 1.0 / self.config.control_rate_hz
        self.limits = load_limits(config_path("limits.yaml"), JOINTS)
        pose_check = PoseChecker(load_config(PoseCheckConfig, config_path("workspace.yaml")), margin_m=PATH_MARGIN_M)
        arm = len(ARM_JOINTS)
        self._filter = SafetyFilter(self.limits, self._period_s, pose_check, (range(arm), range(arm, len(JOINTS))))
        self._interpolator = Interpolator(
            self.limits, self._period_s, smoothing_s=self.config.smoothing_s, speed_fraction=self.config.speed_fraction
        )
        measurement = load_config(BridgeConfig, config_path("hw_bridge.yaml")).control.measurement
        parts = {"arm": slice(0, arm), "hand": slice(arm, len(JOINTS))}
        self._tracking = TrackingCheck(JOINTS, parts, measurement, self._period_s)
        self.fault: Fault | None = None
        """Why the robot stands still until the next reset: a joint did not follow its command for too long."""
        self.reset()

    def reset(self) -> None:
        """Start at rest at the measured pose; call it after each `SimWorld.reset`."""
        measured = self._world.joint_position()
        self._filter.seed(measured)
        self._interpolator.reset(measured)
        self._tracking.reset(measured)
        self.fault = None
        self._commands = self._ticks = 0

    def executed_position(self) -> NDArray[np.float64]:
        """What was written to the joints last, (24,) rad."""
        return self._filter.state.position_rad.copy()

    def command(self, target_position_rad: ArrayLike) -> tuple[str, ...]:
        """Advance the world by one command period towards joints (24,) rad; returns what the filter changed, once each.

        Not further than to a fault.
        """
        target: NDArray[np.float64] = np.array(target_position_rad, dtype=np.float64)
        if target.shape != (len(JOINTS),) or not np.isfinite(target).all():
            raise ValueError(f"expected {len(JOINTS)} finite joint targets, got {target}")
        self._commands += 1
        self._interpolator.set_target(target, 1.0 / self.config.command_rate_hz)
        clipped: dict[str, None] = {}
        # The control rate need not be a multiple of the command rate: 12 and 13 ticks take turns at 250 and 20 Hz.
        last_tick = round(self._commands * self.config.control_rate_hz / self.config.command_rate_hz)
        while self._ticks < last_tick and self.fault is None:
            step = self._filter.step(*self._interpolator.advance())
            clipped.update(dict.fromkeys(step.clipped))
            self._world.step(step.state.position_rad, self._period_s)
            self.fault = self._tracking.check(step.state.position_rad, self._world.joint_position())
            self._ticks += 1
        return tuple(clipped)

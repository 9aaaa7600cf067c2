"""Configuration of the control loop."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sernf_hw_bridge.command import CommandConfig
from sernf_hw_bridge.measurement import MeasurementConfig
from sernf_hw_bridge.watchdog import WatchdogConfig


@dataclass(frozen=True, kw_only=True)
class ControlConfig:
    """`home_position_rad`: every joint's home. Fractions are of the joints' velocity limits.

    `smoothing_s` rounds the corners between successive targets (and delays by half of it); after a handover the reference
    catches up with the new source at `catch_up_fraction`.
    """

    home_position_rad: dict[str, float]
    measurement: MeasurementConfig
    command: CommandConfig = field(default_factory=CommandConfig)
    watchdog: WatchdogConfig = field(default_factory=WatchdogConfig)
    rate_hz: float = 250.0
    command_period_s: float = 0.05
    smoothing_s: float = 0.04
    speed_fraction: float = 0.95
    catch_up_fraction: float = 0.25
    home_fraction: float = 0.3

    def __post_init__(self) -> None:
        if not 50.0 <= self.rate_hz <= 1000.0:
            raise ValueError(f"rate_hz: expected 50 to 1000, got {self.rate_hz}")
        if not 0.01 <= self.command_period_s <= 0.2:
            raise ValueError(f"command_period_s: expected 0.01 to 0.2, got {self.command_period_s}")
        if not 0.0 <= self.smoothing_s <= 0.5:
            raise ValueError(f"smoothing_s: expected 0 to 0.5, got {self.smoothing_s}")
        for name in ("speed_fraction", "catch_up_fraction", "home_fraction"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ValueError(f"{name}: expected more than 0 and at most 1, got {getattr(self, name)}")
        for joint, position in self.home_position_rad.items():
            if not math.isfinite(position):
                raise ValueError(f"home_position_rad.{joint}: expected a finite number, got {position}")
        if self.watchdog.warn_age_s <= self.command_period_s:
            raise ValueError(
                "watchdog.warn_age_s: expected more than the command period "
                f"{self.command_period_s}, got {self.watchdog.warn_age_s}"
            )

    @property
    def period_s(self) -> float:
        return 1.0 / self.rate_hz

"""What the robot measures, put together from its parts, and whether it can be believed."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from sernf_hw_bridge.backends.protocol import Backend, BackendError, JointReading
from sernf_hw_bridge.trajectories import Array

LOG = logging.getLogger(__name__)
ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Fault:
    """`name`: short and countable. `reason`: one sentence: what happened, expected and got, what to do."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class MeasurementConfig:
    """When a measurement is not believed, and when it disagrees with the command.

    The measured pose must lie within the tolerance (of each part; a grasping hand rightly stays far behind its targets) of the
    range that was commanded during the last `tracking_lag_s`; a disagreement is a fault when it lasts for `tracking_time_s`.
    """

    frozen_after_s: float = 0.2
    tracking_tolerance_rad: dict[str, float]
    tracking_lag_s: float = 0.3
    tracking_time_s: float = 0.2

    def __post_init__(self) -> None:
        for name in ("frozen_after_s", "tracking_lag_s", "tracking_time_s"):
            if not 0.0 < getattr(self, name) <= 10.0:
                raise ValueError(f"{name}: expected more than 0 and at most 10, got {getattr(self, name)}")
        for part, tolerance in self.tracking_tolerance_rad.items():
            if not (math.isfinite(tolerance) and tolerance > 0.0):
                raise ValueError(f"tracking_tolerance_rad.{part}: expected a positive number, got {tolerance}")


class Part:
    """One part of the robot: its backend, its place in the robot's vector, and its last good reading."""

    def __init__(self, name: str, backend: Backend, joints: slice, config: MeasurementConfig) -> None:
        self.name = name
        self.backend = backend
        self.joints = joints
        self.writable = False
        """Whether targets may be written: from a re-arm until the backend fails."""
        self.reading: JointReading | None = None
        self._config = config
        self._bug_is_logged = False

    def read(self, now_s: float) -> Fault | None:
        """Take a measurement at monotonic `now_s`; a fault leaves the last good reading in place."""
        reading = self._attempt(self.backend.read, "read_failed", "reading")
        if isinstance(reading, Fault):
            return reading
        count = self.joints.stop - self.joints.start
        if reading.position_rad.shape != (count,) or reading.velocity_rad_s.shape != (count,):
            return Fault(
                f"{self.name}_read_failed", f"the {self.name} measured {reading.position_rad.shape}, expected ({count},)"
            )
        if not (np.isfinite(reading.position_rad).all() and np.isfinite(reading.velocity_rad_s).all()):
            bad = ", ".join(
                name
                for name, position, velocity in zip(
                    self.backend.joint_names, reading.position_rad, reading.velocity_rad_s, strict=True
                )
                if not (math.isfinite(position) and math.isfinite(velocity))
            )
            return Fault(f"{self.name}_not_finite", f"the {self.name} measures NaN or infinity at {bad}: check its sensors")
        age_s = now_s - reading.stamp_s
        if age_s > self._config.frozen_after_s:
            return Fault(
                f"{self.name}_frozen",
                f"the newest measurement of the {self.name} is {age_s:.2f} s old, "
                f"expected at most {self._config.frozen_after_s} s: check its connection",
            )
        self.reading = reading
        return None

    def write(self, position_rad: Array) -> Fault | None:
        """Send this part's share of the robot's target; after a failure nothing more is written until a re-arm."""
        if not self.writable:
            return None
        fault = self._attempt(lambda: self.backend.write(position_rad[self.joints]), "write_failed", "writing to")
        self.writable = fault is None
        return fault

    def recover(self) -> Fault | None:
        """Make the backend active again; may block."""
        return self._attempt(self.backend.recover, "not_recovered", "recovering")

    def disconnect(self) -> Fault | None:
        """Let go of the backend."""
        self.writable = False
        return self._attempt(self.backend.disconnect, "not_disconnected", "disconnecting")

    def _attempt(self, act: Callable[[], ResultT], name: str, doing: str) -> ResultT | Fault:
        """Whatever a driver raises ends here, so that the other parts go on."""
        try:
            return act()
        except BackendError as error:
            cause: Exception = error
        except Exception as error:
            if not self._bug_is_logged:
                LOG.exception("%s the %s failed in a way that its backend does not foresee", doing, self.name)
            self._bug_is_logged = True
            cause = error
        return Fault(f"{self.name}_{name}", f"{doing} the {self.name} failed: {cause}; re-arm when it is mended")


class TrackingCheck:
    """Compares measurement with command at a fixed period. `parts`: part name -> its place among the joints."""

    def __init__(
        self, joint_names: tuple[str, ...], parts: Mapping[str, slice], config: MeasurementConfig, period_s: float
    ) -> None:
        self._joint_names = joint_names
        self._tolerance = np.zeros(len(joint_names))
        for name, joints in parts.items():
            if name not in config.tracking_tolerance_rad:
                raise ValueError(f"tracking_tolerance_rad: expected part '{name}', got none; there is no default, add it")
            self._tolerance[joints] = config.tracking_tolerance_rad[name]
        self._commanded = np.zeros((max(1, round(config.tracking_lag_s / period_s)), len(joint_names)))
        self._row = 0
        self._most_ticks = max(1, round(config.tracking_time_s / period_s))
        self._ticks = 0

    def reset(self, position_rad: Array) -> None:
        """Begin anew at rest at `position_rad`."""
        self._commanded[:] = position_rad
        self._ticks = 0

    def check(self, commanded_rad: Array, measured_rad: Array) -> Fault | None:
        """Take notice of one tick; a fault when the disagreement has lasted too long."""
        self._commanded[self._row] = commanded_rad
        self._row = (self._row + 1) % len(self._commanded)
        below = self._commanded.min(axis=0) - measured_rad
        above = measured_rad - self._commanded.max(axis=0)
        error = np.maximum(below, above)
        if (error <= self._tolerance).all():
            self._ticks = 0
            return None
        self._ticks += 1
        if self._ticks < self._most_ticks:
            return None
        worst = int((error - self._tolerance).argmax())
        return Fault(
            "tracking_error",
            f"{self._joint_names[worst]} is {error[worst]:.3f} rad from its command (tolerance {self._tolerance[worst]:.3f}): "
            "it is blocked or weak; free the robot and re-arm",
        )

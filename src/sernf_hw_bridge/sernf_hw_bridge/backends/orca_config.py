"""Settings of the ORCA hand's backend (`config/orca.yaml`)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from sernf_hw_bridge.trajectories import Array
from sernf_robot.joints import HAND_JOINTS


@dataclass(frozen=True, kw_only=True)
class OrcaJoint:
    """One joint as orca_core knows it: `name`, and angle = `zero_deg` + `sign` * our angle (in degrees)."""

    name: str
    sign: int
    zero_deg: float

    def __post_init__(self) -> None:
        if self.sign not in (-1, 1):
            raise ValueError(f"{self.name}: sign: expected 1 or -1, got {self.sign}")
        if not abs(self.zero_deg) <= 180.0:
            raise ValueError(f"{self.name}: zero_deg: expected -180 to 180, got {self.zero_deg}")


@dataclass(frozen=True, kw_only=True)
class OrcaConfig:
    """`model`: generation of the hand, which decides its joint names. `joints`: all of the project's 17 hand joints.

    `hand_file`: orca_core's own `config.yaml` of this very hand (port, motors, ranges); its `calibration.yaml` lies beside it
    unless `calibration_file` says otherwise. Without it the model that orca_core ships is used, which only its mock can do.
    `max_current_ma`: of every motor, which bounds the force. `joints_checked`: whether signs and zeros have been checked on this
    hand (docs/real_robot.md); until then the current stays at `unchecked_current_ma` or below.
    `period_s`: of the bus. `silent_after_s`: without a fresh measurement for so long the hand counts as lost.
    `range_tolerance_deg`: how far outside orca_core's range a joint may measure when it is activated.
    """

    model: Literal["v1", "v2"]
    joints: dict[str, OrcaJoint]
    max_current_ma: float
    joints_checked: bool = False
    unchecked_current_ma: float = 120.0
    mock: bool = False
    hand_file: Path | None = None
    calibration_file: Path | None = None
    period_s: float = 0.01
    velocity_filter_s: float = 0.03
    silent_after_s: float = 0.5
    range_tolerance_deg: float = 15.0
    connect_timeout_s: float = 30.0
    command_timeout_s: float = 10.0

    def __post_init__(self) -> None:
        missing = sorted(set(HAND_JOINTS) - set(self.joints))
        unknown = sorted(set(self.joints) - set(HAND_JOINTS))
        if missing or unknown:
            raise ValueError(f"joints: expected all {len(HAND_JOINTS)} hand joints; missing: {missing}, unknown: {unknown}")
        names = [joint.name for joint in self.joints.values()]
        doubles = sorted({name for name in names if names.count(name) > 1})
        if doubles:
            raise ValueError(f"joints: expected every joint of orca_core once, got twice: {', '.join(doubles)}")
        if not self.mock and self.hand_file is None:
            raise ValueError(
                "hand_file: expected the path of orca_core's config.yaml of this hand, got none; give it, or mock: true"
            )
        for key in ("hand_file", "calibration_file"):
            path = getattr(self, key)
            if path is not None and not path.expanduser().is_absolute():
                raise ValueError(f"{key}: expected an absolute path or one that begins with ~, got {path}")
        for key, low, high in (
            ("max_current_ma", 1.0, 2000.0),
            ("unchecked_current_ma", 1.0, 500.0),
            ("period_s", 0.002, 0.1),
            ("velocity_filter_s", 0.0, 1.0),
            ("silent_after_s", 0.05, 5.0),
            ("range_tolerance_deg", 0.0, 90.0),
            ("connect_timeout_s", 1.0, 120.0),
            ("command_timeout_s", 1.0, 60.0),
        ):
            if not low <= getattr(self, key) <= high:
                raise ValueError(f"{key}: expected {low} to {high}, got {getattr(self, key)}")

    @property
    def current_ma(self) -> float:
        """The current limit in force."""
        return self.max_current_ma if self.joints_checked else min(self.max_current_ma, self.unchecked_current_ma)


class OrcaAngles:
    """Converts between the project's joint order and radians, and orca_core's names and degrees."""

    def __init__(self, joints: dict[str, OrcaJoint]) -> None:
        ordered = [joints[name] for name in HAND_JOINTS]
        self.names: tuple[str, ...] = tuple(joint.name for joint in ordered)
        self._sign: Array = np.array([float(joint.sign) for joint in ordered])
        self._zero_deg: Array = np.array([joint.zero_deg for joint in ordered])

    def to_degrees(self, position_rad: Array) -> dict[str, float]:
        """orca_core's joint -> degrees, from (17,) rad."""
        return dict(zip(self.names, (self._zero_deg + self._sign * np.degrees(position_rad)).tolist(), strict=True))

    def to_radians(self, position_deg: Array) -> Array:
        """(17,) rad, from (17,) degrees in the order of `names`."""
        return np.radians(self._sign * (position_deg - self._zero_deg))

    def range_rad(self, ranges_deg: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        """Our joint -> (lowest, highest) rad, from orca_core's ranges."""
        result = {}
        for index, joint in enumerate(HAND_JOINTS):
            low, high = ranges_deg[self.names[index]]
            ends = [math.radians(self._sign[index] * (end - self._zero_deg[index])) for end in (low, high)]
            result[joint] = (min(ends), max(ends))
        return result

"""Settings of the Franka arm's backend (`config/franka.yaml`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Seven = tuple[float, float, float, float, float, float, float]
Six = tuple[float, float, float, float, float, float]
Three = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class PayloadConfig:
    """What hangs at the flange, beyond what Franka Desk knows as end effector.

    `mass_kg`; `center_m`: centre of mass in the flange frame; `inertia_kgm2`: ixx, iyy, izz, ixy, ixz, iyz about the centre of
    mass, in the flange frame's directions. A wrong payload shows as an arm that sinks or rises when it is activated.
    """

    mass_kg: float
    center_m: Three
    inertia_kgm2: Six

    def __post_init__(self) -> None:
        if not 0.0 <= self.mass_kg <= 3.0:
            raise ValueError(f"payload.mass_kg: expected 0 to 3 (what an FR3 carries), got {self.mass_kg}")
        _check_finite("payload.center_m", self.center_m)
        _check_finite("payload.inertia_kgm2", self.inertia_kgm2)
        smallest = float(np.linalg.eigvalsh(self.inertia_matrix()).min())
        if smallest < (1e-9 if self.mass_kg > 0.0 else 0.0):
            raise ValueError(f"payload.inertia_kgm2: expected a positive definite inertia, got the smallest moment {smallest}")

    def inertia_matrix(self) -> np.ndarray:
        """(3, 3), kg m2."""
        ixx, iyy, izz, ixy, ixz, iyz = self.inertia_kgm2
        return np.array([[ixx, ixy, ixz], [ixy, iyy, iyz], [ixz, iyz, izz]])


@dataclass(frozen=True, kw_only=True)
class FrankaConfig:
    """`host`: the robot's address. `payload` has no default, because a forgotten hand makes the arm sink.

    `realtime`: "enforce" needs a PREEMPT_RT kernel and refuses to connect without; "ignore" takes what it gets, and the robot
    stops with a communication error when packets are late. `stiffness_nm_rad`, `damping_nm_s_rad` (None: 2 sqrt(stiffness)): of
    the joint impedance. `collision_torque_nm`, `collision_force_n`: contact above which the robot stops by its own reflex.
    `poll_period_s`: time between two readings of the newest state. `silent_after_s`: without a new state for so long the
    connection counts as lost. The time-outs bound every call that blocks.
    """

    host: str
    payload: PayloadConfig
    realtime: Literal["enforce", "ignore"] = "enforce"
    stiffness_nm_rad: Seven = (600.0, 600.0, 600.0, 600.0, 250.0, 150.0, 50.0)
    damping_nm_s_rad: Seven | None = None
    collision_torque_nm: Seven = (30.0, 30.0, 30.0, 30.0, 15.0, 12.0, 10.0)
    collision_force_n: Six = (40.0, 40.0, 40.0, 12.0, 12.0, 12.0)
    poll_period_s: float = 0.002
    silent_after_s: float = 0.5
    connect_timeout_s: float = 3.0
    command_timeout_s: float = 5.0

    def __post_init__(self) -> None:
        if not self.host.strip():
            raise ValueError("host: expected the robot's address, such as 172.16.0.2, got an empty text")
        _check_range("stiffness_nm_rad", self.stiffness_nm_rad, 1.0, 2000.0)
        if self.damping_nm_s_rad is not None:
            _check_range("damping_nm_s_rad", self.damping_nm_s_rad, 0.1, 200.0)
        _check_range("collision_torque_nm", self.collision_torque_nm, 1.0, 87.0)
        _check_range("collision_force_n", self.collision_force_n, 1.0, 200.0)
        _check_range("poll_period_s", (self.poll_period_s,), 0.0005, 0.01)
        _check_range("silent_after_s", (self.silent_after_s,), 0.05, 5.0)
        _check_range("connect_timeout_s", (self.connect_timeout_s,), 0.1, 60.0)
        _check_range("command_timeout_s", (self.command_timeout_s,), 0.1, 60.0)


def _check_finite(name: str, values: Sequence[float]) -> None:
    if not all(math.isfinite(value) for value in values):
        raise ValueError(f"{name}: expected finite numbers, got {values}")


def _check_range(name: str, values: Sequence[float], low: float, high: float) -> None:
    if not all(low <= value <= high for value in values):
        raise ValueError(f"{name}: expected {low} to {high}, got {values if len(values) > 1 else values[0]}")

"""Limits of every joint, read from a file. There are no defaults: what is missing refuses the configuration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sernf_robot.config import ConfigError, load_config


@dataclass(frozen=True, kw_only=True)
class JointLimits:
    """What a written position of one joint may do: stay in [min, max] rad, and its first three derivatives within +- limits."""

    position_min_rad: float
    position_max_rad: float
    velocity_rad_s: float
    acceleration_rad_s2: float
    jerk_rad_s3: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not math.isfinite(value):
                raise ValueError(f"{name}: expected a finite number, got {value}")
        if not self.position_min_rad < self.position_max_rad:
            raise ValueError(
                f"position_min_rad must be less than position_max_rad, got {self.position_min_rad} and {self.position_max_rad}"
            )
        for name in ("velocity_rad_s", "acceleration_rad_s2", "jerk_rad_s3"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: expected a positive number, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class LimitsFile:
    """Content of `limits.yaml`: joint name -> limits."""

    joints: dict[str, JointLimits]


@dataclass(frozen=True)
class Limits:
    """Limits of n joints as arrays of shape (n,), in the order of `joint_names`; rad, rad/s, rad/s2, rad/s3."""

    joint_names: tuple[str, ...]
    position_min_rad: NDArray[np.float64]
    position_max_rad: NDArray[np.float64]
    velocity_rad_s: NDArray[np.float64]
    acceleration_rad_s2: NDArray[np.float64]
    jerk_rad_s3: NDArray[np.float64]

    @classmethod
    def of(cls, joints: dict[str, JointLimits], joint_names: Sequence[str], *, where: str) -> Limits:
        """Pick the limits of `joint_names`; a joint without limits raises ConfigError that names `where` and the joint."""
        missing = [name for name in joint_names if name not in joints]
        if missing:
            raise ConfigError(
                f"{where}: missing key 'joints.{missing[0]}': expected limits of all {len(joint_names)} joints, "
                f"got none of {', '.join(missing)}; there are no default limits, add them"
            )
        chosen = [joints[name] for name in joint_names]

        def column(key: str) -> NDArray[np.float64]:
            values = np.array([getattr(limit, key) for limit in chosen], dtype=np.float64)
            values.flags.writeable = False
            return values

        return cls(
            tuple(joint_names),
            column("position_min_rad"),
            column("position_max_rad"),
            column("velocity_rad_s"),
            column("acceleration_rad_s2"),
            column("jerk_rad_s3"),
        )


def load_limits(path: str | Path, joint_names: Sequence[str]) -> Limits:
    """Read `path` and return the limits of `joint_names` in that order; raises ConfigError that names file and key."""
    return Limits.of(load_config(LimitsFile, path).joints, joint_names, where=str(path))

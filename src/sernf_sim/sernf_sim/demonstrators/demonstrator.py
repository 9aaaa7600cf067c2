"""What a demonstrator sees and does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

ACT_PERIOD_S = 0.05
"""Demonstrators are asked for targets at 20 Hz."""


@dataclass(frozen=True)
class Observation:
    """What is published: joint positions (24,) rad, and object name -> position (3,) m, quaternion (4,) wxyz in `fr3_link0`."""

    joint_position_rad: FloatArray
    object_poses: Mapping[str, tuple[FloatArray, FloatArray]]


class Demonstrator(Protocol):
    """One attempt at a task: `reset` at its start, then `act` every `ACT_PERIOD_S` until `done`."""

    @property
    def done(self) -> bool:
        """Whether the attempt is over, well or badly; `act` then repeats the last target."""
        ...

    @property
    def phase(self) -> str:
        """What it is doing, for people."""
        ...

    def reset(self, observation: Observation) -> None:
        """Begin an attempt from the robot's present pose; draws the style of this attempt."""
        ...

    def act(self, observation: Observation) -> FloatArray:
        """Joint targets (24,) rad for the next period."""
        ...

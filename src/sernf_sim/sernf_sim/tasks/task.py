"""What a task is: a scene added to the robot, random starts, and a judge that speaks from the physical state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

JUDGE_PERIOD_S = 0.02
"""Simulated time between two looks of a judge."""


@dataclass(frozen=True)
class Judgement:
    """What the judge sees: furthest stage so far, success, done (success or beyond saving), and the cause of a failure."""

    stage: str
    success: bool = False
    done: bool = False
    failure: str = ""


@dataclass(frozen=True)
class TaskStatus:
    """A judgement with the simulated time since the reset, s."""

    stage: str
    success: bool
    done: bool
    failure: str
    elapsed_s: float


class Task(Protocol):
    """One task on one compiled model: `add_to` before compilation, `bind` after it, then `reset` and `judge` in turn."""

    name: str
    objects: tuple[str, ...]
    """Bodies whose poses are published, in this order; model bodies of these names."""
    stages: tuple[str, ...]
    start_position_rad: NDArray[np.float64]
    """Joints (24,) rad at the start of an episode."""
    time_limit_s: float
    """How long one attempt may take before whoever runs episodes gives up."""

    def add_to(self, spec: mujoco.MjSpec) -> None:
        """Add table, objects and lights to the robot's spec."""
        ...

    def bind(self, model: mujoco.MjModel) -> None:
        """Resolve names in the compiled model once."""
        ...

    def reset(self, data: mujoco.MjData, rng: np.random.Generator) -> None:
        """Draw object poses into `data` (qpos, mocap) and forget the last episode."""
        ...

    def judge(self, data: mujoco.MjData) -> Judgement:
        """Judge the present state; called every `JUDGE_PERIOD_S` of simulated time."""
        ...

    def measures(self) -> dict[str, float]:
        """Numbers of the running episode that tell more than success, if the task has any."""
        ...

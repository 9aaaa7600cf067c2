"""Scripted demonstrators: they act on what is published (joints, object poses), as a person at an operator's device would."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sernf_robot.kinematics import Kinematics
from sernf_sim.demonstrators.demonstrator import Demonstrator, Observation
from sernf_sim.demonstrators.duck import DuckDemonstrator
from sernf_sim.demonstrators.scissors import ScissorsDemonstrator
from sernf_sim.demonstrators.scripted_demonstrator import ScriptedDemonstrator

DEMONSTRATORS: dict[str, Callable[[Kinematics, np.random.Generator], ScriptedDemonstrator]] = {
    "duck": DuckDemonstrator,
    "scissors": ScissorsDemonstrator,
}
"""Task's name -> constructor."""


def make_demonstrator(task: str, kinematics: Kinematics, rng: np.random.Generator, *, strays: bool = False) -> Demonstrator:
    """The demonstrator of that task; raises ValueError that lists the known ones. `strays`: for policies that see."""
    if task not in DEMONSTRATORS:
        raise ValueError(f"no demonstrator for task '{task}'; known: {', '.join(sorted(DEMONSTRATORS))}")
    demonstrator = DEMONSTRATORS[task](kinematics, rng)
    if strays:
        demonstrator.stray()
    return demonstrator


__all__ = ["DEMONSTRATORS", "Demonstrator", "Observation", "make_demonstrator"]

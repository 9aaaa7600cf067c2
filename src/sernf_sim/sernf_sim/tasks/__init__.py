"""Tasks by name. A new task is one file beside this one and one line here."""

from __future__ import annotations

from collections.abc import Callable

from sernf_sim.tasks.cube import CubeTask
from sernf_sim.tasks.duck import DuckTask
from sernf_sim.tasks.scissors import ScissorsTask
from sernf_sim.tasks.task import Judgement, Task, TaskStatus

TASKS: dict[str, Callable[[], Task]] = {"cube": CubeTask, "duck": DuckTask, "scissors": ScissorsTask}
"""Name -> constructor without arguments."""


def make_task(name: str) -> Task:
    """The task of that name; raises ValueError that lists the known ones."""
    if name not in TASKS:
        raise ValueError(f"unknown task '{name}'; known tasks: {', '.join(sorted(TASKS))}")
    return TASKS[name]()


__all__ = ["TASKS", "Judgement", "Task", "TaskStatus", "make_task"]

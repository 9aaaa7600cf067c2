"""What the commands share: where they write for people, how they fail, and the choices that several of them offer."""

from __future__ import annotations

from enum import Enum
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape

console = Console(stderr=True)


class Demonstrated(str, Enum):
    """Tasks for which there is a scripted demonstrator."""

    duck = "duck"
    scissors = "scissors"


class Task(str, Enum):
    """Tasks that the simulation knows."""

    duck = "duck"
    cube = "cube"
    scissors = "scissors"


class Physics(str, Enum):
    """Sets of physics; the twin stands in for reality."""

    nominal = "nominal"
    twin = "twin"


class WhichGraph(str, Enum):
    """auto: the graph that runs in this ROS domain if there is one, otherwise an own one."""

    auto = "auto"
    running = "running"
    own = "own"


def fail(message: str, status: int = 1) -> NoReturn:
    """Say what is wrong and end with `status`."""
    console.print(f"[red]sernf:[/] {escape(message)}", highlight=False)
    raise typer.Exit(status)

"""`sernf demos`: the simulation's demonstrator, recorded as labelled episodes. Interrupted, it goes on where it stopped."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sernf.episode_runner import EpisodeOutcome, EpisodeRunner, EpisodeRunnerConfig
from sernf.graph import Graph, spinning_node
from sernf.service_calls import CallError
from sernf_teleop.episodes import list_episodes

PRIVATE_DOMAIN = 97
"""Recording runs beside a graph that is already up without the two meeting; ROS_DOMAIN_ID wins."""
LOG_NAME = "bringup.log"
ATTEMPTS = 3


def record_demonstrations(
    *, task: str, episodes: int, directory: Path, seed: int, physics: str, cameras: bool, console: Console
) -> list[EpisodeOutcome]:
    """Record until `directory` holds `episodes` labelled episodes; scene i has the seed `seed` + i.

    Returns the outcomes of this call. Raises GraphError or CallError when the graph does not work.
    """
    os.environ.setdefault("ROS_DOMAIN_ID", str(PRIVATE_DOMAIN))
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    seeds = _missing_seeds(directory, episodes, seed)
    if len(seeds) < episodes:
        console.print(f"{directory} already holds {episodes - len(seeds)} of {episodes} episodes; going on")
    if not seeds:
        return []
    config = EpisodeRunnerConfig(task=task, record=True, seed=seed, episodes=episodes)
    arguments = {
        "robot": "sim", "task": task, "physics": physics, "seed": seed, "operator": "demonstrator", "demonstrate": False,
        "policy": False, "learner": False, "teleop": True, "recorder": True, "cameras": cameras, "headless": True,
        "episodes": directory,
    }  # fmt: skip
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    outcomes: list[EpisodeOutcome] = []
    with (
        Graph(arguments, directory / LOG_NAME) as graph,
        spinning_node("demos") as node,
        Progress(*columns, console=console) as progress,
    ):
        bar = progress.add_task("starting", total=episodes, completed=episodes - len(seeds))
        runner = EpisodeRunner(node, config, check=graph.check)
        runner.wait_for_graph()
        for scene in seeds:
            progress.update(bar, description=f"scene {scene}")
            outcome = _run_with_retries(runner, scene)
            outcomes.append(outcome)
            progress.console.print(_line(outcome), highlight=False)
            progress.advance(bar)
    return outcomes


def _missing_seeds(directory: Path, episodes: int, seed: int) -> list[int]:
    recorded = {episode.seed for episode in list_episodes(directory) if episode.label in ("success", "failure")}
    return [scene for scene in range(seed, seed + episodes) if scene not in recorded]


def _run_with_retries(runner: EpisodeRunner, scene: int) -> EpisodeOutcome:
    """An episode that could not take place is tried again; the last try's error comes out."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            outcome = runner.run(scene)
        except CallError:
            if attempt == ATTEMPTS:
                raise
            continue
        if outcome.label != "discard":
            return outcome
    raise CallError(f"scene {scene} could not be demonstrated in {ATTEMPTS} tries: {outcome.cause}")


def _line(outcome: EpisodeOutcome) -> str:
    result = "[green]success[/]" if outcome.label == "success" else f"[red]failure[/] ({outcome.cause})"
    return (
        f"scene {outcome.seed}: {result} after {outcome.seconds:.1f} s, "
        f"{outcome.messages} messages, {outcome.dropped} dropped, {Path(outcome.path).name}"
    )

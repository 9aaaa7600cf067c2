"""`sernf demos`: the simulation's demonstrator, recorded as labelled episodes. Interrupted, it goes on where it stopped."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console

from sernf.episode_runner import EpisodeOutcome, EpisodeRunner, EpisodeRunnerConfig
from sernf.episode_series import LOG_NAME, PRIVATE_DOMAIN, missing_seeds, recorded_episodes, run_series
from sernf.graph import Graph, spinning_node


def record_demonstrations(
    *, task: str, episodes: int, directory: Path, seed: int, physics: str, cameras: bool | None, console: Console
) -> list[EpisodeOutcome]:
    """Record until `directory` holds `episodes` labelled demonstrations; scene i has the seed `seed` + i.

    `cameras`: None as the task needs them. Returns the outcomes of this call. Raises GraphError or CallError when the graph does
    not work.
    """
    os.environ.setdefault("ROS_DOMAIN_ID", str(PRIVATE_DOMAIN))
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    config = EpisodeRunnerConfig(task=task, source="demonstrator", record=True, seed=seed, episodes=episodes)
    seeds = missing_seeds(recorded_episodes(directory, source=config.source), episodes, seed)
    if len(seeds) < episodes:
        console.print(f"{directory} already holds {episodes - len(seeds)} of {episodes} episodes; going on")
    if not seeds:
        return []
    arguments = {
        "robot": "sim", "task": task, "physics": physics, "seed": seed, "operator": "demonstrator", "demonstrate": False,
        "policy": False, "learner": False, "teleop": True, "recorder": True, "headless": True,
        "cameras": "auto" if cameras is None else cameras, "episodes": directory,
    }  # fmt: skip
    with Graph(arguments, directory / LOG_NAME) as graph, spinning_node("demos") as node:
        return run_series(EpisodeRunner(node, config, check=graph.check), seeds, console, total=episodes)

"""Several episodes recorded by a command: progress bar, retries, and which scenes are still missing after a break."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sernf.episode_runner import EpisodeOutcome, EpisodeRunner
from sernf.service_calls import CallError
from sernf_teleop.episodes import EpisodeInfo, list_episodes

PRIVATE_DOMAIN = 97
"""A command's own graph runs beside one that is already up without the two meeting; ROS_DOMAIN_ID wins."""
LOG_NAME = "bringup.log"
ATTEMPTS = 3


def recorded_episodes(directory: Path, *, source: str) -> list[EpisodeInfo]:
    """Labelled episodes of a data set in which `source` acted."""
    return [item for item in list_episodes(directory) if item.label in ("success", "failure") and item.source == source]


def missing_seeds(recorded: Sequence[EpisodeInfo], episodes: int, seed: int) -> list[int]:
    """Which of the scenes `seed`, `seed` + 1, ... have not been recorded."""
    done = {episode.seed for episode in recorded}
    return [scene for scene in range(seed, seed + episodes) if scene not in done]


def run_series(
    runner: EpisodeRunner,
    seeds: Sequence[int],
    console: Console,
    *,
    total: int,
    attempts: int | None = ATTEMPTS,
) -> list[EpisodeOutcome]:
    """One labelled episode for each of `seeds`; `total` counts those that exist already too.

    `attempts`: how often an episode that could not take place or was discarded is tried; None: as often as somebody discards it.
    Raises CallError and whatever the runner's check raises.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    outcomes: list[EpisodeOutcome] = []
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("starting", total=total, completed=total - len(seeds))
        runner.wait_for_graph()
        for seed in seeds:
            progress.update(bar, description=f"scene {seed}" if seed else "episode")
            outcome = _run_with_retries(runner, seed, attempts)
            outcomes.append(outcome)
            progress.console.print(_line(outcome), highlight=False)
            progress.advance(bar)
    return outcomes


def _run_with_retries(runner: EpisodeRunner, seed: int, attempts: int | None) -> EpisodeOutcome:
    """The last try's error comes out."""
    attempt = 0
    while True:
        attempt += 1
        try:
            outcome = runner.run(seed)
        except CallError:
            if attempt == attempts or attempts is None:
                raise
            continue
        if outcome.label != "discard":
            return outcome
        if attempt == attempts:
            raise CallError(f"scene {seed} could not take place in {attempts} tries: {outcome.cause}")


def _line(outcome: EpisodeOutcome) -> str:
    result = "[green]success[/]" if outcome.label == "success" else f"[red]failure[/] ({outcome.cause})"
    scene = f"scene {outcome.seed}: " if outcome.seed else ""
    return (
        f"{scene}{result} after {outcome.seconds:.1f} s, "
        f"{outcome.messages} messages, {outcome.dropped} dropped, {Path(outcome.path).name}"
    )

"""The learner's hot paths: gradient steps (see updates.py), and ingestion: how fast recorded bags become training data, and
whether memory stays flat over more of them.

Ingestion is measured in one thread of a fresh process each, on 1, 4 and 16 copies of a data set whose cache is empty. The data
set is the folder in SERNF_BENCH_EPISODES or, without it, a few demonstrations that are recorded first.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from sernf.bench.report import Report
from sernf.bench.updates import measure_updates
from sernf.demos import record_demonstrations
from sernf.graph import GraphError
from sernf.service_calls import CallError
from sernf_teleop.episodes import EpisodeInfo, list_episodes

EPISODES_VARIABLE = "SERNF_BENCH_EPISODES"
COPIES = (1, 4, 16)
DEMONSTRATIONS = 3
READ_TIMEOUT_S = 600.0


def measure(seconds: float, console: Console) -> Report:
    """`seconds` is for the updates; ingestion takes as long as its bags do. Raises RuntimeError without anything to read."""
    with tempfile.TemporaryDirectory() as folder:
        counts = _ingestion(_episodes(Path(folder), console), Path(folder) / "copies", console)
    return Report(metrics=measure_updates(seconds, console), counts=counts)


def _episodes(folder: Path, console: Console) -> list[EpisodeInfo]:
    """Labelled episodes to read."""
    given = os.environ.get(EPISODES_VARIABLE)
    directory = Path(given) if given else folder / "demonstrations"
    if not given:
        console.print(f"recording {DEMONSTRATIONS} demonstrations; set {EPISODES_VARIABLE} to a folder of episodes to use these")
        try:
            record_demonstrations(
                task="duck",
                episodes=DEMONSTRATIONS,
                directory=directory,
                seed=1,
                physics="nominal",
                cameras=False,
                console=console,
            )
        except (GraphError, CallError) as error:
            raise RuntimeError(f"no demonstrations to read: {error}") from error
    episodes = [episode for episode in list_episodes(directory) if episode.label in ("success", "failure")]
    if not episodes:
        raise RuntimeError(f"expected labelled episodes in {directory}, got none; record some: ./sernf demos --out {directory}")
    return episodes


def _ingestion(episodes: list[EpisodeInfo], folder: Path, console: Console) -> dict[str, float]:
    """Counts by name. Raises RuntimeError when the reading fails."""
    counts: dict[str, float] = {}
    for copies in COPIES:
        directory = folder / str(copies)
        for episode in episodes:
            for number in range(copies):
                shutil.copytree(episode.path, directory / f"{episode.episode_id}_{number:02d}", copy_function=_link_or_copy)
        console.print(f"reading {copies * len(episodes)} episodes")
        read = _read_in_fresh_process(directory)
        counts[f"seconds_{copies}"] = read["seconds"]
        counts[f"rss_mb_{copies}"] = read["rss_mb"]
        counts["ingest_messages_per_s"] = sum(episode.messages for episode in episodes) * copies / read["seconds"]
        shutil.rmtree(directory)
    return counts


def _link_or_copy(source: str, target: str) -> None:
    """Nobody writes to a bag, so a second name is as good as a second file."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _read_in_fresh_process(directory: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "sernf.bench.ingestion", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=READ_TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"reading {directory} failed: {done.stderr.strip()[-1000:] or f'status {done.returncode}'}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result

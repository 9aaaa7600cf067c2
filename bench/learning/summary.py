"""Table and picture of a study: `./sernf run python bench/learning/summary.py runs/study [--picture FILE.png]`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")

from matplotlib import pyplot

from sernf_robot.success_rate import wilson_interval

STAGES = ("imitation", "offline_rl", "online_rl")
TITLES = {"imitation": "imitation", "offline_rl": "offline RL", "online_rl": "online RL (15 rollouts)"}

Results = dict[int, dict[str, dict[str, Any]]]
"""Seed -> stage -> the object of `./sernf eval --json`."""


def read(folder: Path) -> Results:
    """Seeds of one variant in which every stage has been tested."""
    results: Results = {}
    for seed in sorted(folder.glob("seed*")):
        files = {stage: seed / f"{stage}.result.json" for stage in STAGES}
        if all(file.is_file() for file in files.values()):
            results[int(seed.name.removeprefix("seed"))] = {name: json.loads(file.read_text()) for name, file in files.items()}
    return results


def common_time_s(stages: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Mean completion time over the scenes that every stage solved."""
    times = np.array([[np.nan if value is None else value for value in stages[stage]["seconds_by_scene"]] for stage in STAGES])
    solved = np.isfinite(times).all(0)
    return {stage: float(row[solved].mean()) if solved.any() else float("nan") for stage, row in zip(STAGES, times, strict=True)}


def table(name: str, results: Results) -> list[str]:
    """Markdown: a row a seed, and all together."""
    lines = [
        f"| {name} | " + " | ".join(TITLES[stage] for stage in STAGES) + " | time on scenes solved by all, s |",
        "|---|---|---|---|---|",
    ]
    for seed, stages in results.items():
        rates = " | ".join(f"{stages[stage]['successes']} of {stages[stage]['episodes']}" for stage in STAGES)
        times = common_time_s(stages)
        lines.append(f"| seed {seed} | {rates} | " + " / ".join(f"{times[stage]:.1f}" for stage in STAGES) + " |")
    pooled = []
    for stage in STAGES:
        won = sum(stages[stage]["successes"] for stages in results.values())
        tried = sum(stages[stage]["episodes"] for stages in results.values())
        low, high = wilson_interval(won, tried)
        pooled.append(f"{100 * won / tried:.0f} % ({100 * low:.0f} to {100 * high:.0f})")
    times = [np.mean([common_time_s(stages)[stage] for stages in results.values()]) for stage in STAGES]
    return [*lines, f"| all | {' | '.join(pooled)} | {' / '.join(f'{value:.1f}' for value in times)} |", ""]


def draw(variants: dict[str, Results], picture: Path) -> None:
    """Success with its 95 % interval for each stage, one line a variant and faint ones for its seeds."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6))
    for number, (name, results) in enumerate(variants.items()):
        colour = f"C{number}"
        for stages in results.values():
            left.plot(range(len(STAGES)), [100 * stages[stage]["rate"] for stage in STAGES], color=colour, alpha=0.25)
            times = common_time_s(stages)
            right.plot(range(len(STAGES)), [times[stage] for stage in STAGES], color=colour, alpha=0.25)
        won = np.array([sum(stages[stage]["successes"] for stages in results.values()) for stage in STAGES])
        tried = np.array([sum(stages[stage]["episodes"] for stages in results.values()) for stage in STAGES])
        bounds = np.array([wilson_interval(int(w), int(t)) for w, t in zip(won, tried, strict=True)])
        rate = won / tried
        errors = 100 * np.stack([rate - bounds[:, 0], bounds[:, 1] - rate])
        left.errorbar(range(len(STAGES)), 100 * rate, errors, color=colour, marker="o", capsize=4, label=name)
        means = [np.mean([common_time_s(stages)[stage] for stages in results.values()]) for stage in STAGES]
        right.plot(range(len(STAGES)), means, color=colour, marker="o", label=name)
    left.set(title="duck on the twin: success, % (95 % interval)", ylim=(0, 100))
    right.set(title="time on scenes that all stages solved, s")
    for axis in (left, right):
        axis.set_xticks(range(len(STAGES)), [TITLES[stage] for stage in STAGES], fontsize=8)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(picture, dpi=90)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="output folder of study.py")
    parser.add_argument("--picture", type=Path, default=None)
    options = parser.parse_args(arguments)
    variants = {
        path.name: read(path) for path in sorted(options.folder.iterdir()) if path.is_dir() and path.name != "demonstrations"
    }
    variants = {name: results for name, results in variants.items() if results}
    if not variants:
        parser.error(f"expected finished seeds in {options.folder}, got none; run study.py first")
    for name, results in variants.items():
        sys.stdout.write("\n".join(table(name, results)) + "\n")
    draw(variants, options.picture or options.folder / "summary.png")


if __name__ == "__main__":
    main()

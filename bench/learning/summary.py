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
    """Seeds of one variant, with the stages that have been tested in all of them."""
    results: Results = {}
    for seed in sorted(folder.glob("seed*")):
        files = {stage: seed / f"{stage}.result.json" for stage in STAGES}
        tested = {name: json.loads(file.read_text()) for name, file in files.items() if file.is_file()}
        if tested:
            results[int(seed.name.removeprefix("seed"))] = tested
    everywhere = [stage for stage in STAGES if all(stage in stages for stages in results.values())]
    return {seed: {stage: stages[stage] for stage in everywhere} for seed, stages in results.items()}


def stages_of(results: Results) -> list[str]:
    """The stages that all seeds have."""
    return list(next(iter(results.values())))


def common_time_s(stages: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Mean completion time over the scenes that every stage solved."""
    times = np.array([[np.nan if value is None else value for value in row["seconds_by_scene"]] for row in stages.values()])
    solved = np.isfinite(times).all(0)
    return {stage: float(row[solved].mean()) if solved.any() else float("nan") for stage, row in zip(stages, times, strict=True)}


def table(name: str, results: Results) -> list[str]:
    """Markdown: a row a seed, and all together."""
    names = stages_of(results)
    lines = [
        f"| {name} | " + " | ".join(TITLES[stage] for stage in names) + " | time on scenes solved by all, s |",
        "|---" * (len(names) + 2) + "|",
    ]
    for seed, stages in results.items():
        rates = " | ".join(f"{stages[stage]['successes']} of {stages[stage]['episodes']}" for stage in names)
        times = common_time_s(stages)
        lines.append(f"| seed {seed} | {rates} | " + " / ".join(f"{times[stage]:.1f}" for stage in names) + " |")
    pooled = []
    for stage in names:
        won = sum(stages[stage]["successes"] for stages in results.values())
        tried = sum(stages[stage]["episodes"] for stages in results.values())
        low, high = wilson_interval(won, tried)
        pooled.append(f"{100 * won / tried:.0f} % ({100 * low:.0f} to {100 * high:.0f})")
    times = [np.mean([common_time_s(stages)[stage] for stages in results.values()]) for stage in names]
    return [*lines, f"| all | {' | '.join(pooled)} | {' / '.join(f'{value:.1f}' for value in times)} |", ""]


def draw(variants: dict[str, Results], picture: Path) -> None:
    """Success with its 95 % interval for each stage, one line a variant and faint ones for its seeds."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6))
    names = next(iter(map(stages_of, variants.values())))
    for number, (name, results) in enumerate(variants.items()):
        colour = f"C{number}"
        for stages in results.values():
            left.plot(range(len(names)), [100 * stages[stage]["rate"] for stage in names], color=colour, alpha=0.25)
            times = common_time_s(stages)
            right.plot(range(len(names)), [times[stage] for stage in names], color=colour, alpha=0.25)
        won = np.array([sum(stages[stage]["successes"] for stages in results.values()) for stage in names])
        tried = np.array([sum(stages[stage]["episodes"] for stages in results.values()) for stage in names])
        bounds = np.array([wilson_interval(int(w), int(t)) for w, t in zip(won, tried, strict=True)])
        rate = won / tried
        errors = 100 * np.stack([rate - bounds[:, 0], bounds[:, 1] - rate])
        left.errorbar(range(len(names)), 100 * rate, errors, color=colour, marker="o", capsize=4, label=name)
        means = [np.mean([common_time_s(stages)[stage] for stages in results.values()]) for stage in names]
        right.plot(range(len(names)), means, color=colour, marker="o", label=name)
    left.set(title="duck on the twin: success, % (95 % interval)", ylim=(0, 100))
    right.set(title="time on scenes that all stages solved, s")
    for axis in (left, right):
        axis.set_xticks(range(len(names)), [TITLES[stage] for stage in names], fontsize=8)
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

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
from variants import ACTING, VARIANTS

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
        files["imitation"] = (
            folder.parent / (VARIANTS[folder.name].imitation_of or folder.name) / seed.name / "imitation.result.json"
        )
        tested = {name: json.loads(file.read_text()) for name, file in files.items() if file.is_file()}
        if tested:
            results[int(seed.name.removeprefix("seed"))] = tested
    everywhere = [stage for stage in STAGES if all(stage in stages for stages in results.values())]
    return {seed: {stage: stages[stage] for stage in everywhere} for seed, stages in results.items()}


def stages_of(results: Results) -> list[str]:
    """The stages that all seeds have."""
    return list(next(iter(results.values())))


def times_s(before: dict[str, Any], after: dict[str, Any]) -> tuple[float, float]:
    """Mean completion times of two results over the scenes that both solved."""
    pairs = [(b, a) for b, a in zip(before["seconds_by_scene"], after["seconds_by_scene"]) if b is not None and a is not None]
    means = np.mean(pairs, axis=0) if pairs else (np.nan, np.nan)
    return float(means[0]), float(means[1])


def pooled(results: Results, stage: str) -> tuple[int, int]:
    """Successes and rollouts of all seeds."""
    return tuple(sum(stages[stage][key] for stages in results.values()) for key in ("successes", "episodes"))  # type: ignore[return-value]


def table(name: str, results: Results) -> list[str]:
    """Markdown: a row a seed, and all together. Times: imitation, and the last stage, over the scenes that both solved."""
    names = stages_of(results)
    lines = [
        f"| {name} | " + " | ".join(TITLES[stage] for stage in names) + " | gain, points | time, s |",
        "|---" * (len(names) + 3) + "|",
    ]
    times = {seed: times_s(stages[names[0]], stages[names[-1]]) for seed, stages in results.items()}
    for seed, stages in results.items():
        rates = " | ".join(f"{stages[stage]['successes']} of {stages[stage]['episodes']}" for stage in names)
        gain = 100 * (stages[names[-1]]["rate"] - stages[names[0]]["rate"])
        lines.append(f"| seed {seed} | {rates} | {gain:+.0f} | {times[seed][0]:.1f} -> {times[seed][1]:.1f} |")
    shown = []
    for stage in names:
        won, tried = pooled(results, stage)
        low, high = wilson_interval(won, tried)
        shown.append(f"{100 * won / tried:.0f} % ({100 * low:.0f} to {100 * high:.0f})")
    before, after = np.mean(list(times.values()), axis=0)
    first, last = (won / tried for won, tried in (pooled(results, names[0]), pooled(results, names[-1])))
    total = f"{100 * (last - first):+.0f} | {before:.1f} -> {after:.1f} ({100 * (after / before - 1):+.0f} %)"
    return [*lines, f"| all | {' | '.join(shown)} | {total} |", ""]


def acting_table(folder: Path) -> list[str]:
    """Markdown: the last weights of one variant, acting in other ways, beside their own way in the same scenes."""
    lines = []
    for name in ACTING:
        own, other = [], []
        for file in sorted(folder.glob(f"seed*/online_rl.{name}.result.json")):
            other += json.loads(file.read_text())["seconds_by_scene"]
            own += json.loads((file.parent / "online_rl.result.json").read_text())["seconds_by_scene"][: len(other) - len(own)]
        if other:
            solved = [[value for value in values if value is not None] for values in (own, other)]
            counts = " | ".join(f"{len(one)} of {len(other)}, {np.mean(one):.1f} s" for one in solved)
            lines.append(f"| {name} | {counts} |")
    return ["| acting | as configured | changed |", "|---|---|---|", *lines, ""] if lines else []


def draw(variants: dict[str, Results], picture: Path) -> None:
    """Success with its 95 % interval for each stage, one line a variant and faint ones for its seeds; and the time it takes."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 4.0))
    for number, (name, results) in enumerate(variants.items()):
        colour, names = f"C{number}", stages_of(results)
        where = [STAGES.index(stage) for stage in names]
        for stages in results.values():
            left.plot(where, [100 * stages[stage]["rate"] for stage in names], color=colour, alpha=0.25)
            right.plot((0, len(STAGES) - 1), times_s(stages[names[0]], stages[names[-1]]), color=colour, alpha=0.25)
        won, tried = np.array([pooled(results, stage) for stage in names]).T
        bounds = np.array([wilson_interval(int(w), int(t)) for w, t in zip(won, tried, strict=True)])
        rate = won / tried
        errors = 100 * np.stack([rate - bounds[:, 0], bounds[:, 1] - rate])
        left.errorbar(where, 100 * rate, errors, color=colour, marker="o", capsize=4, label=name)
        means = np.mean([times_s(stages[names[0]], stages[names[-1]]) for stages in results.values()], axis=0)
        right.plot((0, len(STAGES) - 1), means, color=colour, marker="o", label=name)
    left.set(title="duck on the twin: success, % (95 % interval)", ylim=(0, 100))
    left.set_xticks(range(len(STAGES)), [TITLES[stage] for stage in STAGES], fontsize=8)
    right.set(title="time on scenes that both solved, s")
    right.set_xticks((0, len(STAGES) - 1), [TITLES[STAGES[0]], TITLES[STAGES[-1]]], fontsize=8)
    for axis in (left, right):
        axis.grid(alpha=0.3)
    figure.tight_layout(rect=(0.0, 0.07, 1.0, 1.0))
    figure.legend(*left.get_legend_handles_labels(), loc="lower center", ncols=len(variants), fontsize=8)
    figure.savefig(picture, dpi=90)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="output folder of study.py")
    parser.add_argument("--picture", type=Path, default=None)
    options = parser.parse_args(arguments)
    variants = {name: read(options.folder / name) for name in VARIANTS if (options.folder / name).is_dir()}
    variants = {name: results for name, results in variants.items() if results}
    if not variants:
        parser.error(f"expected finished seeds in {options.folder}, got none; run study.py first")
    for name, results in variants.items():
        sys.stdout.write("\n".join([*table(name, results), *acting_table(options.folder / name)]) + "\n")
    draw(variants, options.picture or options.folder / "summary.png")


if __name__ == "__main__":
    main()

"""Table and picture of several seeds of online RL over ROS: `./sernf run python bench/cube/online_table.py runs/cube_ros*`.

Intervals, all 95 %: of a seed by resampling its rollouts; of all seeds by Student's t over the seeds' figures.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from robot_minutes import ONLINE, Rollout, draw, level, read, worst_dip

PHASES = {
    "student": "the student",
    "warm-up": "exploring, nothing learnt yet",
    "offline": "after offline RL",
    "online": "while online RL trains",
    "last": "last version",
    "best": "best version, loaded again",
}
STUDENT_T = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571}
"""97.5 % quantile for the mean of so many figures."""
RESAMPLED = 4000

Figure = Callable[[Sequence[Rollout]], float]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", help="folders that online.py wrote, one a seed")
    parser.add_argument("--picture", type=Path, help="curve against robot minutes")
    options = parser.parse_args()
    seeds = [read(run) for run in options.runs]
    sys.stdout.write("\n".join(table(seeds)) + "\n")
    if options.picture:
        draw(seeds, options.picture)


def turns(rollouts: Sequence[Rollout]) -> float:
    """Counted, a minute."""
    return level(rollouts).turns_per_minute


def drops(rollouts: Sequence[Rollout]) -> float:
    """A minute."""
    return level(rollouts).drops_per_minute


def table(seeds: Sequence[Sequence[Rollout]]) -> list[str]:
    """Markdown: a row a phase, a column a seed and one for all; then gain, worst dip and robot time of each seed."""
    heads = [f"run {number}" for number in range(1, len(seeds) + 1)]
    lines = ["| turns, drops a minute | " + " | ".join([*heads, "all seeds"]) + " |", "|---" * (len(seeds) + 2) + "|"]
    for phase, title in PHASES.items():
        found = [[one for one in seed if one.phase == phase] for seed in seeds]
        if all(found):
            cells = [f"{_resampled(one, turns)}, {_resampled(one, drops)}" for one in found]
            overall = ", ".join(_mean([figure(one) for one in found]) for figure in (turns, drops))
            lines.append(f"| {title} | " + " | ".join([*cells, overall]) + " |")
    student, best = ([turns([one for one in seed if one.phase == phase]) for seed in seeds] for phase in ("student", "best"))
    gains = [after / before for before, after in zip(student, best, strict=True)]
    cells = [*(f"x {gain:.2f}" for gain in gains), f"of the means **x {sum(best) / sum(student):.1f}**"]
    lines.append("| turns, best version to student | " + " | ".join(cells) + " |")
    lines.append("| worst dip while online RL | " + " | ".join([*(_dip(seed) for seed in seeds), ""]) + " |")
    lines.append("| robot minutes | " + " | ".join([*(f"{seed[-1].end_s / 60.0:.1f}" for seed in seeds), ""]) + " |")
    return lines


def _resampled(rollouts: Sequence[Rollout], figure: Figure) -> str:
    generator = np.random.default_rng(0)
    drawn = generator.integers(len(rollouts), size=(RESAMPLED, len(rollouts)))
    low, high = np.quantile([figure([rollouts[index] for index in row]) for row in drawn], [0.025, 0.975])
    return f"{figure(rollouts):.1f} ({low:.1f} to {high:.1f})"


def _mean(figures: Sequence[float]) -> str:
    if len(figures) not in STUDENT_T:
        return f"**{np.mean(figures):.1f}**"
    half = STUDENT_T[len(figures)] * np.std(figures, ddof=1) / len(figures) ** 0.5
    return f"**{np.mean(figures):.1f}** ± {half:.1f}"


def _dip(seed: Sequence[Rollout]) -> str:
    dip = worst_dip([one for one in seed if one.phase == ONLINE])
    if dip is None:
        return "none"
    return f"{dip.level.turns_per_minute:.1f}, {dip.level.drops_per_minute:.1f} at {dip.minutes:.0f} min"


if __name__ == "__main__":
    main()

"""How well a policy does while it learns: turns and drops against robot minutes, the worst dip, the best version, a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")

from matplotlib import pyplot

WINDOW_S = 120.0
"""Robot time that is averaged over."""
RESET_S = 10.0
"""What a drop costs in time: somebody has to put the cube back."""
ROLLOUTS = "rollouts.json"
TESTS, EXPLORING, ONLINE = ("student", "offline", "last", "best"), "warm-up", "online"
"""Phases: tests, trying things out, and online RL; in all but the second the policy acts as well as it can."""


@dataclass(frozen=True)
class Rollout:
    """`end_s`: robot time used so far; `sha256`: weights that acted first in it; `phase`: of TESTS, EXPLORING or ONLINE."""

    end_s: float
    lived_s: float
    counted_rad: float
    lost: bool
    sha256: str = ""
    phase: str = "online"


@dataclass(frozen=True)
class Level:
    """Over some rollouts: counted turns and drops a minute, and turns a minute if every drop also costs RESET_S."""

    turns_per_minute: float
    drops_per_minute: float
    score: float


@dataclass(frozen=True)
class Window:
    """Some rollouts in a row, what they come to, and how many robot minutes had been used at their end."""

    minutes: float
    level: Level
    rollouts: tuple[Rollout, ...]


def read(run: Path) -> list[Rollout]:
    """Of a folder that online.py wrote. Raises FileNotFoundError."""
    return [Rollout(**row) for row in json.loads((run / ROLLOUTS).read_text(encoding="utf8"))]


def level(rollouts: Sequence[Rollout]) -> Level:
    """Raises ValueError without rollouts."""
    if not rollouts:
        raise ValueError("expected at least one rollout, got none")
    minutes = max(sum(rollout.lived_s for rollout in rollouts), 1e-9) / 60.0
    turns, drops = sum(rollout.counted_rad for rollout in rollouts) / (2 * np.pi), sum(rollout.lost for rollout in rollouts)
    return Level(turns / minutes, drops / minutes, turns / (minutes + drops * RESET_S / 60.0))


def windows(rollouts: Sequence[Rollout]) -> list[Window]:
    """After each rollout, what the last ones come to that lasted WINDOW_S together; none before so much time has passed."""
    found = []
    for number in range(len(rollouts)):
        lived_s = np.cumsum([rollout.lived_s for rollout in reversed(rollouts[: number + 1])])
        if lived_s[-1] >= WINDOW_S:
            recent = rollouts[number - int(np.searchsorted(lived_s, WINDOW_S)) : number + 1]
            found.append(Window(rollouts[number].end_s / 60.0, level(recent), tuple(recent)))
    return found


def worst_dip(rollouts: Sequence[Rollout]) -> Window | None:
    """The window whose score is farthest below the best one so far; None where there is none."""
    best, deepest, found = -np.inf, 0.0, None
    for window in windows(rollouts):
        best = max(best, window.level.score)
        if best - window.level.score > deepest:
            deepest, found = best - window.level.score, window
    return found


def best_version(rollouts: Sequence[Rollout]) -> str:
    """Weights that acted longest in the window with the highest score."""
    scored = windows(rollouts)
    best = max(scored, key=lambda window: window.level.score).rollouts if scored else rollouts[-1:]
    acted_s: dict[str, float] = {}
    for rollout in best:
        acted_s[rollout.sha256] = acted_s.get(rollout.sha256, 0.0) + rollout.lived_s
    return max(acted_s, key=lambda sha256: acted_s[sha256])


def draw(seeds: Sequence[Sequence[Rollout]], picture: Path) -> None:
    """One colour a seed: turns and drops a minute against robot minutes; broken lines while it explored, whole ones
    while online RL trained, dots for tests: the student, after offline RL, the last version, and the best one, loaded again.
    """
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 3))
    for number, rollouts in enumerate(seeds):
        colour, label = f"C{number}", f"run {number + 1}"
        for axis, name in zip(axes, ("turns_per_minute", "drops_per_minute"), strict=True):
            for phase, style in ((EXPLORING, "--"), (ONLINE, "-")):
                curve = windows([rollout for rollout in rollouts if rollout.phase == phase])
                minutes, seen = [window.minutes for window in curve], [getattr(window.level, name) for window in curve]
                axis.plot(minutes, seen, style, color=colour, linewidth=1.3)
            tests = [[rollout for rollout in rollouts if rollout.phase == phase] for phase in TESTS]
            dots = [(test[-1].end_s / 60.0, getattr(level(test), name)) for test in tests if test]
            axis.plot([at for at, _ in dots], [seen for _, seen in dots], "o", color=colour, markersize=5, label=label)
    for axis, title in zip(axes, ("turns a minute, counted", "drops a minute"), strict=True):
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("robot minutes", fontsize=8)
        axis.set_ylim(bottom=0.0)
        axis.grid(alpha=0.3)
        axis.tick_params(labelsize=7)
    axes[0].legend(fontsize=7, loc="center right")
    figure.tight_layout()
    figure.savefig(picture, dpi=80)
    pyplot.close(figure)

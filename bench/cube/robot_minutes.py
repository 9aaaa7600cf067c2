"""How well a policy does while it learns: turns and drops against robot minutes, the worst dip, the best version, a picture."""

from __future__ import annotations

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
TESTS, EXPLORING = ("student", "offline", "last", "best"), ("warm-up", "online")
"""Phases in which the policy acts as well as it can, and in which it tries things out."""


@dataclass(frozen=True)
class Rollout:
    """`end_s`: robot time used so far; `sha256`: weights that acted first in it; `phase`: one of TESTS or EXPLORING."""

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


def level(rollouts: Sequence[Rollout]) -> Level:
    """Raises ValueError without rollouts."""
    if not rollouts:
        raise ValueError("expected at least one rollout, got none")
    minutes = max(sum(rollout.lived_s for rollout in rollouts), 1e-9) / 60.0
    turns, drops = sum(rollout.counted_rad for rollout in rollouts) / (2 * np.pi), sum(rollout.lost for rollout in rollouts)
    return Level(turns / minutes, drops / minutes, turns / (minutes + drops * RESET_S / 60.0))


def windows(rollouts: Sequence[Rollout]) -> list[tuple[float, Level]]:
    """(robot minutes, level over the last WINDOW_S) after each rollout by which so much time has passed."""
    first = rollouts[0].end_s - rollouts[0].lived_s if rollouts else 0.0
    found = []
    for number, rollout in enumerate(rollouts):
        if rollout.end_s - first >= WINDOW_S:
            recent = [one for one in rollouts[: number + 1] if one.end_s > rollout.end_s - WINDOW_S]
            found.append((rollout.end_s / 60.0, level(recent)))
    return found


def worst_dip(rollouts: Sequence[Rollout]) -> tuple[float, Level] | None:
    """The window with the lowest score after the best one so far, by how much it is lower; None before two windows."""
    best, deepest, found = -np.inf, 0.0, None
    for minutes, seen in windows(rollouts):
        best = max(best, seen.score)
        if best - seen.score > deepest:
            deepest, found = best - seen.score, (minutes, seen)
    return found


def best_version(rollouts: Sequence[Rollout]) -> str:
    """Weights in the middle of the window with the highest score."""
    scored = windows(rollouts)
    if not scored:
        return rollouts[-1].sha256
    best_min = max(scored, key=lambda pair: pair[1].score)[0]
    middle_s = 60.0 * best_min - WINDOW_S / 2
    return min(rollouts, key=lambda rollout: abs(rollout.end_s - middle_s)).sha256


def draw(seeds: Sequence[Sequence[Rollout]], picture: Path) -> None:
    """One colour a seed: turns and drops a minute against robot minutes; lines while it explored, dots while it acted as well as
    it could: the student, after offline RL, the last version, and the best one, loaded again.
    """
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 3))
    for number, rollouts in enumerate(seeds):
        colour, label = f"C{number}", f"seed {number}"
        for axis, name in zip(axes, ("turns_per_minute", "drops_per_minute"), strict=True):
            for phase in EXPLORING:
                curve = windows([rollout for rollout in rollouts if rollout.phase == phase])
                axis.plot([at for at, _ in curve], [getattr(seen, name) for _, seen in curve], color=colour, linewidth=1.3)
            tests = [[rollout for rollout in rollouts if rollout.phase == phase] for phase in TESTS]
            dots = [(test[-1].end_s / 60.0, getattr(level(test), name)) for test in tests if test]
            axis.plot([at for at, _ in dots], [seen for _, seen in dots], "o", color=colour, markersize=5, label=label)
    for axis, title in zip(axes, ("turns a minute, counted", "drops a minute"), strict=True):
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("robot minutes", fontsize=8)
        axis.set_ylim(bottom=0.0)
        axis.grid(alpha=0.3)
        axis.tick_params(labelsize=7)
    axes[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(picture, dpi=80)
    pyplot.close(figure)

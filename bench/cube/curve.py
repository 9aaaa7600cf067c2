"""Draws how teachers learnt: `./sernf run python bench/cube/curve.py runs/cube0 runs/cube1 docs/images/cube_curve.png`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")

from matplotlib import pyplot

WINDOW = 10
"""Iterations that are averaged."""
PANELS = (
    ("turns a minute, counted", "counted_turns_per_minute"),
    ("drops a minute", "drops_per_minute"),
    ("level", "level"),
    ("force of a touching tip, N", "force_n"),
)


def main() -> None:
    """Arguments: output folders of sernf_teacher.train, one a seed, and the picture."""
    *runs, picture = map(Path, sys.argv[1:])
    figure, axes = pyplot.subplots(1, len(PANELS), figsize=(12, 2.6))
    for number, run in enumerate(runs):
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf8").splitlines()]
        samples = np.array([row["step"] for row in rows]) / 1e6
        for axis, (_, name) in zip(axes, PANELS, strict=True):
            values = np.convolve([row[name] for row in rows], np.full(WINDOW, 1.0 / WINDOW), mode="valid")
            axis.plot(samples[WINDOW - 1 :], values, linewidth=1.2, label=f"seed {number}")
    for axis, (title, _) in zip(axes, PANELS, strict=True):
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("samples, millions", fontsize=8)
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(picture, dpi=80)


if __name__ == "__main__":
    main()

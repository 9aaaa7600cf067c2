"""Curves of a training as a picture."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot

COLUMNS = 3
FINEST_POINTS = 400


def draw_curves(metrics_file: Path, picture: Path, *, title: str) -> bool:
    """Draw every figure of a metrics.jsonl (one JSON object a line, with `step`) into `picture`; False when there is none."""
    rows = [json.loads(line) for line in metrics_file.read_text(encoding="utf8").splitlines() if line.strip()]
    names = sorted({name for row in rows for name in row} - {"step"})
    if not names:
        return False
    height = -(-len(names) // COLUMNS)
    figure, axes = pyplot.subplots(height, COLUMNS, figsize=(4 * COLUMNS, 2.4 * height), squeeze=False)
    for axis in axes.flat[len(names) :]:
        axis.axis("off")
    for axis, name in zip(axes.flat, names, strict=False):
        points = [(row["step"], row[name]) for row in rows if name in row][-FINEST_POINTS * 10 :]
        every = max(1, len(points) // FINEST_POINTS)
        axis.plot(*zip(*points[::every], strict=True), color="#0b5cad", linewidth=1.2)
        axis.set_title(name, fontsize=9)
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.3)
    figure.suptitle(title, fontsize=11)
    figure.tight_layout()
    figure.savefig(picture, dpi=80)
    pyplot.close(figure)
    return True

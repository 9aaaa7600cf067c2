"""The one form in which every bench reports: a JSON object with percentiles, counts, peers and physical limits."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, kw_only=True)
class Metric:
    """Distribution of one measured quantity."""

    unit: str
    n: int
    p50: float
    p99: float
    max: float
    mean: float

    @classmethod
    def of(cls, values: ArrayLike, unit: str) -> Metric:
        """Summarise `values` (n,); raises ValueError when nothing was measured."""
        array = np.asarray(values, dtype=float).ravel()
        if array.size == 0:
            raise ValueError(f"expected measured values in {unit}, got none; the bench did not run long enough or its node died")
        p50, p99 = np.percentile(array, [50, 99])
        return cls(unit=unit, n=int(array.size), p50=float(p50), p99=float(p99), max=float(array.max()), mean=float(array.mean()))


@dataclass(frozen=True, kw_only=True)
class Report:
    """Result of one bench."""

    metrics: dict[str, Metric]
    counts: dict[str, float] = field(default_factory=dict)
    peers: dict[str, dict[str, Metric]] = field(default_factory=dict)
    floor: dict[str, float] = field(default_factory=dict)


def machine() -> dict[str, Any]:
    """Processor, cores, and the load before anything was measured."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown",
    )
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "load_before": os.getloadavg()[0]}


def commit() -> str:
    """Commit of the working copy that runs, or "unknown" outside of one."""
    answer = subprocess.run(
        ["git", "-C", str(Path(__file__).resolve().parent), "rev-parse", "--short=12", "HEAD"],
        capture_output=True, text=True, timeout=10, check=False,
    )  # fmt: skip
    return answer.stdout.strip() or "unknown"


def as_json(name: str, seconds: float, where: dict[str, Any], report: Report) -> str:
    """One line."""
    return json.dumps({"bench": name, "commit": commit(), "machine": where, "seconds": round(seconds, 3), **asdict(report)})


def print_report(name: str, report: Report, console: Console) -> None:
    """Tables for people."""
    table = Table("metric", "unit", "n", "p50", "p99", "max", "mean", title=f"bench {name}")
    rows = [*report.metrics.items()]
    rows += [(f"{peer}: {key}", metric) for peer, metrics in report.peers.items() for key, metric in metrics.items()]
    for key, metric in rows:
        numbers = (f"{value:.3f}" for value in (metric.p50, metric.p99, metric.max, metric.mean))
        table.add_row(key, metric.unit, str(metric.n), *numbers)
    console.print(table)
    for title, values in (("counts", report.counts), ("floor", report.floor)):
        if values:
            console.print(f"{title}: " + ", ".join(f"{key} = {value:g}" for key, value in values.items()), highlight=False)

"""Every figure that a training logs: metrics.jsonl, one JSON object a line with its `step`; TensorBoard where there is one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from sernf_learner.losses import Metrics

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

METRICS_FILE, BOARD_FOLDER = "metrics.jsonl", "tensorboard"


class MetricsLog:
    """Collects the figures of steps and writes their means."""

    def __init__(self, folder: Path, first_step: int) -> None:
        """Goes on behind `first_step`: what an earlier process wrote of later steps comes again, and half a line goes."""
        self.file = folder / METRICS_FILE
        kept = [line for line in _lines(self.file) if (step := _step_of(line)) is not None and step <= first_step]
        self.file.write_text("".join(f"{line}\n" for line in kept), encoding="utf8")
        self.latest: Metrics = {}
        """means that were written last"""
        self._sums: dict[str, tuple[float, int]] = {}
        self._stream = self.file.open("a", encoding="utf8")
        self._board = _board(folder / BOARD_FOLDER, first_step)

    def add(self, metrics: Metrics) -> None:
        """Take in the figures of one step."""
        for name, value in metrics.items():
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = (total + value, count + 1)

    def flush(self, step: int) -> None:
        """Write the means since the last time."""
        if not self._sums:
            return
        self.latest = {name: total / count for name, (total, count) in self._sums.items()}
        self._sums = {}
        self._stream.write(json.dumps({"step": step, **self.latest}) + "\n")
        self._stream.flush()
        if self._board is not None:
            for name, value in self.latest.items():
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Let go of the files."""
        self._stream.close()
        if self._board is not None:
            self._board.close()


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf8").splitlines() if file.is_file() else []


def _step_of(line: str) -> int | None:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return None


def _board(folder: Path, first_step: int) -> SummaryWriter | None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    writer: SummaryWriter = SummaryWriter(str(folder), purge_step=first_step + 1)
    return writer

"""A training job in the terminal: how far it is, when it will be done, and its metrics."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

MOST_METRICS = 5


class EtaColumn(ProgressColumn):
    """What the trainer says: it knows of evaluations and budgets that a bar cannot see."""

    def render(self, task: Task) -> Text:
        """Such as "2:05 left"."""
        eta_s = float(task.fields.get("eta_s", -1.0))
        return Text("" if eta_s < 0 else f"{int(eta_s) // 60}:{int(eta_s) % 60:02d} left", style="progress.remaining")


class TrainingBar:
    """A context manager around one job's progress bar."""

    def __init__(self, console: Console, name: str) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), EtaColumn(),
            TextColumn("{task.fields[metrics]}"), console=console,
        )  # fmt: skip
        self._bar = self._progress.add_task(escape(name), total=None, eta_s=-1.0, metrics="")

    def show(self, *, step: int, total: int, eta_s: float, metrics: Mapping[str, float], message: str) -> None:
        """The newest state; a total of 0 is unknown, and so is a negative `eta_s`."""
        shown = "  ".join(f"{name} {value:.3g}" for name, value in list(metrics.items())[:MOST_METRICS])
        self._progress.update(
            self._bar, completed=step, total=total or None, eta_s=eta_s, metrics=escape("  ".join(filter(None, (message, shown))))
        )

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._progress.console.print(escape(text), highlight=False)

    def __enter__(self) -> TrainingBar:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

"""The cube's bench, in real processes."""

from __future__ import annotations

import subprocess

import pytest
from rich.console import Console

from sernf.bench import cube

CONSOLE = Console(quiet=True)


@pytest.mark.slow
def test_one_and_two_processes_are_measured() -> None:
    report = cube.measure(2.0, CONSOLE)
    assert report.counts.keys() == {f"{what}_steps_per_s_{cores}" for what in ("env", "ppo") for cores in (1, 2)}
    assert all(value > 0 for value in report.counts.values())
    assert report.metrics["env_step_ms"].n > 0 and report.floor["env_step_ms"] > 0


def test_a_process_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 1, "", "no grasps")

    monkeypatch.setattr(subprocess, "run", failing)
    with pytest.raises(RuntimeError, match="expected 2 processes to measure, got an error:\nno grasps"):
        cube.measure(1.0, CONSOLE)


def test_processes_that_never_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def hanging(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        raise subprocess.TimeoutExpired("torchrun", 310.0)

    monkeypatch.setattr(subprocess, "run", hanging)
    with pytest.raises(RuntimeError, match="expected 2 processes to measure within 302 s"):
        cube.measure(1.0, CONSOLE)

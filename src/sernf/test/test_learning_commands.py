"""`sernf finetune` against a learner process with a dummy trainer, and `sernf eval` against a stand-in for the evaluation."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
import yaml
from datasets import record_demonstrations
from dummy_training import COMMAND
from typer.testing import CliRunner

from sernf import graph, learning_commands
from sernf.cli import app
from sernf_learner.training_job import Stage

WAIT_S = 60.0


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_demonstrations(tmp_path_factory.mktemp("demos"))


@pytest.fixture
def _learner(tmp_path: Path) -> Iterator[None]:
    config = tmp_path / "learner.yaml"
    process = {"command": list(COMMAND), "nice": 0}
    config.write_text(yaml.safe_dump({"directory": str(tmp_path / "learner"), "start_free_mb": 0.0, "process": process}))
    program = "from sernf_learner.learner_node import main; main()"
    learner = subprocess.Popen([sys.executable, "-c", program, "--ros-args", "-p", f"config_file:={config}"])
    yield
    learner.send_signal(signal.SIGINT)
    learner.wait(WAIT_S)


class Finetune:
    """The command, called without a process of its own; `told` and `json` are what the last call has said."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd
        self.told = ""
        self.json: Any = None

    def __call__(self, **options: Any) -> int:
        status = 0
        try:
            learning_commands.finetune(**options, json=True)
        except typer.Exit as end:
            status = end.exit_code
        output, errors = self._capfd.readouterr()
        self.told = " ".join(errors.split())
        self.json = json.loads(output.splitlines()[-1]) if output else None
        return status


@pytest.fixture
def _one_node(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Discovery takes seconds: the commands of a test share a node."""
    with graph.spinning_node("finetune") as node:
        monkeypatch.setattr(graph, "spinning_node", lambda name: contextlib.nullcontext(node))
        yield


@pytest.mark.usefixtures("_learner", "_one_node")
def test_finetune_asks_follows_lists_and_cancels(demos: Path, capfd: pytest.CaptureFixture[str]) -> None:
    finetune = Finetune(capfd)
    imitation = {"stage": Stage.IMITATION, "data": demos}
    assert finetune(**imitation, steps=20, settings=["step_s=0.05"]) == 0
    assert "0001-imitation: duck: 2 successes, 1 failures; starts from nothing" in finetune.told
    assert (finetune.json["state"], finetune.json["step"]) == ("done", 20)

    assert finetune(stage=Stage.ONLINE_RL, data=demos) == 1
    assert "online_rl: expected weights of stage offline_rl or online_rl" in finetune.told

    assert finetune(**imitation, settings=["raise_at=2"], seed=4) == 1
    assert "broken on purpose" in finetune.told

    assert finetune(**imitation, steps=100_000, settings=["step_s=0.01"], wait=False) == 0
    job = finetune.json["job_id"]
    assert finetune(cancel=job) == 0
    assert finetune(follow=job) == 1
    assert "cancelled" in finetune.told
    assert finetune(listing=True) == 0
    assert {item["job_id"]: item["state"] for item in finetune.json} == {
        "0001-imitation": "done",
        "0002-imitation": "failed",
        job: "cancelled",
    }
    assert finetune(follow="9") == 1
    assert "got '9'" in finetune.told


@pytest.mark.usefixtures("_learner")
def test_ctrl_c_without_a_terminal_detaches_and_the_job_goes_on(demos: Path, tmp_path: Path) -> None:
    words = ("finetune", "--stage", "imitation", "--data", str(demos), "--steps", "100000", "--set", "step_s=0.01")
    process = subprocess.Popen(
        [sys.executable, "-m", "sernf.cli", *words], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    state = tmp_path / "learner/jobs/0001-imitation/state.json"
    deadline = time.monotonic() + WAIT_S
    while not state.is_file():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0
    assert "it goes on; come back with ./sernf finetune --follow 0001-imitation" in errors
    step = json.loads(state.read_text())["step"]
    time.sleep(0.5)
    assert json.loads(state.read_text())["step"] > step


def test_without_a_learner_it_says_how_to_start_one(
    monkeypatch: pytest.MonkeyPatch, demos: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sernf.finetune.FIND_TIMEOUT_S", 0.5)
    finetune = Finetune(capfd)
    assert finetune(stage=Stage.IMITATION, data=demos) == 1
    assert "no learner is running" in finetune.told
    assert "./sernf up" in finetune.told


@pytest.mark.parametrize("words", [(), ("--stage", "imitation"), ("--data", "."), ("--list", "--follow", "1")])
def test_unclear_wishes_are_refused(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, ["finetune", *words])
    assert result.exit_code == 2
    assert "expected --stage with --data, or one of" in result.stderr


EVALUATION = {
    "task": "duck", "weights": "w", "sha256": "a", "stage": "imitation", "episodes": 4, "successes": 3, "rate": 0.75,
    "wilson_low": 0.3, "wilson_high": 0.95, "mean_time_s": 7.0, "failures": {"timeout": 1}, "seed": 5, "twin": True,
    "temperature": 0.7, "candidates": 1, "extra": {"grasp_rate": 1.0},
}  # fmt: skip


def stand_in(monkeypatch: pytest.MonkeyPatch, calls: list[dict[str, Any]], error: Exception | None = None) -> None:
    def evaluate(**arguments: Any) -> dict[str, Any]:
        calls.append(arguments)
        if error is not None:
            raise error
        arguments["progress"](4, 4)
        return EVALUATION

    module = ModuleType("sernf_learner.evaluation")
    module.evaluate = evaluate  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sernf_learner.evaluation", module)


def test_eval_prints_for_people_and_one_object_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []
    stand_in(monkeypatch, calls)
    words = ["--task", "duck", "--weights", "w", "--episodes", "4", "--seed", "5", "--twin", "--candidates", "1", "--json"]
    result = CliRunner().invoke(app, ["eval", *words, "--temperature", "0.7", "--workers", "2"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == EVALUATION
    assert "3 of 4 (75 %" in result.stderr
    assert "1 timeout" in result.stderr
    del calls[0]["progress"]
    assert calls[0] == {
        "task": "duck", "weights": "w", "episodes": 4, "seed": 5, "physics": "twin", "temperature": 0.7, "candidates": 1,
        "workers": 2,
    }  # fmt: skip


def test_eval_without_options_measures_what_bringup_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []
    stand_in(monkeypatch, calls)
    assert CliRunner().invoke(app, ["eval"]).exit_code == 0
    assert (calls[0]["weights"], calls[0]["physics"], calls[0]["temperature"]) == ("", "nominal", None)
    assert calls[0]["workers"] >= 1


def test_eval_fails_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, [], RuntimeError("expected weights of [duck], got none"))
    result = CliRunner().invoke(app, ["eval"])
    assert result.exit_code == 1
    assert "expected weights of [duck], got none" in result.stderr

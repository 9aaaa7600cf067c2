"""Training in the foreground: stages that find their parents, interruptions, and jobs that are not what was asked for before."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from datasets import record_demonstrations
from dummy_training import COMMAND
from typer.testing import CliRunner, Result

from sernf.cli import app
from sernf_learner import job_process


@pytest.fixture(autouse=True)
def _dummy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_process, "DEFAULT_COMMAND", COMMAND)


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_demonstrations(tmp_path_factory.mktemp("demos"))


def train(demos: Path, out: Path, stage: str = "imitation", *words: str) -> Result:
    return CliRunner().invoke(app, ["train", "--stage", stage, "--data", str(demos), "--out", str(out), "--json", *words])


def told(result: Result) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return content


def test_each_stage_starts_from_the_one_before_it_in_the_same_folder(demos: Path, tmp_path: Path) -> None:
    early = train(demos, tmp_path, "critic_warmup")
    assert early.exit_code == 1
    assert "critic_warmup: expected weights of stage imitation to start from, found none" in " ".join(early.stderr.split())
    for stage in ("imitation", "critic_warmup", "offline_rl"):
        result = train(demos, tmp_path, stage, "--set", "weights_every=2")
        assert result.exit_code == 0, result.stderr
        assert told(result)["weights"]["version"] == f"duck-{stage}-0004"
    job = json.loads((tmp_path / "offline_rl.job/job.json").read_text())
    assert job["parent"] == json.loads((tmp_path / "critic_warmup.job/events.jsonl").read_text().splitlines()[1])["file"]
    assert job["overrides"] == {"weights_every": 2}


def test_interrupted_it_saves_its_state_and_the_same_command_goes_on(demos: Path, tmp_path: Path) -> None:
    words, state = ("--steps", "200", "--set", "step_s=0.02"), tmp_path / "imitation.job/state.json"

    def interrupt_when_it_has_begun() -> None:
        deadline_s = time.monotonic() + 60.0
        while not state.is_file() and time.monotonic() < deadline_s:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    interrupter = threading.Thread(target=interrupt_when_it_has_begun)
    interrupter.start()
    result = train(demos, tmp_path, "imitation", *words)
    interrupter.join()
    assert result.exit_code == 130
    assert told(result)["state"] == "stopped"
    assert 0 < json.loads(state.read_text())["step"] < 200
    assert train(demos, tmp_path, "imitation", *words).exit_code == 0
    assert json.loads(state.read_text()) == {"step": 200, "starts": 2, "episodes": []}


def test_another_job_in_the_same_place_is_refused_and_the_difference_named(demos: Path, tmp_path: Path) -> None:
    assert train(demos, tmp_path).exit_code == 0
    result = train(demos, tmp_path, "imitation", "--seed", "3")
    assert result.exit_code == 1
    assert "seed 0, now 3" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("setting", "message"),
    [("raise_at=2", "RuntimeError: broken on purpose"), ("halt_at=2", "training halted itself: divergence")],
)
def test_what_does_not_end_well_is_told_by_the_status(demos: Path, tmp_path: Path, setting: str, message: str) -> None:
    result = train(demos, tmp_path, "imitation", "--set", setting)
    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--set", "batch"), "expected KEY=VALUE, got 'batch'"),
        (("--parent", "/no/such"), "parent: /no/such: expected a weights file"),
    ],
)
def test_a_wrong_argument_is_explained(demos: Path, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    result = train(demos, tmp_path, "imitation", *words)
    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())


def test_a_folder_without_episodes_is_refused(tmp_path: Path) -> None:
    result = train(tmp_path / "nowhere", tmp_path)
    assert result.exit_code == 1
    assert "expected a folder of episodes" in result.stderr

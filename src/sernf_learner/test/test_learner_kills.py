"""kill -9 at random points, again and again: no weights are lost, and the result is that of an undisturbed run."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from datasets import record_demonstrations
from learner_process import make_config

from sernf_learner.jobs import JobFile, JobRecord, JobState
from sernf_learner.learner import Learner, Request

PROGRAM = Path(__file__).with_name("learner_process.py")
KILLS = 20
WAIT_S = 60.0


def submit(folder: Path, demos: Path) -> None:
    with Learner(make_config(folder)) as learner:
        learner.submit(Request("imitation", str(demos), 300, "{step_s: 0.03, weights_every: 20}"))
        learner.submit(Request("imitation", str(demos), 10))


def start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(PROGRAM), str(folder), str(folder / "announced")])


def finish(folder: Path) -> list[JobRecord]:
    assert start(folder).wait(WAIT_S) == 0
    return JobFile(folder / "jobs.json").load()


def child_of(pid: int) -> int | None:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else None


@pytest.mark.slow
def test_kill_9_of_the_learner_or_its_training_process_20_times_loses_no_weights(tmp_path: Path) -> None:
    demos = record_demonstrations(tmp_path / "demos")
    disturbed, undisturbed = tmp_path / "disturbed", tmp_path / "undisturbed"
    for folder in (disturbed, undisturbed):
        submit(folder, demos)
    generator = random.Random(4)
    for kill in range(KILLS):
        process = start(disturbed)
        time.sleep(generator.uniform(0.1, 1.6))
        assert process.poll() is None, "the job was over before the last kill: make it longer"
        victim = child_of(process.pid) if kill % 3 == 2 else None
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim or process.pid, signal.SIGKILL)
        if victim:
            time.sleep(generator.uniform(0.1, 0.5))
            process.kill()
        process.wait(WAIT_S)
    records, expected = finish(disturbed), finish(undisturbed)
    assert [record.state for record in records] == [JobState.DONE, JobState.DONE]
    assert [[weights.sha256 for weights in record.weights] for record in records] == [
        [weights.sha256 for weights in record.weights] for record in expected
    ]
    for record in records:
        assert all(Path(weights.file).is_file() for weights in record.weights)
    announced = (disturbed / "announced").read_text().split()
    assert set(announced) == {weights.sha256 for record in records for weights in record.weights}

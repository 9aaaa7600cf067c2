"""Whole jobs on bags: all four stages in turn, killed at any moment, in several processes, with episodes that come in."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from learning_data import config, job, told, write_bag, write_demonstrations

from sernf_learner.metrics_log import METRICS_FILE, MetricsLog
from sernf_learner.trainer import CURVES, STATE, _Training, run_job
from sernf_learner.training_job import Stage, TrainingJob
from sernf_policy.checkpoint import load_checkpoint
from sernf_policy.policy import ChunkPolicy
from sernf_teleop.episodes import read_episode, relabel

WAIT_S = 400.0
STEPS = 8


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demonstrations(tmp_path_factory.mktemp("demos") / "duck")


def done(made: TrainingJob, episodes: Callable[[], list[Path]] = list) -> list[dict[str, Any]]:
    """Do a job in this process; returns its events."""
    events: list[dict[str, Any]] = []
    run_job(made, lambda event: events.append(dict(event)), lambda: False, episodes)
    return events


def weights(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == "checkpoint"]


@pytest.fixture(scope="module")
def trained(demos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Stage, str]:
    """Weights of the first three stages, each made from those before."""
    folder, found, parent = tmp_path_factory.mktemp("jobs"), {}, ""
    for stage in (Stage.IMITATION, Stage.CRITIC_WARMUP, Stage.OFFLINE_RL):
        (event,) = weights(done(job(folder / stage.value, stage, demos, parent)))
        found[stage] = parent = event["file"]
    return found


def test_each_stage_goes_on_from_the_one_before(trained: dict[Stage, str], demos: Path, tmp_path: Path) -> None:
    before = ""
    for stage, file in trained.items():
        checkpoint = load_checkpoint(Path(file))
        assert checkpoint.info.stage == stage.value and checkpoint.info.parent_sha256 == before
        assert checkpoint.info.metrics and (checkpoint.critic is None) == (stage is Stage.IMITATION)
        before = checkpoint.info.sha256
        folder = Path(file).parent.parent / stage.value
        lines = [json.loads(line) for line in (folder / METRICS_FILE).read_text().splitlines()]
        assert lines[-1]["step"] == STEPS and (folder / CURVES).is_file()
    rollouts = [write_bag(tmp_path / "r", 20, source="policy"), write_bag(tmp_path / "r", 21, "failure", source="policy")]
    waiting = [[rollouts[0], rollouts[0]], [], [rollouts[1]]]
    online = job(tmp_path / "job", Stage.ONLINE_RL, demos, trained[Stage.OFFLINE_RL], steps=6, online_steps_per_episode=3)
    events = done(online, lambda: waiting.pop(0) if waiting else [])
    assert [Path(event["file"]).name for event in weights(events)] == [
        "j-online_rl-000003.safetensors", "j-online_rl-000006.safetensors"
    ]  # fmt: skip


def test_long_rollouts_are_trained_on_for_longer_also_by_a_job_that_goes_on(
    trained: dict[Stage, str], demos: Path, tmp_path: Path
) -> None:
    rollouts = [write_bag(tmp_path / "r", seed, source="policy") for seed in (20, 21)]
    seconds = read_episode(rollouts[0]).seconds
    settings = {"online_steps_per_episode": 1, "online_rollout_s": seconds / 3.0}
    made = job(tmp_path / "job", Stage.ONLINE_RL, demos, trained[Stage.OFFLINE_RL], steps=20, **settings)
    first = _Training(made, config(**settings), lambda event: None, lambda: False, lambda: [rollouts[0]])
    first._may_train()
    each = sum(first._earned.values())
    first.close()
    assert each in (2, 3, 4)
    again = _Training(made, config(**settings), lambda event: None, lambda: False, lambda: [rollouts[1]])
    assert sum(again._earned.values()) == each
    again._may_train()
    assert sum(again._earned.values()) == 2 * each
    again.close()


def test_a_relabelled_rollout_is_replaced_and_counts_no_further_updates(
    trained: dict[Stage, str], demos: Path, tmp_path: Path
) -> None:
    rollout = write_bag(tmp_path / "r", 20, source="policy")
    made = job(tmp_path / "job", Stage.ONLINE_RL, demos, trained[Stage.OFFLINE_RL], steps=9, online_steps_per_episode=3)
    training = _Training(made, config(online_steps_per_episode=3), lambda event: None, lambda: False, lambda: [rollout])
    assert training._may_train() and training._may_train()
    assert list(training._paths) == [rollout.name]
    data = training._session.data
    size = len(data.imitation_set())
    data.windows(1)
    assert data._seen[True].windows.reward.max() == 1.0
    relabel(rollout, label="failure", labelled_by="operator:bo", note="it fell")
    assert training._may_train()
    data.windows(1)
    assert not data._seen[True].windows.reward.any() and len(data.imitation_set()) == size
    relabel(rollout, label="discard", labelled_by="operator:bo", note="")
    assert training._may_train()
    assert not data.has_online
    training.close()


def test_what_comes_into_the_folder_later_does_not_keep_a_job_from_going_on(demos: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(demos, tmp_path / "demos")
    made, asked = job(tmp_path / "job", Stage.IMITATION, folder), iter([False, False, True])
    run_job(made, lambda event: None, lambda: next(asked), list)
    write_bag(folder, 30)
    straight = weights(done(job(tmp_path / "other", Stage.IMITATION, demos)))
    with (tmp_path / "job" / METRICS_FILE).open("a") as file:
        file.write('{"step": 7, "nll"')
    assert weights(done(made))[0]["sha256"] == straight[0]["sha256"]
    shutil.rmtree(folder / "demonstrator-0-success")
    with pytest.raises(ValueError, match="episodes and labels with which this job began"):
        done(made)


def test_half_a_line_and_steps_that_come_again_are_not_logged_twice(tmp_path: Path) -> None:
    (tmp_path / METRICS_FILE).write_text('{"step": 1, "nll": 3.0}\n{"step": 4, "nll": 2.0}\n{"step": 5, "n')
    log = MetricsLog(tmp_path, first_step=2)
    for nll in (1.0, 2.0):
        log.add({"nll": nll})
    log.flush(4)
    log.flush(5)
    log.close()
    assert [json.loads(line) for line in log.file.read_text().splitlines()] == [{"step": 1, "nll": 3.0}, {"step": 4, "nll": 1.5}]


def started(made: TrainingJob) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-m", "sernf_learner.train_job", str(made.folder)]
    return subprocess.Popen(
        program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, start_new_session=True
    )


def saved_ns(made: TrainingJob) -> int:
    """When the state was saved last; 0 before."""
    file = made.folder / STATE
    return file.stat().st_mtime_ns if file.is_file() else 0


def kill_again_and_again(made: TrainingJob, kills: int) -> str:
    """kill -9 at random moments, each a little after the process has saved its first state; returns the final weights' hash."""
    chance = random.Random(kills)
    for _ in range(kills):
        before_ns, began_s = saved_ns(made), time.monotonic()
        process = started(made)
        while process.poll() is None and saved_ns(made) == before_ns and time.monotonic() - began_s < WAIT_S:
            time.sleep(0.005)
        time.sleep(chance.uniform(0.0, 0.2))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=WAIT_S)
    last = started(made)
    try:
        assert last.wait(timeout=WAIT_S) == 0
    finally:
        last.kill()
    events = told(made.folder)
    for event in weights(events):
        assert load_checkpoint(Path(event["file"])).info.sha256 == event["sha256"]
    assert events[-1]["event"] == "done"
    return str(weights(events)[-1]["sha256"])


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_kill_9_makes_no_difference(kills: int, trained: dict[Stage, str], demos: Path, tmp_path: Path) -> None:
    steps, parent = 60 * kills, trained[Stage.CRITIC_WARMUP]
    killed = job(tmp_path / "killed", Stage.OFFLINE_RL, demos, parent, steps=steps)
    straight = job(tmp_path / "straight" / "job", Stage.OFFLINE_RL, demos, parent, steps=steps)
    assert kill_again_and_again(killed, kills) == weights(done(straight))[-1]["sha256"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_train_one_policy_and_one_writes(demos: Path, tmp_path: Path) -> None:
    steps = 60
    made = job(tmp_path / "job", Stage.IMITATION, demos, steps=steps, actor__learning_rate=5e-3)
    probe = tmp_path / "probe.py"
    probe.write_text(PROBE)
    launcher = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(probe))
    process = subprocess.run(
        [sys.executable, "-m", *launcher, str(made.folder)], env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr[-2000:]
    digests = [(made.folder / f"digest-{number}").read_text() for number in range(2)]
    assert digests[0] == digests[1]
    assert len(weights(told(made.folder))) == 1 and len(list(made.out.glob("*.safetensors"))) == 1
    saved = load_checkpoint(next(made.out.glob("*.safetensors")))
    assert isinstance(saved.policy, ChunkPolicy)
    losses = [json.loads(line)["nll"] for line in (made.folder / METRICS_FILE).read_text().splitlines()]
    assert sum(losses[-10:]) < sum(losses[:10])
    alone = weights(done(job(tmp_path / "alone" / "job", Stage.IMITATION, demos, steps=steps, actor__learning_rate=5e-3)))
    assert alone[0]["sha256"] != saved.info.sha256


PROBE = """
import hashlib, os, sys
from pathlib import Path
from sernf_learner import trainer
from sernf_learner.train_job import main

trainer.REPORT_PERIOD_S = 0.0
close = trainer._Training.close

def witnessed(training):
    state = training._session.learner.actor.state_dict()
    digest = hashlib.sha256(b"".join(value.numpy().tobytes() for value in state.values())).hexdigest()
    (training._job.folder / f"digest-{os.environ['RANK']}").write_text(digest)
    close(training)

trainer._Training.close = witnessed
sys.exit(main([sys.argv[1]]))
"""

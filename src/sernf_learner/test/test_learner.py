"""The learner over its whole life: jobs one after the other, crashes of the training process, and its own death."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import record_demonstrations, record_episode
from dummy_training import COMMAND

from sernf_learner.job_process import ProcessConfig
from sernf_learner.jobs import JobRecord, JobState
from sernf_learner.learner import Learner, LearnerError, News, Request
from sernf_learner.learner_config import LearnerConfig
from sernf_learner.training_job import JobError, Weights
from sernf_teleop.episodes import relabel

WAIT_S = 60.0


class Bench:
    """A learner in `folder` with the dummy as its training process, and all the news it has ever given."""

    def __init__(self, folder: Path, demos: Path) -> None:
        self.folder = folder
        self.demos = demos
        self.weights: list[Weights] = []
        self.learner = self.make()
        self.learner.open()

    def make(self, **changes: Any) -> Learner:
        process = ProcessConfig(command=COMMAND, nice=0, stop_timeout_s=5.0, silence_timeout_s=20.0)
        values = {"directory": self.folder / "learner", "process": process, "restart_delay_s": 0.0, "start_free_mb": 0.0}
        return Learner(LearnerConfig(**{**values, **changes}))

    def submit(self, stage: str = "imitation", steps: int = 5, **overrides: Any) -> str:
        record, _ = self.learner.submit(Request(stage, str(self.demos), steps, yaml.safe_dump(overrides)))
        return record.job.job_id

    def tick(self) -> News:
        news = self.learner.tick()
        self.weights += news.weights
        return news

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, f"did not happen in time: {self.learner.jobs()}"
            self.tick()
            time.sleep(0.01)

    def job(self, job_id: str) -> JobRecord:
        return next(record for record in self.learner.jobs() if record.job.job_id == job_id)

    def wait_for(self, job_id: str, *states: JobState) -> JobRecord:
        self.until(lambda: self.job(job_id).state in states)
        return self.job(job_id)

    def finish(self, job_id: str) -> JobRecord:
        return self.wait_for(job_id, JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.HALTED)

    def die(self) -> None:
        """kill -9 of the learner as the training process sees it; then it comes back."""
        process = self.learner._process
        assert process is not None
        assert process._process is not None
        assert process._process.stdin is not None
        assert process._process.stdout is not None
        process._process.stdin.close()
        process._process.stdout.close()
        assert self.learner._lock is not None
        os.close(self.learner._lock)
        process._process.wait(WAIT_S)
        self.learner = self.make()
        self.learner.open()


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_demonstrations(tmp_path_factory.mktemp("demos"))


@pytest.fixture
def bench(tmp_path: Path, demos: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, demos)
    yield bench
    bench.learner.close()


def state_of(record: JobRecord) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((record.job.folder / "state.json").read_text())
    return content


def test_the_stages_follow_each_other_and_each_starts_from_the_weights_before_it(bench: Bench) -> None:
    ids = []
    for stage in ("imitation", "critic_warmup", "offline_rl", "online_rl"):
        ids.append(bench.submit(stage))
        assert bench.finish(ids[-1]).state is JobState.DONE
    bench.tick()
    assert ids == ["0001-imitation", "0002-critic_warmup", "0003-offline_rl", "0004-online_rl"]
    parents = [bench.job(job_id).job.parent for job_id in ids]
    assert parents == ["", *(weights.file for weights in bench.weights[:3])]
    assert [weights.stage for weights in bench.weights] == ["imitation", "critic_warmup", "offline_rl", "online_rl"]


def test_one_job_runs_and_the_others_wait_in_order(bench: Bench) -> None:
    ids = [bench.submit(step_s=0.02) for _ in range(3)]
    seen: list[list[str]] = []

    def over() -> bool:
        seen.append([record.job.job_id for record in bench.learner.jobs() if record.state is JobState.RUNNING])
        return all(record.has_ended for record in bench.learner.jobs())

    bench.until(over)
    assert max(len(running) for running in seen) == 1
    assert [job_id for job_id in ids if [job_id] in seen] == ids


def test_a_refused_request_changes_nothing(bench: Bench) -> None:
    for request, message in (
        (Request("offline_rl", str(bench.demos)), "offline_rl: expected weights of stage critic_warmup"),
        (Request("imitation", "/no/such"), "dataset: expected a folder"),
        (Request("imitation", str(bench.demos), overrides="3"), "overrides"),
        (Request("imitation", str(bench.demos), overrides="{seed: -1}"), "seed"),
        (Request("imitation", str(bench.demos), steps=10**12), "steps"),
        (Request("learning", str(bench.demos)), "stage"),
    ):
        with pytest.raises(JobError, match=message):
            bench.learner.submit(request)
    assert bench.learner.jobs() == []
    assert not (bench.folder / "learner/jobs").exists()


def test_the_queue_has_an_end_and_so_has_the_disk(bench: Bench) -> None:
    bench.learner.close()
    request = Request("imitation", str(bench.demos))
    with bench.make(longest_queue=1) as learner:
        learner.submit(request)
        with pytest.raises(JobError, match="at most 1 waiting jobs"):
            learner.submit(request)
    with bench.make(start_free_mb=1e12) as learner, pytest.raises(JobError, match="MB of free space"):
        learner.submit(request)


def test_parent_and_seed_are_for_the_learner_and_the_rest_for_the_stage(bench: Bench) -> None:
    parent = bench.folder / "w.safetensors"
    parent.touch()
    job = bench.job(bench.submit("offline_rl", parent=str(parent), seed=5, step_s=0.0)).job
    assert (job.parent, job.seed, dict(job.overrides)) == (str(parent), 5, {"step_s": 0.0})


def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_when_it_has_saved_its_state(bench: Bench) -> None:
    running, waiting = bench.submit(steps=10_000, step_s=0.01, weights_every=1), bench.submit()
    bench.until(lambda: bench.job(running).step > 2)
    assert bench.learner.cancel(waiting).state is JobState.CANCELLED
    assert bench.learner.cancel().job.job_id == running
    record = bench.finish(running)
    assert record.state is JobState.CANCELLED
    assert state_of(record)["step"] >= record.step
    bench.tick()
    assert [weights.sha256 for weights in bench.weights] == [weights.sha256 for weights in record.weights]


def test_a_failure_is_told_and_the_next_job_runs(bench: Bench) -> None:
    failed, good = bench.submit(raise_at=2), bench.submit()
    assert bench.finish(failed).message == "RuntimeError: broken on purpose"
    assert "0001-imitation failed: RuntimeError" in bench.learner.problem
    assert bench.finish(good).state is JobState.DONE
    assert bench.learner.problem == ""


def test_a_halt_keeps_the_last_good_weights(bench: Bench) -> None:
    record = bench.finish(bench.submit(steps=6, halt_at=5, weights_every=2))
    assert (record.state, record.message) == (JobState.HALTED, "divergence on purpose")
    assert [Path(weights.file).is_file() for weights in record.weights] == [True, True]


def test_a_killed_training_process_goes_on_from_its_state(bench: Bench) -> None:
    record = bench.finish(bench.submit(kill_at=3))
    assert record.state is JobState.DONE
    assert state_of(record)["starts"] == 2
    assert record.restarts == 1


def test_a_training_process_that_is_always_killed_is_given_up(bench: Bench) -> None:
    job = bench.submit(steps=10_000, step_s=0.01)

    def kill() -> bool:
        if bench.learner.pid is not None:
            os.kill(bench.learner.pid, signal.SIGKILL)
        return bench.job(job).has_ended

    bench.until(kill)
    record = bench.job(job)
    assert record.state is JobState.FAILED
    assert "SIGKILL" in record.message
    assert "given up after 3 more attempts" in record.message


def test_a_job_can_be_cancelled_while_its_process_is_down(bench: Bench) -> None:
    bench.learner.close()
    bench.learner = bench.make(restart_delay_s=100.0)
    bench.learner.open()
    job = bench.submit(kill_at=2)
    bench.until(lambda: bench.job(job).restarts == 1)
    assert bench.learner.cancel().state is JobState.CANCELLED


def test_a_killed_learner_loses_no_weights_and_ends_where_an_undisturbed_one_ends(bench: Bench) -> None:
    job, waiting = bench.submit(steps=40, step_s=0.005, weights_every=5), bench.submit()
    for step in (3, 14, 22, 31):
        bench.until(lambda step=step: bench.job(job).step >= step)  # type: ignore[misc]
        bench.die()
        assert bench.job(job).state is JobState.RUNNING
        assert bench.job(waiting).state is JobState.QUEUED
    record = bench.finish(job)
    assert record.state is JobState.DONE
    assert state_of(record)["starts"] == 5
    assert [weights.version for weights in record.weights] == [f"duck-imitation-{step:04d}" for step in range(5, 41, 5)]
    bench.finish(waiting)
    bench.tick()
    assert {weights.sha256 for weights in record.weights} <= {weights.sha256 for weights in bench.weights}


def test_a_learner_that_is_stopped_and_started_goes_on_and_announces_everything_once(bench: Bench) -> None:
    job = bench.submit(steps=100, step_s=0.005, weights_every=10)
    for _ in range(2):
        step = bench.job(job).step
        bench.until(lambda step=step: bench.job(job).step > step + 10)  # type: ignore[misc]
        bench.tick()
        bench.learner.close()
        bench.learner = bench.make()
        bench.learner.open()
    record = bench.finish(job)
    bench.tick()
    assert state_of(record)["starts"] == 3
    assert [weights.sha256 for weights in bench.weights] == [weights.sha256 for weights in record.weights]


def test_weights_that_nobody_was_told_of_are_announced_after_a_restart(bench: Bench) -> None:
    bench.submit(steps=10_000, step_s=0.01, weights_every=3)
    deadline = time.monotonic() + WAIT_S
    while not (lost := bench.learner.tick().weights):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    bench.die()
    bench.tick()
    assert bench.weights[: len(lost)] == lost


def test_a_job_that_was_being_cancelled_when_the_learner_died_stays_cancelled(bench: Bench) -> None:
    job = bench.submit(steps=10_000, step_s=0.01, deaf=True)
    bench.until(lambda: bench.job(job).step > 1)
    bench.learner.cancel()
    assert bench.learner.pid is not None
    os.kill(bench.learner.pid, signal.SIGKILL)
    bench.die()
    assert bench.job(job).state is JobState.CANCELLED


def test_one_learner_for_a_directory(bench: Bench) -> None:
    with pytest.raises(LearnerError, match="another learner works in this directory"):
        bench.make().open()
    bench.learner.close()
    with bench.make():
        pass


def test_a_history_that_cannot_be_read_is_set_aside_and_ids_stay_unique(bench: Bench) -> None:
    bench.finish(bench.submit())
    bench.learner.close()
    (bench.folder / "learner/jobs.json").write_text("{")
    bench.learner = bench.make()
    bench.learner.open()
    assert "jobs.json.broken" in bench.learner.problem
    assert bench.submit() == "0002-imitation"


class TestOnline:
    """Finished episodes reach the online job."""

    @pytest.fixture
    def job(self, bench: Bench) -> str:
        (bench.folder / "w").touch()
        job = bench.submit("online_rl", steps=10_000, step_s=0.005, parent=str(bench.folder / "w"))
        bench.until(lambda: bench.job(job).step > 0)
        return job

    @staticmethod
    def taken_in(bench: Bench, job: str) -> float:
        return bench.job(job).metrics["episodes"]

    def test_labelled_policy_episodes_are_taken_in_and_others_are_not(self, bench: Bench, job: str) -> None:
        folder = bench.folder / "rollouts"
        taken = [record_episode(folder, label, source="policy") for label in ("success", "failure")]
        others = [
            record_episode(folder, "success", source="demonstrator"),
            record_episode(folder, "discard", source="policy"),
            folder / "nowhere",
        ]
        assert [bench.learner.episode_finished(path) for path in [*taken, *others]] == [True, True, False, False, False]
        bench.until(lambda: self.taken_in(bench, job) == 2)

    def test_a_new_label_is_told_again_even_if_it_is_discard(self, bench: Bench, job: str) -> None:
        path = record_episode(bench.folder / "rollouts", "success", source="policy")
        assert bench.learner.episode_finished(path)
        relabel(path, label="discard", labelled_by="operator:bo", note="")
        assert bench.learner.episode_finished(path)
        assert bench.job(job).episodes == (str(path),)

    def test_a_restarted_process_is_told_of_all_again(self, bench: Bench, job: str) -> None:
        path = record_episode(bench.folder / "rollouts", "success", source="policy")
        bench.learner.episode_finished(path)
        record = bench.job(job)
        assert bench.learner.pid is not None
        os.kill(bench.learner.pid, signal.SIGKILL)
        (record.job.folder / "state.json").unlink()
        bench.until(lambda: bench.job(job).metrics.get("episodes") == 1 and bench.job(job).restarts == 1)

    def test_without_an_online_job_episodes_are_nobodys_business(self, bench: Bench) -> None:
        path = record_episode(bench.folder / "rollouts", "success", source="policy")
        bench.submit()
        assert not bench.learner.episode_finished(path)


@pytest.mark.parametrize(
    "wrong", [{"restarts": -1}, {"history": 0}, {"longest_queue": 0}, {"restart_delay_s": -1.0}, {"progress_period_s": 0.0}]
)
def test_a_wrong_configuration_names_its_key(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LearnerConfig(**wrong)

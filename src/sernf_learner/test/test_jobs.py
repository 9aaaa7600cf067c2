"""The queue keeps its promises whatever is done to it, and is the same after it has been on the disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from sernf_learner.jobs import ENDED, JobFile, JobQueue, JobRecord, JobState
from sernf_learner.training_job import JobError, Stage, TrainingJob, Weights


def make_job(job_id: str, **changes: Any) -> TrainingJob:
    values = {"folder": Path("/jobs") / job_id, "job_id": job_id, "stage": Stage.IMITATION, "dataset": Path("/demos")}
    return TrainingJob(**{**values, "out": Path("/weights"), **changes})


def make_weights(name: str, stage: str = "imitation") -> Weights:
    return Weights(file=f"/weights/{name}", sha256=name, version=name, stage=stage)


class QueueMachine(RuleBasedStateMachine):
    """Every sequence of calls, with restarts of the learner in between."""

    jobs: Bundle[str] = Bundle("jobs")

    @initialize(history=st.integers(1, 4))
    def begin(self, history: int) -> None:
        self.history = history
        self.queue = JobQueue(history=history)
        self.order: list[str] = []
        self.ended: dict[str, JobState] = {}
        self.number = 0

    @rule(target=jobs)
    def add(self) -> str:
        self.number = max(self.number + 1, self.queue.next_number())
        job_id = f"{self.number:04d}-imitation"
        assert self.queue.add(make_job(job_id)).state is JobState.QUEUED
        self.order.append(job_id)
        return job_id

    @rule()
    def start(self) -> None:
        was_running = self.queue.running
        record = self.queue.start_next()
        if was_running is not None:
            assert record is None
        elif self.order:
            assert record is not None
            assert record.job.job_id == self.order.pop(0), "jobs start in the order they came"
        else:
            assert record is None

    @precondition(lambda self: self.queue.running is not None)
    @rule(step=st.integers(0, 100))
    def progress(self, step: int) -> None:
        running = self.queue.running
        assert running is not None
        after = self.queue.progress(running.job.job_id, step=step, total_steps=100, eta_s=1.0, metrics={"a": 1.0}, message="")
        assert (after.step, after.cancelling, after.weights) == (step, running.cancelling, running.weights)

    @precondition(lambda self: self.queue.running is not None)
    @rule(name=st.sampled_from("abc"))
    def weights(self, name: str) -> None:
        running = self.queue.running
        assert running is not None
        known = make_weights(name) in running.weights
        assert self.queue.add_weights(running.job.job_id, make_weights(name)) is not known

    @rule()
    def announce(self) -> None:
        self.queue.mark_announced()
        assert self.queue.unannounced() == []

    @precondition(lambda self: self.queue.running is not None)
    @rule(state=st.sampled_from(ENDED))
    def end(self, state: JobState) -> None:
        running = self.queue.running
        assert running is not None
        assert self.queue.end(running.job.job_id, state, "over").state is state
        self.ended[running.job.job_id] = state

    @rule(job_id=jobs)
    def cancel(self, job_id: str) -> None:
        if job_id in self.ended:
            with pytest.raises(JobError):
                self.queue.cancel(job_id)
        elif job_id in self.order:
            assert self.queue.cancel(job_id).state is JobState.CANCELLED
            self.order.remove(job_id)
            self.ended[job_id] = JobState.CANCELLED
        else:
            assert self.queue.cancel(job_id).cancelling
            assert not self.queue.may_restart(job_id, 99, "killed")

    @rule(job_id=consumes(jobs))
    def the_dead_stay_dead(self, job_id: str) -> None:
        if job_id not in self.ended:
            return
        for call in (
            lambda: self.queue.end(job_id, JobState.DONE, ""),
            lambda: self.queue.add_weights(job_id, make_weights("x")),
            lambda: self.queue.add_episode(job_id, "/e"),
        ):
            with pytest.raises(JobError):
                call()

    @rule()
    def restart(self) -> None:
        before = self.queue.records()
        file = JobFile(self.folder / "jobs.json")
        file.save(before)
        self.queue = JobQueue(file.load(), history=self.history)
        assert self.queue.records() == before

    @property
    def folder(self) -> Path:
        return self._folder  # type: ignore[attr-defined,no-any-return]

    @invariant()
    def what_must_hold(self) -> None:
        records = self.queue.records()
        states = [record.state for record in records]
        assert states.count(JobState.RUNNING) <= 1
        assert [record.job.job_id for record in records if record.state is JobState.QUEUED] == self.order
        ended = {record.job.job_id: record.state for record in records if record.has_ended}
        assert ended.items() <= self.ended.items()
        assert len(ended) == min(self.history, len(self.ended)), "history is bounded, and forgets no more than it must"
        assert sorted(map(id, self.queue.listed())) == sorted(map(id, records))


def test_every_sequence_of_calls_keeps_the_queue_in_order(tmp_path: Path) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    class InFolder(QueueMachine):
        _folder = tmp_path

    run_state_machine_as_test(InFolder, settings=settings(max_examples=60, stateful_step_count=25, deadline=None))


def test_a_list_for_people_begins_with_what_runs_and_ends_with_the_oldest() -> None:
    queue = JobQueue()
    for number in range(1, 5):
        queue.add(make_job(f"{number}"))
    for _ in range(2):
        started = queue.start_next()
        assert started is not None
        queue.end(started.job.job_id, JobState.DONE, "")
    queue.start_next()
    assert [record.job.job_id for record in queue.listed()] == ["3", "4", "2", "1"]


def test_a_killed_process_is_started_again_until_it_gets_no_further() -> None:
    queue = JobQueue()
    queue.add(make_job("1"))
    queue.start_next()

    def step(number: int) -> None:
        queue.progress("1", step=number, total_steps=9, eta_s=-1.0, metrics={}, message="")

    step(3)
    assert queue.may_restart("1", 2, "killed")
    assert queue.may_restart("1", 2, "killed")
    assert not queue.may_restart("1", 2, "killed")
    step(4)
    assert queue.may_restart("1", 2, "killed"), "a step forward makes the count begin anew"
    assert queue.get("1").message == "killed"


def test_an_episode_that_comes_again_is_told_once_more_as_the_newest() -> None:
    queue = JobQueue()
    queue.add(make_job("1", stage=Stage.ONLINE_RL))
    for path in ("/a", "/b", "/a"):
        queue.add_episode("1", path)
    assert queue.get("1").episodes == ("/b", "/a")


def test_cancelling_without_a_name_needs_a_running_job() -> None:
    queue = JobQueue()
    queue.add(make_job("1"))
    with pytest.raises(JobError, match="no job is running"):
        queue.cancel()
    queue.start_next()
    assert queue.cancel().cancelling


def test_unknown_ids_are_answered_with_the_known_ones() -> None:
    queue = JobQueue()
    queue.add(make_job("0007-imitation"))
    with pytest.raises(JobError, match="got '9'; known: 0007-imitation"):
        queue.cancel("9")
    assert queue.next_number() == 8


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"jobs": [{}]}', '{"jobs": [{"job": 3}]}'])
def test_a_file_that_is_not_the_learners_is_refused_with_its_name(tmp_path: Path, content: str) -> None:
    file = tmp_path / "jobs.json"
    file.write_text(content)
    with pytest.raises(JobError, match=r"jobs\.json: expected the learner's jobs"):
        JobFile(file).load()


def test_everything_about_a_job_survives_the_disk(tmp_path: Path) -> None:
    job = make_job("1", stage=Stage.ONLINE_RL, parent="/p", steps=5, overrides={"batch": 3, "keys": [1, "a"]}, seed=4)
    record = replace(
        JobRecord(job=job), state=JobState.HALTED, step=3, total_steps=5, eta_s=2.0, metrics={"loss": 0.5}, message="m",
        restarts=1, restarted_at_step=2, weights=(make_weights("w"),), announced=1, episodes=("/e",),
    )  # fmt: skip
    file = JobFile(tmp_path / "jobs.json")
    assert file.load() == []
    file.save([record])
    assert file.load() == [record]

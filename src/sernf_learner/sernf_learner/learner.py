"""The learner without ROS: takes requests, runs one training process at a time, and knows after a crash where it was.

Everything is on disk under `directory`: `jobs.json` (the queue and its history), `jobs/ID/` (a job, its state and its logs) and
`weights/` (checkpoints). A learner that was killed takes its running job up again when it comes back; its training process, which
sees that nobody listens any more, saves its state and ends by itself. `tick` is called often and never waits.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sernf_learner.job_process import EndKind, ProcessEnd, TrainingProcess
from sernf_learner.job_requests import (
    LABELS_TO_LEARN_FROM,
    check_dataset,
    choose_parent,
    named_parent,
    read_overrides,
    read_stage,
)
from sernf_learner.jobs import JobFile, JobQueue, JobRecord, JobState, number_of
from sernf_learner.learner_config import LearnerConfig
from sernf_learner.training_job import JobError, Stage, TrainingJob, Weights
from sernf_teleop.episode_files import EpisodeError, free_mb
from sernf_teleop.episodes import read_episode

LOCK_FILE = ".learner.lock"
JOBS_FILE = "jobs.json"
STATE_OF_END = {EndKind.DONE: JobState.DONE, EndKind.HALTED: JobState.HALTED, EndKind.FAILED: JobState.FAILED}


class LearnerError(RuntimeError):
    """The learner cannot work; the message says why and what to do."""


@dataclass(frozen=True)
class Request:
    """What somebody asks for, as in sernf_msgs/srv/Train."""

    stage: str
    dataset: str
    steps: int = 0
    overrides: str = ""


@dataclass
class News:
    """What happened in a tick: jobs whose state has changed, and weights that did not exist before."""

    jobs: list[JobRecord] = field(default_factory=list)
    weights: list[Weights] = field(default_factory=list)


class Learner:
    """All methods are called from one thread. Use between `open` and `close`, or as a context manager."""

    def __init__(self, config: LearnerConfig, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.problem = ""
        """what people should know about; empty when all is well"""
        self._config = config
        self._clock = clock
        self._directory = config.directory.expanduser().absolute()
        self._file = JobFile(self._directory / JOBS_FILE)
        self._queue = JobQueue(history=config.history)
        self._process: TrainingProcess | None = None
        self._not_before_s = 0.0
        self._lock: int | None = None
        self._news = News()
        self._has_told = False
        self._log = logging.getLogger(__name__)

    def open(self) -> None:
        """Take the directory and read what was going on in it. Raises LearnerError and OSError."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self._directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise LearnerError(
                f"{self._directory}: another learner works in this directory; stop it, or configure another one"
            ) from None
        try:
            self._queue = JobQueue(self._file.load(), history=self._config.history)
        except JobError as error:
            aside = self._file.path.with_suffix(".json.broken")
            self._file.path.replace(aside)
            self.problem = f"{error}; it is now {aside.name}, and the history begins anew"
            self._log.error(self.problem)
        running = self._queue.running
        if running is not None and running.cancelling:
            self._end(running, JobState.CANCELLED, "the learner was killed meanwhile")
        elif running is not None:
            self._log.info("%s was running and goes on from its last state", running.job.job_id)

    def close(self) -> None:
        """Let the training process save its state, and give the directory back; a running job goes on after the next `open`."""
        if self._has_told and self._queue.mark_announced():
            self._save()
        if self._process is not None:
            with self._process as process:
                process.stop()
                self._take(process.wait(self._config.process.stop_timeout_s))
            running = self._queue.running
            if process.end is not None and running is not None and (process.end.kind in STATE_OF_END or running.cancelling):
                self._finish(process.end)
            self._process = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Learner:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def running(self) -> JobRecord | None:
        """The job at work."""
        return self._queue.running

    @property
    def waiting(self) -> int:
        """How many jobs are queued."""
        return self._queue.waiting

    @property
    def pid(self) -> int | None:
        """Of the training process, if there is one."""
        return None if self._process is None else self._process.pid

    def jobs(self) -> list[JobRecord]:
        """Running first, then queued, then ended, newest first."""
        return self._queue.listed()

    def submit(self, request: Request, running_weights: Weights | None = None) -> tuple[JobRecord, str]:
        """Queue a job; returns it with a sentence on what it will learn from. `running_weights`: what the policy runs.

        Raises JobError when the request cannot be met, OSError when it cannot be written down; then nothing has changed.
        """
        stage = read_stage(request.stage)
        overrides = read_overrides(request.overrides)
        if self._queue.waiting >= self._config.longest_queue:
            raise JobError(f"expected at most {self._config.longest_queue} waiting jobs, they are there; cancel one or wait")
        if free_mb(self._directory) < self._config.start_free_mb:
            raise JobError(
                f"expected {self._config.start_free_mb:g} MB of free space in {self._directory}, "
                f"got {free_mb(self._directory):.0f} MB; free some"
            )
        dataset = Path(request.dataset).expanduser().absolute()
        summary = check_dataset(dataset, overrides)
        if "parent" in overrides:
            parent = origin = named_parent(str(overrides["parent"]), summary.task)
        else:
            weights = choose_parent(stage, dataset, self._queue.records(), running_weights)
            parent, origin = ("", "nothing") if weights is None else (weights.file, weights.version or weights.file)
        job_id = f"{self._next_number():04d}-{stage.value}"
        job = TrainingJob(
            folder=self._directory / "jobs" / job_id,
            job_id=job_id,
            stage=stage,
            dataset=dataset,
            out=self._directory / "weights",
            parent=parent,
            steps=request.steps,
            overrides={key: value for key, value in overrides.items() if key not in ("parent", "seed")},
            seed=_seed(overrides, self._config.seed),
        )
        job.write()
        record = self._queue.add(job)
        self._changed(record)
        return record, f"{summary.task}: {summary}; starts from {origin}"

    def cancel(self, job_id: str = "") -> JobRecord:
        """Cancel a queued job or, by default, the running one, which becomes `cancelled` when it has saved its state.

        Raises JobError.
        """
        record = self._queue.cancel(job_id)
        if record.cancelling and self._process is not None:
            self._process.stop()
        elif record.cancelling:
            return self._end(record, JobState.CANCELLED, "while its process was down")
        self._changed(record)
        return record

    def episode_finished(self, path: Path) -> bool:
        """An episode has been labelled: online jobs learn of it if a policy acted in it. Returns whether one did.

        An episode that is discarded is only of interest to those who know it.
        """
        online = [record for record in self._queue.records() if record.job.stage is Stage.ONLINE_RL and not record.has_ended]
        if not online:
            return False
        try:
            episode = read_episode(path)
        except EpisodeError as error:
            self._log.warning("%s: not taken in: %s", path, error)
            return False
        interested = [record for record in online if episode.label in LABELS_TO_LEARN_FROM or str(path) in record.episodes]
        if episode.source != "policy" or not interested:
            return False
        for record in interested:
            self._queue.add_episode(record.job.job_id, str(path))
            if record.state is JobState.RUNNING and self._process is not None:
                self._process.tell({"episode": str(path)})
        self._save()
        return True

    def tick(self) -> News:
        """Listen to the training process, and start what is to be started. Returns what has happened since the last tick.

        Weights that one tick returned count as announced in the next one: a learner that dies in between tells of them again.
        """
        if self._has_told and self._queue.mark_announced():
            self._save()
        if self._process is not None:
            self._take(self._process.poll())
            if self._process.end is not None:
                self._finish(self._process.end)
        if self._process is None and self._clock() >= self._not_before_s:
            self._start()
        news, self._news = self._news, News()
        news.weights = self._queue.unannounced()
        self._has_told = True
        return news

    def _next_number(self) -> int:
        """Jobs that the history has forgotten still have their folders."""
        folders = (self._directory / "jobs").glob("[0-9]*-*")
        return max(self._queue.next_number(), *(number_of(folder.name) + 1 for folder in folders), 1)

    def _start(self) -> None:
        record = self._queue.running or self._queue.start_next()
        if record is None:
            return
        process = TrainingProcess(record.job.folder, self._config.process)
        self._changed(record)
        try:
            process.start()
        except OSError as error:
            self._end(record, JobState.FAILED, f"training could not be started: {error}")
            return
        for episode in record.episodes:
            process.tell({"episode": episode})
        self._process = process

    def _take(self, events: list[dict[str, Any]]) -> None:
        record = self._queue.running
        if record is None:
            return
        for event in events:
            try:
                if event["event"] == "progress":
                    self._queue.progress(record.job.job_id, **_progress(event))
                elif self._queue.add_weights(record.job.job_id, Weights.from_mapping(event)):
                    self._save()
            except (JobError, TypeError, ValueError) as error:
                self._log.warning("%s says what cannot be understood: %s", record.job.job_id, error)

    def _finish(self, end: ProcessEnd) -> None:
        self._process = None
        record = self._queue.running
        if record is None:
            return
        state = STATE_OF_END.get(end.kind)
        why = end.message or "training was stopped by somebody else"
        if state is None and record.cancelling:
            self._end(record, JobState.CANCELLED, "what it has made until then is kept")
        elif state is not None:
            self._end(record, state, end.message)
        elif self._queue.may_restart(record.job.job_id, self._config.restarts, f"{why}; going on from its last state"):
            self._not_before_s = self._clock() + self._config.restart_delay_s
            self._log.warning("%s: %s; starting it again", record.job.job_id, why)
            self._save()
        else:
            self._end(record, JobState.FAILED, f"{why}; given up after {self._config.restarts} more attempts")

    def _end(self, record: JobRecord, state: JobState, message: str) -> JobRecord:
        ended = self._queue.end(record.job.job_id, state, message)
        if state in (JobState.FAILED, JobState.HALTED):
            self.problem = f"{record.job.job_id} {state.value}: {message}"
        elif state is JobState.DONE:
            self.problem = ""
        self._changed(ended)
        return ended

    def _changed(self, record: JobRecord) -> None:
        self._news.jobs.append(record)
        self._save()

    def _save(self) -> None:
        """A full disk must not end the learner: what is not written now is written with the next change."""
        try:
            self._file.save(self._queue.records())
        except OSError as error:
            self.problem = f"{self._file.path} cannot be written: {error.strerror}; free some space"
            self._log.error(self.problem)


def _progress(event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "step": max(0, int(event.get("step", 0))),
        "total_steps": max(0, int(event.get("total", 0))),
        "eta_s": float(event.get("eta_s", -1.0)),
        "metrics": {str(name): float(value) for name, value in dict(event.get("metrics") or {}).items()},
        "message": str(event.get("message", "")),
    }


def _seed(overrides: Mapping[str, Any], default: int) -> int:
    seed = overrides.get("seed", default)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise JobError(f"seed: expected a whole number of 0 or more, got {seed!r}")
    return seed

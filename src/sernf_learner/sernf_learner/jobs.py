"""The queue of training jobs: one runs at a time, the others wait in the order they came, and what has ended stays as history.

Pure bookkeeping: it starts nothing. `JobFile` keeps it on disk, so that a learner that was killed knows what it was doing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any

from sernf_learner.training_job import JobError, TrainingJob, Weights
from sernf_teleop.episode_files import write_durably


class JobState(str, Enum):
    """`HALTED`: training stopped itself because its metrics broke their bounds; the last good weights are kept."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    HALTED = "halted"


ENDED = (JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.HALTED)


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """One job and how it stands.

    `eta_s`: negative while unknown. `cancelling`: it was asked to stop and has not yet. `restarts`: in a row without a step
    forward from `restarted_at_step`. `weights`: what it has made, oldest first; `announced`: how many of them others have been
    told of. `episodes`: what an online job has been told of.
    """

    job: TrainingJob
    state: JobState = JobState.QUEUED
    step: int = 0
    total_steps: int = 0
    eta_s: float = -1.0
    metrics: Mapping[str, float] = field(default_factory=dict)
    message: str = ""
    cancelling: bool = False
    restarts: int = 0
    restarted_at_step: int = 0
    weights: tuple[Weights, ...] = ()
    announced: int = 0
    episodes: tuple[str, ...] = ()

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ENDED


class JobQueue:
    """Jobs by id. All methods raise JobError for an id that is not known, or a job that has ended."""

    def __init__(self, records: Iterable[JobRecord] = (), *, history: int = 200) -> None:
        """`records`: oldest first, as `records()` gave them. `history`: how many ended jobs are remembered."""
        self._records = {record.job.job_id: record for record in records}
        self._history = history

    def records(self) -> list[JobRecord]:
        """All jobs in the order they came."""
        return list(self._records.values())

    def listed(self) -> list[JobRecord]:
        """For people: the running job, then the queue, then what has ended, newest first."""
        records = self.records()
        queued = [record for record in records if record.state is JobState.QUEUED]
        ended = [record for record in reversed(records) if record.has_ended]
        return [*([self.running] if self.running else []), *queued, *ended]

    def get(self, job_id: str) -> JobRecord:
        """The job of this id."""
        if job_id not in self._records:
            known = ", ".join(self._records) or "none"
            raise JobError(f"job_id: expected a job of this learner, got '{job_id}'; known: {known}")
        return self._records[job_id]

    @property
    def running(self) -> JobRecord | None:
        """The job at work."""
        return next((record for record in self._records.values() if record.state is JobState.RUNNING), None)

    @property
    def waiting(self) -> int:
        """How many are queued."""
        return sum(record.state is JobState.QUEUED for record in self._records.values())

    def next_number(self) -> int:
        """A number that no job's id begins with."""
        return max((number_of(job_id) for job_id in self._records), default=0) + 1

    def add(self, job: TrainingJob) -> JobRecord:
        """Append to the queue."""
        if job.job_id in self._records:
            raise JobError(f"job_id: expected a new one, got '{job.job_id}', which exists")
        return self._put(JobRecord(job=job))

    def start_next(self) -> JobRecord | None:
        """Make the oldest queued job the running one; None when one is running or none waits."""
        if self.running is not None:
            return None
        queued = next((record for record in self._records.values() if record.state is JobState.QUEUED), None)
        return None if queued is None else self._put(replace(queued, state=JobState.RUNNING, message="starting"))

    def progress(
        self, job_id: str, *, step: int, total_steps: int, eta_s: float, metrics: Mapping[str, float], message: str
    ) -> JobRecord:
        """The running job tells how far it is."""
        record = self._alive(job_id)
        return self._put(replace(record, step=step, total_steps=total_steps, eta_s=eta_s, metrics=dict(metrics), message=message))

    def add_weights(self, job_id: str, weights: Weights) -> bool:
        """Remember weights; False when they were known, because a resumed job tells of them again."""
        record = self._alive(job_id)
        if any(known.sha256 == weights.sha256 and known.file == weights.file for known in record.weights):
            return False
        self._put(replace(record, weights=(*record.weights, weights)))
        return True

    def unannounced(self) -> list[Weights]:
        """Weights that nobody has been told of, the oldest first."""
        return [weights for record in self._records.values() for weights in record.weights[record.announced :]]

    def mark_announced(self) -> bool:
        """Everybody has been told of all weights; False when that was so before."""
        behind = [record for record in self._records.values() if record.announced < len(record.weights)]
        for record in behind:
            self._put(replace(record, announced=len(record.weights)))
        return bool(behind)

    def add_episode(self, job_id: str, path: str) -> JobRecord:
        """An online job is told of a finished episode, once more when its label has changed."""
        record = self._alive(job_id)
        return self._put(replace(record, episodes=(*(known for known in record.episodes if known != path), path)))

    def cancel(self, job_id: str = "") -> JobRecord:
        """Cancel a queued job, or ask the running one (the default) to stop; it is cancelled when it `end`s."""
        running = self.running
        if not job_id and running is None:
            raise JobError("no job is running; name the queued job that is to be cancelled")
        record = running if not job_id and running is not None else self._alive(job_id)
        if record.state is JobState.QUEUED:
            return self.end(record.job.job_id, JobState.CANCELLED, "while it waited")
        return self._put(replace(record, cancelling=True, message="stopping"))

    def may_restart(self, job_id: str, most: int, why: str) -> bool:
        """The running job's process has died: whether to start it again, at most `most` times in a row without a step forward."""
        record = self._alive(job_id)
        restarts = 0 if record.step > record.restarted_at_step else record.restarts
        if record.cancelling or restarts >= most:
            return False
        self._put(replace(record, restarts=restarts + 1, restarted_at_step=record.step, message=why))
        return True

    def end(self, job_id: str, state: JobState, message: str) -> JobRecord:
        """The job has ended."""
        if state not in ENDED:
            raise JobError(f"state: expected one of {', '.join(ENDED)}, got {state.value}")
        record = self._put(replace(self._alive(job_id), state=state, message=message, cancelling=False, eta_s=-1.0))
        ended = [known.job.job_id for known in self._records.values() if known.has_ended]
        for old in ended[: max(0, len(ended) - self._history)]:
            del self._records[old]
        return record

    def _alive(self, job_id: str) -> JobRecord:
        record = self.get(job_id)
        if record.has_ended:
            raise JobError(f"job_id: expected a queued or running job, got '{job_id}', which is {record.state.value}")
        return record

    def _put(self, record: JobRecord) -> JobRecord:
        self._records[record.job.job_id] = record
        return record


def number_of(job_id: str) -> int:
    """The number that a job's id begins with; 0 when it has none."""
    number = job_id.partition("-")[0]
    return int(number) if number.isdecimal() else 0


@dataclass(frozen=True)
class JobFile:
    """Jobs as a JSON file; a write is durable on return, and after a crash the file is either the old or the new one."""

    path: Path

    def save(self, records: Iterable[JobRecord]) -> None:
        """Raises OSError."""
        write_durably(self.path, json.dumps({"jobs": [_to_mapping(record) for record in records]}, indent=1))

    def load(self) -> list[JobRecord]:
        """Empty when there is no file. Raises JobError for one that cannot be read."""
        try:
            content = json.loads(self.path.read_text(encoding="utf8"))
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise JobError(f"{self.path}: expected the learner's jobs as JSON, got: {error}") from error
        try:
            return [_from_mapping(record) for record in content["jobs"]]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise JobError(f"{self.path}: expected the learner's jobs, got an error: {error}") from error


def _to_mapping(record: JobRecord) -> dict[str, Any]:
    values = {item.name: getattr(record, item.name) for item in fields(record)}
    return {
        **values,
        "job": {**record.job.to_mapping(), "folder": str(record.job.folder)},
        "state": record.state.value,
        "metrics": dict(record.metrics),
        "weights": [asdict(weights) for weights in record.weights],
    }


def _from_mapping(content: Mapping[str, Any]) -> JobRecord:
    return JobRecord(
        **{
            **content,
            "job": TrainingJob.from_mapping(content["job"], Path(content["job"]["folder"])),
            "state": JobState(content["state"]),
            "weights": tuple(Weights(**weights) for weights in content["weights"]),
            "episodes": tuple(content["episodes"]),
        }
    )

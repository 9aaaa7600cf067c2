"""One training job as data: what to train, on which episodes, from which weights. It travels to the training process as a file.

Needs neither torch nor ROS, so that whoever only manages jobs stays small.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from sernf_teleop.episode_files import write_durably

JOB_FILE = "job.json"
LONGEST_STEPS = 100_000_000
KEYS = ("job_id", "stage", "dataset", "out", "parent", "steps", "overrides", "seed")


class Stage(str, Enum):
    """The stages of learning, in the order in which a task goes through them."""

    IMITATION = "imitation"
    CRITIC_WARMUP = "critic_warmup"
    OFFLINE_RL = "offline_rl"
    ONLINE_RL = "online_rl"


PARENT_STAGES: Mapping[Stage, tuple[Stage, ...]] = {
    Stage.IMITATION: (),
    Stage.CRITIC_WARMUP: (Stage.IMITATION,),
    Stage.OFFLINE_RL: (Stage.CRITIC_WARMUP,),
    Stage.ONLINE_RL: (Stage.OFFLINE_RL, Stage.ONLINE_RL),
}
"""Whose weights a stage may start from without being told to; imitation starts from nothing."""


class JobError(ValueError):
    """A job that cannot be; the message says what was expected."""


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """`folder`: the job's own, JOBDIR, for its state. `dataset`: folder of episodes. `out`: folder for checkpoints.

    `parent`: checkpoint to start from, empty for none. `steps`: gradient steps, 0 for the stage's default. `overrides`:
    configuration keys of the stage. Paths are absolute.
    """

    folder: Path
    job_id: str
    stage: Stage
    dataset: Path
    out: Path
    parent: str = ""
    steps: int = 0
    overrides: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.job_id or "/" in self.job_id:
            raise JobError(f"job_id: expected a name without '/', got {self.job_id!r}")
        if not 0 <= self.steps <= LONGEST_STEPS:
            raise JobError(f"steps: expected 0 (the stage's default) to {LONGEST_STEPS}, got {self.steps}")
        if self.seed < 0:
            raise JobError(f"seed: expected 0 or more, got {self.seed}")
        try:
            json.dumps(dict(self.overrides))
        except TypeError as error:
            raise JobError(
                f"overrides: expected numbers, texts, lists and mappings, got {dict(self.overrides)}: {error}"
            ) from error

    def to_mapping(self) -> dict[str, Any]:
        """As in job.json, which does not name the folder that it lies in."""
        values = {key: getattr(self, key) for key in KEYS}
        return {**values, "stage": self.stage.value, "dataset": str(self.dataset), "out": str(self.out)}

    @staticmethod
    def from_mapping(content: Mapping[str, Any], folder: Path) -> TrainingJob:
        """The job of the content of FOLDER/job.json; raises JobError."""
        try:
            values = {key: content[key] for key in KEYS}
            paths = {"dataset": Path(values["dataset"]), "out": Path(values["out"]), "folder": folder}
            return TrainingJob(**{**values, **paths, "stage": Stage(values["stage"])})
        except (KeyError, TypeError, ValueError) as error:
            raise JobError(f"expected the keys {', '.join(KEYS)} of a job, got an error: {error}") from error

    def write(self) -> None:
        """Write FOLDER/job.json, durable on return. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_durably(self.folder / JOB_FILE, json.dumps(self.to_mapping(), indent=1))

    @staticmethod
    def read(folder: Path) -> TrainingJob:
        """The job in FOLDER/job.json; raises JobError."""
        file = folder / JOB_FILE
        try:
            content = json.loads(file.read_text(encoding="utf8"))
        except (OSError, ValueError) as error:
            raise JobError(f"{file}: expected a job as JSON, got: {error}") from error
        if not isinstance(content, dict):
            raise JobError(f"{file}: expected a JSON object, got {type(content).__name__}")
        return TrainingJob.from_mapping(content, folder.absolute())


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Weights that are durable on disk. `file`: absolute. `parent_sha256`: empty for the first."""

    file: str
    sha256: str
    version: str
    stage: str
    parent_sha256: str = ""

    @staticmethod
    def from_mapping(content: Mapping[str, Any]) -> Weights:
        """From a training process's event; raises JobError."""
        values = {key: content.get(key, "") for key in ("file", "sha256", "version", "stage", "parent_sha256")}
        if not all(isinstance(value, str) for value in values.values()) or not values["file"] or not values["sha256"]:
            raise JobError(f"weights: expected file, sha256, version, stage and parent_sha256 as text, got {dict(content)}")
        return Weights(**values)

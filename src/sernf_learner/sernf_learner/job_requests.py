"""What may be asked of the learner, checked before a job is made of it: errors tell everything that is wrong at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sernf_learner.jobs import JobRecord
from sernf_learner.task_settings import goes_on
from sernf_learner.training_job import PARENT_STAGES, JobError, Stage, Weights
from sernf_policy.shipped_weights import ShippedWeightsError, weights_path
from sernf_teleop.episodes import EpisodeInfo, read_dataset

LABELS_TO_LEARN_FROM = ("success", "failure")
NEEDED_TOPICS = ("joint_states", "bridge_state")
MOST_TOLD = 5


@dataclass(frozen=True, kw_only=True)
class DataSetSummary:
    """Episodes of a folder that can be learnt from, and why the others cannot. `task`: of all of them."""

    task: str
    successes: int
    failures: int
    unusable: tuple[str, ...]

    def __str__(self) -> str:
        text = f"{self.successes} successes, {self.failures} failures"
        return f"{text}; not usable: {_shortened(self.unusable)}" if self.unusable else text


def read_stage(text: str) -> Stage:
    """The stage of this name; raises JobError."""
    try:
        return Stage(text)
    except ValueError:
        raise JobError(f"stage: expected one of {', '.join(stage.value for stage in Stage)}, got '{text}'") from None


def read_overrides(text: str) -> dict[str, Any]:
    """A YAML mapping of configuration keys to values, empty for an empty text; raises JobError."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise JobError(f"overrides: expected a YAML mapping such as '{{batch: 128}}', got '{text}': {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise JobError(f"overrides: expected a YAML mapping of names to values such as '{{batch: 128}}', got '{text}'")
    return content


def read_settings(settings: Iterable[str]) -> dict[str, Any]:
    """Overrides from a command line's KEY=VALUE words, values as YAML; raises JobError."""
    overrides = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not key or not equals:
            raise JobError(f"expected KEY=VALUE, got '{setting}'")
        try:
            overrides[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise JobError(f"{key}: expected a value in YAML, got '{value}': {error}") from error
    return overrides


def check_dataset(folder: Path, overrides: Mapping[str, Any] | None = None) -> DataSetSummary:
    """What there is to learn from in `folder`; raises JobError when nothing is, or when its episodes do not go together.

    Without a success there is nothing, except where every step is paid for, as the task's settings or `overrides` say.
    """
    if not folder.is_dir():
        raise JobError(f"dataset: expected a folder of episodes, got {folder}, which does not exist on the learner's machine")
    dataset = read_dataset(folder)
    wrong = {episode.episode_id: _unfit(episode) for episode in dataset.episodes}
    usable = [episode for episode in dataset.episodes if not wrong[episode.episode_id]]
    unusable = [f"{name} ({reason})" for name, reason in wrong.items() if reason]
    unusable += [f"{broken.path.name} (broken: {broken.reason})" for broken in dataset.broken]
    told = f"; not usable: {_shortened(unusable)}" if unusable else ""
    if not usable:
        raise JobError(f"dataset: expected labelled episodes in {folder}, found none that can be used{told}")
    tasks = Counter(episode.task for episode in usable)
    if len(tasks) > 1:
        counted = ", ".join(f"{count} of {task}" for task, count in tasks.items())
        raise JobError(f"dataset: expected episodes of one task in {folder}, got {counted}; give each task its own folder")
    successes = sum(episode.label == "success" for episode in usable)
    task = usable[0].task
    if not successes and not goes_on(task, overrides or {}):
        raise JobError(
            f"dataset: expected at least one success in {folder}, got {len(usable)} failures{told}; "
            "nothing can be learnt from failures alone: demonstrate the task"
        )
    return DataSetSummary(task=task, successes=successes, failures=len(usable) - successes, unusable=tuple(unusable))


def choose_parent(stage: Stage, dataset: Path, records: Iterable[JobRecord], running: Weights | None) -> Weights | None:
    """The weights that a stage starts from when nobody names them; None for imitation.

    The newest weights of the stages before it (PARENT_STAGES) that a job on the same data set has made; failing that, the weights
    that the policy runs, if they are of such a stage. Raises JobError when there are neither. `records`: oldest first.
    """
    allowed = [parent.value for parent in PARENT_STAGES[stage]]
    if not allowed:
        return None
    made = [weights for record in records if record.job.dataset == dataset for weights in record.weights]
    candidates = [weights for weights in [*([running] if running else []), *made] if weights.stage in allowed]
    present = [weights for weights in candidates if Path(weights.file).is_file()]
    if present:
        return present[-1]
    policy = "runs none" if running is None else f"runs {running.version or 'weights'} of stage {running.stage or 'unknown'}"
    gone = f" (their files are gone: {', '.join(weights.file for weights in candidates)})" if candidates else ""
    raise JobError(
        f"{stage.value}: expected weights of stage {' or '.join(allowed)} to start from; no job on {dataset} has made any{gone}, "
        f"and the policy {policy}. Train {allowed[0]} on this data set first, or name a file with the override 'parent'"
    )


def named_parent(wanted: str, task: str) -> str:
    """The weights file, absolute, that a path or the name of a shipped stage of `task` means. Raises JobError."""
    try:
        return str(weights_path(wanted, task))
    except ShippedWeightsError as error:
        raise JobError(f"parent: {error}") from error


def _unfit(episode: EpisodeInfo) -> str:
    """Why an episode cannot be learnt from; empty if it can."""
    if episode.label == "":
        return "not labelled"
    if episode.label not in LABELS_TO_LEARN_FROM:
        return f"labelled {episode.label}"
    if episode.dropped_control_messages:
        return f"{episode.dropped_control_messages} control messages lost"
    missing = []
    for name in NEEDED_TOPICS:
        topic = episode.topic(name)
        if topic is None or topic.messages == 0:
            missing.append(name)
    return f"without {', '.join(missing)}" if missing else ""


def _shortened(items: Iterable[str]) -> str:
    items = list(items)
    more = f" and {len(items) - MOST_TOLD} more" if len(items) > MOST_TOLD else ""
    return ", ".join(items[:MOST_TOLD]) + more

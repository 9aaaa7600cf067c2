"""Does one training job: reads the data set, runs the stage, leaves weights, curves and a state from which it can go on.

In the job's folder: `state.safetensors` (resume), `metrics.jsonl` and `curves.png` (every figure that was logged, explained in
docs/learning.md), `tensorboard/`. In its folder `out`: the weights. Of several data-parallel processes the first one writes.

The state is saved whenever something happens that cannot be repeated, that is before weights are told of and when an episode has
come in. So a job that was killed makes the same weights as one that was not.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from sernf_learner.bag_reader import Reading
from sernf_learner.curves import draw_curves
from sernf_learner.data_set import check_usable, read_dataset
from sernf_learner.episode import Episode
from sernf_learner.episode_cache import CACHE_FOLDER, EpisodeCache
from sernf_learner.guard import TrainingHalted
from sernf_learner.learner_state import read_about, read_state, write_state
from sernf_learner.learning_config import LearningConfig, task_config
from sernf_learner.losses import Metrics
from sernf_learner.metrics_log import MetricsLog
from sernf_learner.processes import agreed, chosen_device, joined, process_number
from sernf_learner.session import TrainingSession
from sernf_learner.training_job import Stage, TrainingJob
from sernf_policy.checkpoint import load_checkpoint
from sernf_policy.layout import LayoutError
from sernf_teleop.episode_files import EpisodeError
from sernf_teleop.episodes import list_episodes, read_episode

REPORT_PERIOD_S = 1.0
WAIT_FOR_EPISODES_S = 0.2
MEAN_RATE = 0.02
"""of the running means that a checkpoint carries as its metrics"""
STATE, CURVES = "state.safetensors", "curves.png"
ABOUT = "job"
"""key of the state's header"""

Report = Callable[[Mapping[str, Any]], None]


def run_job(job: TrainingJob, report: Report, should_stop: Callable[[], bool], new_episodes: Callable[[], list[Path]]) -> None:
    """See train_job for the four parts. Raises what is wrong with data, weights or settings."""
    config = task_config(_task(job), job.overrides)
    torch.set_num_threads(config.threads)
    with joined(chosen_device(config.device)):
        training = _Training(job, config, report, should_stop, new_episodes)
        try:
            training.run()
        except TrainingHalted as halt:
            training.publish(halted=True)
            training.close()
            report({"event": "halted", "message": f"{halt}; the last good weights were kept"})
        else:
            training.close()


class _Training:
    """One job under way."""

    def __init__(
        self, job: TrainingJob, config: LearningConfig, report: Report,
        should_stop: Callable[[], bool], new_episodes: Callable[[], list[Path]],
    ) -> None:  # fmt: skip
        self._job, self._config, self._report = job, config, report
        self._should_stop, self._new_episodes = should_stop, new_episodes
        self._number = process_number()
        parent = load_checkpoint(Path(job.parent)) if job.parent else None
        self._layout = parent.info.layout if parent is not None else config.layout(_task(job))
        self._reading = Reading(
            step_period_s=self._layout.step_period_s,
            joint_names=self._layout.joint_names,
            objects=self._layout.objects,
            cameras=self._layout.cameras,
        )
        state = job.folder / STATE
        before: dict[str, Any] = json.loads(read_about(state)[ABOUT]) if state.is_file() else {}
        dataset = read_dataset(
            job.dataset, reading=self._reading, task=self._layout.task, only=before.get("dataset"), on_progress=self._reading_bag
        )
        self._dataset = [info.episode_id for info in dataset.episodes.infos]
        self._data_sha256 = dataset.data_sha256
        self._session = TrainingSession(
            job.stage, self._layout, list(dataset.episodes), config, parent, job.seed, job.steps, self._number
        )
        self._paths: dict[str, Path] = {}
        """rollouts that were taken in, by id"""
        self._earned: dict[str, int] = {}
        """gradient steps that each of them is worth"""
        self._means: Metrics = {}
        self._published_step = -1
        if before:
            self._resume(state, before)
        self._started_s, self._first_step, self._told_s = time.monotonic(), self._session.step, 0.0
        self._log = None if self._number else MetricsLog(job.folder, self._session.step)

    def run(self) -> None:
        """All steps, or until told to stop; then the state is saved."""
        online = self._job.stage is Stage.ONLINE_RL
        session, config = self._session, self._config
        each = config.online_steps_per_episode
        if online and session.step and session.step % each == 0:
            self.publish()  # killed after these weights were saved, perhaps before they were told of
        while session.step < session.total_steps and not agreed(self._should_stop()):
            if online and not self._may_train():
                time.sleep(WAIT_FOR_EPISODES_S)
                continue
            self._note(session.advance())
            if online and session.step % each == 0:
                self.publish()
            elif session.step % config.save_every == 0:
                self._save_state()
        if session.step >= session.total_steps:
            self.publish()
        else:
            self._save_state()

    def publish(self, *, halted: bool = False) -> None:
        """Make the present weights durable and tell of them, once for each step. After a halt: the last good ones."""
        if self._number or self._published_step == self._session.step:
            return
        if not halted:
            self._save_state()
        self._published_step = self._session.step
        path = self._job.out / f"{self._job.job_id}-{self._session.step:06d}.safetensors"
        info = self._session.save(path, data_sha256=self._data_sha256, metrics=self._means, halted=halted)
        self._report({
            "event": "checkpoint", "file": str(path), "sha256": info.sha256, "version": info.version, "stage": info.stage,
            "parent_sha256": info.parent_sha256,
        })  # fmt: skip

    def close(self) -> None:
        """Draw the curves and let go of files."""
        if self._log is not None:
            self._log.flush(self._session.step)
            self._log.close()
            draw_curves(self._log.file, self._job.folder / CURVES, title=f"{self._job.stage.value}, {self._job.job_id}")

    def _may_train(self) -> bool:
        """Take in what has been recorded; whether updates are due: so many for each rollout."""
        for path in agreed(self._new_episodes()):
            self._take_in(path)
        if self._session.step < sum(self._earned.values()):
            return True
        if time.monotonic() - self._told_s >= REPORT_PERIOD_S:
            self._tell(f"waiting for rollouts: {len(self._paths)} taken in, weights are up to date")
        return False

    def _take_in(self, path: Path) -> None:
        """A new episode, or one whose label has changed. Those of the data set count no updates."""
        try:
            episode = self._add(path)
        except (EpisodeError, LayoutError) as error:
            self._session.data.remove(path.name)
            self._tell(f"{path.name} is left out: {error}")
        else:
            if path.name not in self._dataset:
                self._paths[path.name] = path
                self._earned[path.name] = self._config.online_steps_for(episode.seconds)
        self._save_state()

    def _add(self, path: Path) -> Episode:
        info = read_episode(path)
        check_usable(info, self._layout.task)
        episode = EpisodeCache(path.parent / CACHE_FOLDER).read(info, self._reading)
        self._session.data.add(episode, replace=True)
        return episode

    def _note(self, metrics: Metrics) -> None:
        for name, value in metrics.items():
            if math.isfinite(value):
                self._means[name] = self._means.get(name, value) + MEAN_RATE * (value - self._means.get(name, value))
        if self._log is not None:
            self._log.add(metrics)
        if time.monotonic() - self._told_s >= REPORT_PERIOD_S or self._session.step == self._session.total_steps:
            if self._log is not None:
                self._log.flush(self._session.step)
            self._tell("")

    def _tell(self, message: str) -> None:
        now_s, session = time.monotonic(), self._session
        self._told_s = now_s
        done = session.step - self._first_step
        eta_s = (session.total_steps - session.step) * (now_s - self._started_s) / done if done else -1.0
        self._report({
            "event": "progress", "step": session.step, "total": session.total_steps, "eta_s": eta_s,
            "metrics": self._log.latest if self._log is not None else {}, "message": message,
        })  # fmt: skip

    def _reading_bag(self, done: int, total: int, episode_id: str) -> None:
        message = f"reading {episode_id} ({done + 1} of {total})"
        self._report({"event": "progress", "step": 0, "total": 0, "eta_s": -1.0, "metrics": {}, "message": message})

    def _save_state(self) -> None:
        if self._number:
            return
        about = {
            "data_sha256": self._data_sha256, "dataset": self._dataset, "means": self._means,
            "episodes": [str(path) for path in self._paths.values()], "earned": self._earned,
        }  # fmt: skip
        self._job.folder.mkdir(parents=True, exist_ok=True)
        write_state(self._job.folder / STATE, self._session.tensors(), {ABOUT: json.dumps(about)})

    def _resume(self, state: Path, before: Mapping[str, Any]) -> None:
        if before["data_sha256"] != self._data_sha256:
            raise ValueError(
                f"{self._job.dataset}: expected the episodes and labels with which this job began, got others; "
                "start a new job (another --out)"
            )
        self._means = dict(before["means"])
        self._earned = dict(before.get("earned", {}))  # a job that an earlier version began has none
        for path in map(Path, before["episodes"]):
            self._paths[path.name] = path
            try:
                self._earned.setdefault(path.name, self._config.online_steps_for(self._add(path).seconds))
            except (EpisodeError, LayoutError) as error:
                self._report({
                    "event": "progress", "step": 0, "total": 0, "eta_s": -1.0, "metrics": {},
                    "message": f"{path.name} is left out: {error}",
                })  # fmt: skip
        self._session.restore(read_state(state))


def _task(job: TrainingJob) -> str:
    """That of the weights to start from, or of all episodes of the data set; raises LayoutError when these have several."""
    if job.parent:
        return load_checkpoint(Path(job.parent)).info.layout.task
    tasks = {info.task for info in list_episodes(job.dataset)}
    if len(tasks) != 1:
        raise LayoutError(f"{job.dataset}: expected episodes of one task, got {', '.join(sorted(tasks)) or 'none'}")
    return tasks.pop()

"""Does one training job: reads the data set, runs the stage, leaves weights, curves and a state from which it can go on.

In the job's folder: `state.safetensors` and `state.json` (resume), `metrics.jsonl` and `curves.png` (every figure that was logged,
explained in docs/learning.md), `tensorboard/`. In its folder `out`: the weights.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sernf_learner.bag_reader import Reading
from sernf_learner.curves import draw_curves
from sernf_learner.data_set import read_dataset
from sernf_learner.episode import Episode
from sernf_learner.episode_cache import CACHE_FOLDER, EpisodeCache
from sernf_learner.guard import TrainingHalted
from sernf_learner.learner_state import read_state, write_state
from sernf_learner.learning_config import LearningConfig, learning_config
from sernf_learner.losses import Metrics
from sernf_learner.session import TrainingSession
from sernf_learner.training_job import Stage, TrainingJob
from sernf_policy.checkpoint import Checkpoint, load_checkpoint
from sernf_policy.layout import DUCK_OBSERVATION, LayoutError, PolicyLayout
from sernf_teleop.episode_files import EpisodeError, write_durably
from sernf_teleop.episodes import read_episode

REPORT_PERIOD_S = 1.0
WAIT_FOR_EPISODES_S = 0.2
OBSERVATIONS = {"duck": DUCK_OBSERVATION}
STATE, STATE_INFO, METRICS, CURVES = "state.safetensors", "state.json", "metrics.jsonl", "curves.png"

Report = Callable[[Mapping[str, Any]], None]


def run_job(job: TrainingJob, report: Report, should_stop: Callable[[], bool], new_episodes: Callable[[], list[Path]]) -> None:
    """See train_job for the four parts. Raises what is wrong with data, weights or settings."""
    config = learning_config(job.overrides)
    torch.set_num_threads(config.threads)
    _join_processes()
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
        parent = load_checkpoint(Path(job.parent)) if job.parent else None
        self._layout = _layout(parent, config, job.dataset)
        self._reading = Reading(
            step_period_s=self._layout.step_period_s, joint_names=self._layout.joint_names, objects=self._layout.objects
        )
        dataset = read_dataset(job.dataset, reading=self._reading, task=self._layout.task, on_progress=self._reading_bag)
        self._data_sha256 = dataset.data_sha256
        self._rank = int(os.environ.get("RANK", "0"))
        self._session = TrainingSession(
            job.stage, self._layout, list(dataset.episodes), config, parent, job.seed, job.steps, self._rank
        )
        self._taken: list[str] = []
        self._published_step = -1
        self._started, self._first_step, self._told = time.monotonic(), 0, 0.0
        self._sums: dict[str, list[float]] = {}
        self._resume()
        self._metrics = (job.folder / METRICS).open("a", encoding="utf8") if self._rank == 0 else None
        self._board = _board(job.folder) if self._rank == 0 else None

    def run(self) -> None:
        """All steps, or until told to stop; then the state is saved."""
        online = self._job.stage is Stage.ONLINE_RL
        session, config = self._session, self._config
        while session.step < session.total_steps and not self._should_stop():
            if online and not self._may_train():
                time.sleep(WAIT_FOR_EPISODES_S)
                continue
            self._note(session.advance())
            if session.step % config.save_every == 0:
                self._save_state()
            if online and session.step % config.online_steps_per_episode == 0:
                self.publish()
        self._save_state()
        if session.step >= session.total_steps:
            self.publish()

    def publish(self, *, halted: bool = False) -> None:
        """Make the present weights durable and tell of them, once for each step."""
        if self._rank or self._published_step == self._session.step:
            return
        self._published_step = self._session.step
        path = self._job.out / f"{self._job.job_id}-{self._session.step:06d}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        means = {name: float(np.mean(values)) for name, values in self._sums.items() if values}
        finite = {name: value for name, value in means.items() if np.isfinite(value)}
        info = self._session.save(path, data_sha256=self._data_sha256, metrics=finite, halted=halted)
        self._report({
            "event": "checkpoint", "file": str(path), "sha256": info.sha256, "version": info.version, "stage": info.stage,
            "parent_sha256": info.parent_sha256,
        })  # fmt: skip

    def close(self) -> None:
        """Draw the curves and let go of files."""
        if self._metrics is not None:
            self._flush()
            self._metrics.close()
            draw_curves(
                self._job.folder / METRICS, self._job.folder / CURVES, title=f"{self._job.stage.value}, {self._job.job_id}"
            )
        if self._board is not None:
            self._board.close()

    def _may_train(self) -> bool:
        """Take in what has been recorded; whether updates are due: so many for each rollout."""
        for path in self._new_episodes():
            self._take_in(path)
        due = len(self._taken) * self._config.online_steps_per_episode
        if self._session.step < due:
            return True
        self._tell(f"waiting for rollouts: {len(self._taken)} taken in, weights are up to date")
        return False

    def _take_in(self, path: Path) -> None:
        if path.name in self._taken:
            return
        try:
            episode = EpisodeCache(path.parent / CACHE_FOLDER).read(read_episode(path), self._reading)
            self._session.data.add(episode)
        except (EpisodeError, LayoutError) as error:
            self._tell(f"{path.name} is left out: {error}")
            return
        self._taken.append(path.name)
        self._save_state(path)

    def _note(self, metrics: Metrics) -> None:
        for name, value in metrics.items():
            self._sums.setdefault(name, []).append(value)
        if time.monotonic() - self._told >= REPORT_PERIOD_S or self._session.step == self._session.total_steps:
            self._flush()
            self._tell("")

    def _flush(self) -> None:
        means = {name: float(np.mean(values)) for name, values in self._sums.items() if values}
        if not means or self._metrics is None:
            return
        self._metrics.write(json.dumps({"step": self._session.step, **means}) + "\n")
        self._metrics.flush()
        if self._board is not None:
            for name, value in means.items():
                self._board.add_scalar(name, value, self._session.step)
        self._last_means = means
        self._sums = {}

    def _tell(self, message: str) -> None:
        now = time.monotonic()
        if message and now - self._told < REPORT_PERIOD_S:
            return
        self._told = now
        session = self._session
        done = session.step - self._first_step
        eta_s = (session.total_steps - session.step) * (now - self._started) / done if done else -1.0
        self._report({
            "event": "progress", "step": session.step, "total": session.total_steps, "eta_s": eta_s,
            "metrics": getattr(self, "_last_means", {}), "message": message,
        })  # fmt: skip

    def _reading_bag(self, done: int, total: int, episode_id: str) -> None:
        message = f"reading {episode_id} ({done + 1} of {total})"
        self._report({"event": "progress", "step": 0, "total": 0, "eta_s": -1.0, "metrics": {}, "message": message})

    def _save_state(self, new_path: Path | None = None) -> None:
        if self._rank:
            return
        if new_path is not None:
            self._paths = [*getattr(self, "_paths", []), str(new_path)]
        self._job.folder.mkdir(parents=True, exist_ok=True)
        write_state(self._job.folder / STATE, self._session.learner.tensors())
        info = {"step": self._session.step, "episodes": getattr(self, "_paths", []), "data_sha256": self._data_sha256}
        write_durably(self._job.folder / STATE_INFO, json.dumps(info))

    def _resume(self) -> None:
        file, info_file = self._job.folder / STATE, self._job.folder / STATE_INFO
        if not (file.is_file() and info_file.is_file()):
            return
        info = json.loads(info_file.read_text(encoding="utf8"))
        if info["data_sha256"] != self._data_sha256:
            raise ValueError(
                f"{self._job.folder}: expected the data set with which this job began, got another one; "
                "start a new job (another --out)"
            )
        self._paths: list[str] = []
        for path in info["episodes"]:
            with suppress(EpisodeError):
                self._take_in_again(Path(path))
        self._session.learner.restore(read_state(file))
        self._first_step = self._session.step

    def _take_in_again(self, path: Path) -> None:
        episode = EpisodeCache(path.parent / CACHE_FOLDER).read(read_episode(path), self._reading)
        self._session.data.add(episode)
        self._taken.append(path.name)
        self._paths.append(str(path))


def _layout(parent: Checkpoint | None, config: LearningConfig, dataset: Path) -> PolicyLayout:
    """The parent's layout, or the usual one of the data set's task."""
    if parent is not None:
        return parent.info.layout
    tasks = {read_episode(path).task for path in _bags(dataset)}
    task = tasks.pop() if len(tasks) == 1 else ""
    terms = config.observation or OBSERVATIONS.get(task, ())
    if not terms:
        raise LayoutError(
            f"{dataset}: expected episodes of one task out of {', '.join(OBSERVATIONS)}, got {task or tasks or 'none'}; "
            "name the terms that the policy is to see with the override `observation`"
        )
    return PolicyLayout(task=task, observation=tuple(terms), horizon=config.horizon)


def _bags(dataset: Path) -> Sequence[Path]:
    from sernf_teleop.episodes import list_episodes

    return [info.path for info in list_episodes(dataset)]


def _board(folder: Path):  # type: ignore[no-untyped-def]
    """TensorBoard's writer, or None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"))


def _join_processes() -> None:
    """Under torchrun: one group of processes, by gloo on processors and NCCL on GPUs."""
    if "RANK" in os.environ and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


__all__ = ["Episode", "run_job"]

"""One gradient step of each kind on one thread: default networks, default batch, made-up episodes of the duck task.

Time does not depend on what the numbers say. A step is all that training does for it: drawing the batch, both passes, the
optimiser and the moving average.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from sernf.bench.report import Metric
from sernf_learner.episode import Ending, Episode
from sernf_learner.learning_config import LearningConfig, task_config
from sernf_learner.session import TrainingSession
from sernf_learner.stages.critic_warmup import critic_step
from sernf_learner.stages.offline_rl import actor_step
from sernf_learner.training_job import Stage
from sernf_policy.checkpoint import Checkpoint, load_checkpoint
from sernf_policy.layout import PolicyLayout
from sernf_robot.joints import JOINTS

EPISODES, TICKS = 2, 100
WARM_UP_ROUNDS = 3


def measure_updates(seconds: float, console: Console) -> dict[str, Metric]:
    """Imitation, critic and actor in turn for `seconds`, at least once each."""
    torch.set_num_threads(1)
    config = task_config("duck", {"device": "cpu", "threads": 1})
    layout = config.layout("duck")
    imitation = _session(Stage.IMITATION, layout, config, None)
    with tempfile.TemporaryDirectory() as folder:
        warm = _session(Stage.CRITIC_WARMUP, layout, config, _checkpoint(imitation, Path(folder) / "imitation"))
        offline = _session(Stage.OFFLINE_RL, layout, config, _checkpoint(warm, Path(folder) / "critic_warmup"))
    offline.learner.actor.train()
    calls: dict[str, Callable[[], object]] = {
        "imitation_update_ms": imitation.advance,
        "critic_update_ms": lambda: critic_step(offline.learner, offline.data, 0.5),
        "actor_update_ms": lambda: actor_step(offline.learner, offline.data, 0.5),
    }
    console.print(f"measuring for {seconds:g} s: imitation, critic and actor updates in turn, on one thread")
    durations_ms: dict[str, list[float]] = {name: [] for name in calls}
    end_s, rounds = time.monotonic() + seconds, 0
    while rounds <= WARM_UP_ROUNDS or time.monotonic() < end_s:
        for name, call in calls.items():
            began_s = time.perf_counter()
            call()
            if rounds >= WARM_UP_ROUNDS:
                durations_ms[name].append((time.perf_counter() - began_s) * 1e3)
        rounds += 1
    return {name: Metric.of(np.array(values), "ms") for name, values in durations_ms.items()}


def _session(stage: Stage, layout: PolicyLayout, config: LearningConfig, parent: Checkpoint | None) -> TrainingSession:
    return TrainingSession(stage, layout, [made_up_episode(number) for number in range(EPISODES)], config, parent, seed=0)


def _checkpoint(session: TrainingSession, path: Path) -> Checkpoint:
    session.save(path)
    return load_checkpoint(path)


def made_up_episode(number: int) -> Episode:
    """A random walk of the duck task."""
    rng = np.random.default_rng(number)
    path = 0.3 + 0.02 * np.cumsum(rng.normal(size=(TICKS + 1, len(JOINTS))), axis=0)
    poses = np.tile([0.5, 0.0, 0.02, 1.0, 0.0, 0.0, 0.0], (TICKS, 2, 1))
    return Episode(
        episode_id=f"made-up-{number}", task="duck", source="demonstrator", seed=number, ending=Ending.SUCCESS, cause="",
        step_period_s=0.05, joint_names=JOINTS, objects=("duck", "bowl"), joint_position_rad=path[:-1],
        commanded_position_rad=path[:-1], action_rad=path[1:], requested_rad=path[1:], object_pose=poses,
        taken_over=np.zeros(TICKS, dtype=np.bool_),
    )  # fmt: skip

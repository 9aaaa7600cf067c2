"""Small things to train on: episodes whose numbers say where they come from, the same as bags, and settings for tiny networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from recordings import Recording

from sernf_learner.episode import Ending, Episode
from sernf_learner.learning_config import LearningConfig, learning_config
from sernf_learner.training_job import Stage, TrainingJob
from sernf_policy.layout import PolicyLayout
from sernf_robot.joints import JOINTS

HORIZON = 4
TERMS = ("joint_position", "commanded_position")
LAYOUT = PolicyLayout(task="duck", observation=TERMS, horizon=HORIZON)
TINY: dict[str, Any] = {
    "observation": list(TERMS), "horizon": HORIZON, "batch": 16, "save_every": 3, "guard.every": 2, "augmentation.copies": 1,
    "policy.blocks": 1, "policy.hidden": 16, "policy.affine_hidden": 16, "policy.encoder_hidden": 16, "policy.code_size": 8,
    "critic.members": 2, "critic.hidden": 16, "critic.layers": 1, "critic.components": 8, "device": "cpu",
    "imitation_acting.player.execute_steps": 2, "imitation_acting.player.blend_steps": 1, "acting.candidates": 2,
    "acting.player.execute_steps": 2, "acting.player.blend_steps": 1,
}  # fmt: skip
PERIOD_MS = 50


def config(**overrides: Any) -> LearningConfig:
    """TINY with `overrides`, whose keys write dots as two underscores."""
    return learning_config({**TINY, **{key.replace("__", "."): value for key, value in overrides.items()}})


def motion(steps: int, seed: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Targets (steps + 1, A) rad: smooth, different for each seed."""
    rng = np.random.default_rng(seed)
    return 0.3 + 0.1 * np.cumsum(rng.normal(0.0, 0.1, (steps + 1, len(JOINTS))), axis=0)


def episode(
    seed: int = 0, ending: Ending = Ending.SUCCESS, *, steps: int = 12, source: str = "demonstrator", **values: Any
) -> Episode:
    """Action t is row t + 1 of `motion`, and what is commanded at t is row t."""
    path = motion(steps, seed)
    given = {
        "episode_id": f"{source}-{seed}-{ending.value}", "task": "duck", "source": source, "seed": seed, "ending": ending,
        "cause": "", "step_period_s": 0.05, "joint_names": JOINTS, "objects": (), "joint_position_rad": path[:-1],
        "commanded_position_rad": path[:-1], "action_rad": path[1:], "requested_rad": path[1:],
        "object_pose": np.zeros((steps, 0, 7)), "taken_over": np.zeros(steps, dtype=np.bool_), **values,
    }  # fmt: skip
    return Episode(**given)


def demonstrations() -> list[Episode]:
    """Three successes and a failure."""
    return [episode(seed) for seed in range(3)] + [episode(9, Ending.FAILURE)]


def write_bag(folder: Path, seed: int, label: str = "success", *, source: str = "demonstrator", steps: int = 10) -> Path:
    """A bag in which a robot executes at once what `source` asks for; returns its folder."""
    recording, path = Recording(JOINTS), motion(steps, seed)
    recording.bridge_state(-4, command_ms=None, executed_position_rad=path[0], requested_position_rad=path[0])
    for tick in range(steps + 1):
        at_ms, target = tick * PERIOD_MS, path[tick]
        recording.command(at_ms, target, source)
        for after_ms in range(0, PERIOD_MS, 10):
            recording.joint_states(at_ms + after_ms, target)
        for after_ms in (1, 21, 41):
            recording.bridge_state(
                at_ms + after_ms, command_ms=at_ms, active_source=source, executed_position_rad=target,
                requested_position_rad=target,
            )  # fmt: skip
    about = {"label": label, "source": source, "seed": str(seed)}
    return recording.write(folder / f"{source}-{seed}-{label}", **about).path


def write_demonstrations(folder: Path) -> Path:
    """Three successes and a failure; returns `folder`."""
    for seed in range(3):
        write_bag(folder, seed)
    write_bag(folder, 9, "failure")
    return folder


def job(folder: Path, stage: Stage, dataset: Path, parent: str = "", steps: int = 8, **overrides: Any) -> TrainingJob:
    """A job in `folder`, on disk."""
    given = {**TINY, **{key.replace("__", "."): value for key, value in overrides.items()}}
    made = TrainingJob(
        folder=folder, job_id=f"j-{stage.value}", stage=stage, dataset=dataset, out=folder.parent / "out", parent=parent,
        steps=steps, overrides=given, seed=5,
    )  # fmt: skip
    made.write()
    return made


def told(folder: Path) -> list[dict[str, Any]]:
    """Events that were kept for good."""
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]

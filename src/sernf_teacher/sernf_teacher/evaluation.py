"""How well a teacher turns the cube: episodes of a minute from grasps, at full weight, in randomised physics, without exploring.

In the teacher's own model of the hand alone. `nominal` randomises fully; `twin` is the one set of physics for reality.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sernf_policy.checkpoint_files import CheckpointError, both_files
from sernf_policy.shipped_weights import shipped_weights
from sernf_robot.success_rate import wilson_interval
from sernf_sim.physics import Physics, load_physics
from sernf_sim.tasks.cube_rotation import rotation_report
from sernf_teacher.cube_env import CubeEnv, CubeEnvConfig
from sernf_teacher.cube_model import CONTROL_PERIOD_S
from sernf_teacher.curriculum import MEASURED, TOP
from sernf_teacher.grasps import load_grasps
from sernf_teacher.randomisation import Randomisation
from sernf_teacher.teacher_weights import SHIPPED, load_teacher, read_stage

EPISODE_S = 60.0
SHIPPED_NAME = "teacher"
FULL_TURN_RAD = 2 * np.pi


def randomisation_of(physics: Physics) -> Randomisation:
    """No ranges, but this one set of physics; its scales of arm and velocity noise do not concern the hand alone."""

    def fixed(value: float) -> tuple[float, float]:
        return (value, value)

    return Randomisation(
        mass_scale=fixed(physics.object_mass_scale), size_scale=fixed(1.0), friction_scale=fixed(physics.friction_scale),
        stiffness_scale=fixed(physics.hand_gain_scale), damping_scale=fixed(physics.hand_damping_scale),
        delay_s=fixed(physics.command_delay_s), joint_noise_rad=physics.joint_position_noise_rad, joint_bias_rad=0.0,
        cube_position_noise_m=physics.object_position_noise_m, cube_position_bias_m=physics.object_position_bias_m,
        cube_rotation_noise_rad=physics.object_rotation_noise_rad, push_n_s=0.0,
    )  # fmt: skip


def teacher_path(name: str) -> Path:
    """A file, or the shipped teacher; raises CheckpointError when none is shipped."""
    path = SHIPPED / SHIPPED_NAME if name == SHIPPED_NAME else Path(name).expanduser()
    if name == SHIPPED_NAME and not both_files(path)[0].is_file():
        raise CheckpointError(
            f"no teacher is shipped in {SHIPPED}; train one: ./sernf run python -m sernf_teacher.train --out runs/cube, "
            "and give its file: --weights runs/cube/teacher.safetensors"
        )
    return path


def is_teacher(name: str) -> bool:
    """Whether weights for the cube are a teacher's: by name, or by what their JSON says. Raises CheckpointError."""
    if name in ("", SHIPPED_NAME):
        return name == SHIPPED_NAME or not shipped_weights("cube")
    if name in shipped_weights("cube"):
        return False
    return read_stage(Path(name).expanduser()) == "teacher"


def evaluate_teacher(
    *, weights: Path | str = SHIPPED_NAME, episodes: int, seed: int, twin: bool = False, randomised: float = 1.0,
    episode_s: float = EPISODE_S, threads: int = 1, progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:  # fmt: skip
    """The object that `./sernf eval --task cube --json` prints; success: not dropped for a minute, and at least one full turn.

    `progress` counts steps. Raises CheckpointError and GraspError.
    """
    name = str(weights)
    teacher = load_teacher(teacher_path(name))
    table = randomisation_of(load_physics("twin")) if twin else Randomisation()
    steps = round(episode_s / CONTROL_PERIOD_S)
    config = CubeEnvConfig(
        copies=episodes,
        threads=threads,
        episode_steps=steps + 1,
        ring_share=0.0,
        open_share=0.0,
        practice_share=0.0,
        randomisation=table,
    )
    stage = dataclasses.replace(MEASURED, randomisation=1.0 if twin else randomised)
    env = CubeEnv(config, load_grasps(), stage, seed)
    env.set_stage(stage, teacher.info["level"] / TOP)
    observation = env.reset(spread=False)
    running = np.ones(episodes, dtype=bool)
    turned, counted, lived_s, fingertips, force = np.zeros((5, episodes))
    for step in range(steps):
        seen = env.step(teacher.act(observation))
        observation = seen.observation
        for total, value in (
            (turned, seen.turned_rad),
            (counted, seen.counted_rad),
            (fingertips, seen.fingertips),
            (force, seen.force_n),
        ):
            total += running * value
        lived_s += running * CONTROL_PERIOD_S
        running &= ~seen.lost
        progress(step + 1, steps)
        if not running.any():
            break
    env.batch.close()
    good = running & (counted >= FULL_TURN_RAD)
    low, high = wilson_interval(int(good.sum()), episodes)
    failures = {"dropped": int((~running).sum()), "no full turn": int((running & ~good).sum())}
    return {
        "task": "cube", "weights": name, "sha256": teacher.info["sha256"], "stage": "teacher", "episodes": episodes,
        "successes": int(good.sum()), "rate": float(good.mean()), "wilson_low": low, "wilson_high": high,
        "mean_time_s": float(lived_s[good].mean()) if good.any() else None,
        "failures": {cause: count for cause, count in failures.items() if count}, "seed": seed, "twin": twin, "temperature": 0.0,
        "candidates": 1,
        "extra": rotation_report(
            counted_rad=counted, turned_rad=turned, lived_s=lived_s, fingertip_s=CONTROL_PERIOD_S * fingertips,
            force_ns=CONTROL_PERIOD_S * force, lost=~running,
        ),
    }  # fmt: skip

"""How each task is learnt: what its policy sees, and the settings in which it differs from the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sernf_learner.learning_config import LearningConfig, learning_config
from sernf_policy.layout import CUBE_OBSERVATION, DUCK_OBSERVATION
from sernf_robot.joints import JOINTS

TASK_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "duck": {"observation": DUCK_OBSERVATION},
    "cube": {
        "observation": CUBE_OBSERVATION,
        # Nothing but the fingers may ever move.
        "absolute_joints": JOINTS,
        # The cube falls within a quarter of a second: look again soon.
        "horizon": 8,
        "imitation_acting.player.execute_steps": 2,
        "imitation_acting.player.blend_steps": 1,
        "acting.player.execute_steps": 2,
        "acting.player.blend_steps": 1,
        # What the teacher shows keeps just so far from the joints' limits; beyond them the safety filter would change it.
        "policy.margin": 0.03,
        "augmentation.copies": 0,
        "reward.turning": "cube",
    },
}


def task_config(task: str, overrides: Mapping[str, Any]) -> LearningConfig:
    """Settings of `task` with `overrides`; a task without settings has the defaults. Raises sernf_robot.config.ConfigError."""
    return learning_config({**TASK_SETTINGS.get(task, {}), **overrides})

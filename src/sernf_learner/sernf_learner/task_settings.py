"""How each task is learnt: what its policy sees, and the settings in which it differs from the defaults.

Data alone, without torch: the learner's node reads it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sernf_policy.layout import CUBE_OBSERVATION, DUCK_OBSERVATION, SEEN_OBSERVATION
from sernf_robot.joints import JOINTS

SEEING: Mapping[str, Any] = {
    "observation": SEEN_OBSERVATION,
    "absolute_joints": JOINTS,
    "policy.body_dropout": 0.5,
    # A copy that is moved off its path would have been seen elsewhere.
    "augmentation.copies": 0,
    "imitation_steps": 2500,
    "imitation_acting.player.execute_steps": 5,
    "acting.player.execute_steps": 5,
}
"""How a policy learns that sees. Without copies nothing leads back to the path but that it knows where this is."""

TASK_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "duck": {"observation": DUCK_OBSERVATION},
    "scissors": {
        **SEEING,
        # Tape, holder and hand, pixel by pixel: half a centimetre decides.
        "cameras": ({"name": "front", "crop": (0.015625, 0.0625, 0.765625, 0.5625), "size_px": (96, 64)}, {"name": "wrist"}),
    },
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
        "imitation_acting.temperature": 0.1,
        # The middle of a wide flow lies between ways of going on, and there fingers stand still: one of many, by the critic.
        "acting.temperature": 0.5,
        "acting.candidates": 16,
        "acting.density_quantile": 0.0,
        # The flow is as wide as the teacher's answers to what the student cannot see, such as a heavier cube: there is something
        # to be found in it, if one of them is tried for as long as it takes to be felt.
        "imitation_acting.exploring_temperature": 0.5,
        "imitation_acting.persistence": 0.97,
        # There are no demonstrations, and chunks of its own were all broken off after two steps.
        "actor.nll_weight": 0.0,
        "actor.prior_weight": 1.0,
        "actor.sharpness": 3.0,
        "online_steps_per_episode": 60,
        "online_rollout_s": 8.0,
        "online_schedule": 0.3,
        # Only these steps are executed as they were planned: what was recorded after them the critic would take for their doing.
        "critic.steps": 3,
        "critic_warmup_steps": 1500,
        "offline_rl_steps": 2500,
        "critic_training.average": 0.03,
        "actor.average": 0.02,
        "gamma": 0.98,
        "augmentation.copies": 0,
        "reward.turning": "cube",
    },
}


def goes_on(task: str, overrides: Mapping[str, Any]) -> bool:
    """Whether every step is paid for, so that there is something to learn from failures too."""
    return bool({**TASK_SETTINGS.get(task, {}), **overrides}.get("reward.turning"))

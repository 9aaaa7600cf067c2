"""One iteration's experience: the policy acts in all copies for some steps, and what came of it is summed up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sernf_teacher.cube_env import CubeEnv
from sernf_teacher.cube_model import CONTROL_PERIOD_S
from sernf_teacher.ppo import Batch, Ppo, advantages

Floats = NDArray[np.float64]


@dataclass
class Experience:
    """`batch` to learn from, figures to log, and the observation with which to go on."""

    batch: Batch
    figures: dict[str, float]
    observation: NDArray[np.float32]


def collect(env: CubeEnv, ppo: Ppo, observation: NDArray[np.float32], rng: np.random.Generator) -> Experience:
    """`ppo.config.steps` steps of all copies with the stage's exploration.

    Figures: `turns_per_minute` all rotation, `counted_...` with at least three fingertips, `gated_...` as far as it is rewarded;
    `drops_per_minute`: of the copies that do not practise starts; the others over the time of all copies.
    """
    steps, count, config = ppo.config.steps, env.count, ppo.config
    deviation = env.stage.exploration
    vectors = np.zeros((steps, count, observation.shape[1]), dtype=np.float32)
    value, next_value, log_probs, reward = np.zeros((4, steps, count))
    ended = np.zeros((steps, count), dtype=bool)
    lasting = ~env.practises
    actions: list[Floats] = []
    sums: dict[str, float] = {}
    for step in range(steps):
        vectors[step] = observation
        action, log_probs[step], value[step] = ppo.act(observation, deviation, rng)
        actions.append(action)
        seen = env.step(action.astype(np.float64))
        reward[step] = config.reward_scale * seen.reward
        ended[step] = seen.lost | seen.timed_out
        if step > 0:
            next_value[step - 1] = np.where(ended[step - 1], next_value[step - 1], value[step])
        stopped = np.flatnonzero(seen.timed_out)
        if len(stopped):
            next_value[step, stopped] = ppo.value(seen.last_observation[stopped])
        observation = seen.observation
        figures = {
            "turned": float(seen.turned_rad.sum()), "counted": float(seen.counted_rad.sum()),
            "gated": float(seen.gated_rad.sum()), "lost": count * float(seen.lost[lasting].mean()),
            "fingertips": float(seen.fingertips.sum()),
            "force_n": float(seen.force_n.sum()), "reward": float(seen.reward.sum()),
            **{f"reward_{name}": count * figure for name, figure in seen.terms.items()},
        }  # fmt: skip
        sums = {name: sums.get(name, 0.0) + figure for name, figure in figures.items()}
    next_value[-1] = np.where(ended[-1], next_value[-1], ppo.value(observation))
    advantage = advantages(reward, value, next_value, ended, config.gamma, config.trace)

    def flat(values: Floats | NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values.reshape(steps * count, *values.shape[2:]), dtype=np.float32))

    batch = Batch(flat(vectors), flat(np.array(actions)), flat(log_probs), flat(advantage), flat(advantage + value))
    return Experience(batch, _summary(sums, steps * count), observation)


def _summary(sums: dict[str, float], rows: int) -> dict[str, float]:
    minutes = rows * CONTROL_PERIOD_S / 60.0
    per_minute = {name: sums.pop(name) / minutes for name in ("turned", "counted", "gated", "lost")}
    return {
        **{name: figure / rows for name, figure in sums.items()},
        "turns_per_minute": per_minute["turned"] / (2 * np.pi), "counted_turns_per_minute": per_minute["counted"] / (2 * np.pi),
        "gated_turns_per_minute": per_minute["gated"] / (2 * np.pi), "drops_per_minute": per_minute["lost"],
    }  # fmt: skip

"""Watches a training that could destroy the policy, and halts it (LEARNING_FACTS, traps 1 and 2).

What is measured on held-out or recorded observations: the value of the policy's samples, which share of it lies above what can be
earned, and how likely the samples are under the frozen flow that training began with: a true divergence, which only a flow can
give. The data's own likelihood hardly shows a policy that puts mass where no data are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from sernf_learner.learner_state import LearnerState
from sernf_learner.learning_config import GuardConfig
from sernf_learner.losses import Metrics

MEASURED_WINDOWS = 64
MEASURED = {"nll_samples_frozen", "q_above_bound"}
"""What `divergence` measures and `Guard` has bounds for."""


class TrainingHalted(RuntimeError):
    """Training broke its bounds; the message says which and what was measured."""


@torch.no_grad()
def divergence(learner: LearnerState, vector: Tensor) -> Metrics:
    """Figures of the module's text on observations `vector` (B, o); empty before there is anything to compare with."""
    if learner.frozen is None:
        return {}
    observation = {"vector": vector}
    numbers = learner.layout.chunk_size
    sampled = learner.average.sample(observation, 1).chunk[:, 0]
    original = learner.frozen.sample(observation, 1).chunk[:, 0]
    found = {
        "nll_samples_frozen": float(-learner.frozen.log_prob(observation, sampled).mean()) / numbers,
        "nll_frozen_own": float(-learner.frozen.log_prob(observation, original).mean()) / numbers,
    }
    if learner.critic_target is not None:
        values = learner.critic_target(vector, sampled).mean(0)
        found["q_samples"] = float(values.mean())
        found["q_above_bound"] = float((values > learner.config.guard.value_bound).float().mean())
    return found


class Guard:
    """Counts bad checks in a row: `bad`. Steps at which nothing was measured do not count, in either sense."""

    def __init__(self, config: GuardConfig) -> None:
        self._config = config
        self.bad = 0

    def check(self, metrics: Mapping[str, float]) -> bool:
        """Whether these figures are good. Raises TrainingHalted after too many bad ones in a row, at once for no number."""
        config = self._config
        broken = [name for name, value in metrics.items() if not math.isfinite(value)]
        if broken:
            raise TrainingHalted(f"{', '.join(broken)}: expected finite numbers, got others; lower the learning rates")
        if not MEASURED & metrics.keys():
            return True
        faults = []
        drift = metrics.get("nll_samples_frozen", 0.0) - metrics.get("nll_frozen_own", 0.0)
        if drift > config.divergence_nats:
            faults.append(
                f"the policy's samples are {drift:.2f} nats a number less likely under the flow that training began with than "
                f"its own (at most {config.divergence_nats:g}); raise actor.nll_weight"
            )
        share = metrics.get("q_above_bound", 0.0)
        if share > config.share_above:
            faults.append(
                f"{share:.0%} of the values exceed what can be earned (at most {config.share_above:.0%}); "
                "the critic over-estimates: raise critic_training.pessimism"
            )
        self.bad = self.bad + 1 if faults else 0
        if self.bad >= config.patience:
            raise TrainingHalted("; ".join(faults))
        return not faults

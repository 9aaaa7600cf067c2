"""Stage 3, offline RL on the recorded data: the critic goes on learning, the actor follows it without leaving the data.

Actor: `nll_weight * NLL - q_weight * Q/|Q|`. The likelihood term is the conservative one, which only a tractable density allows;
its windows count by `exp(beta * advantage)`, so chunks that led to success sooner than usual are imitated more (arXiv
1910.00177). Where there are no demonstrations but the policy's own attempts, these say little about
whole chunks: each was broken off after a few steps. There `prior_weight` imitates what the policy that training began with would
do, as the critic chooses.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sernf_learner.learner_state import LearnerState
from sernf_learner.learning_config import LearningConfig
from sernf_learner.losses import Metrics, advantage_weight, imitation_loss, prior_loss, value_gradient_loss
from sernf_learner.stages.critic_warmup import critic_step
from sernf_learner.training_data import TrainingData
from sernf_policy.acting import ActingConfig


class OfflineRL:
    """Starts from a warm critic."""

    has_critic = True
    trains_actor = True

    def default_steps(self, config: LearningConfig) -> int:
        """Gradient steps of a job that names none."""
        return config.offline_rl_steps

    def update(self, learner: LearnerState, data: TrainingData, share_done: float) -> Metrics:
        """One step of the critic, and one of the actor at its turns."""
        metrics = critic_step(learner, data, share_done)
        if learner.step % learner.config.actor.every == 0:
            metrics |= actor_step(learner, data, share_done)
        return metrics

    def acting(self, config: LearningConfig) -> ActingConfig:
        """Best of N by the critic."""
        return config.acting


def actor_step(learner: LearnerState, data: TrainingData, share_done: float) -> Metrics:
    """One step of the actor; online RL shares it."""
    actor = learner.config.actor
    loss, metrics = torch.zeros((), device=learner.device), Metrics()
    if actor.nll_weight > 0.0:
        imitated, more = _imitated(learner, data)
        loss, metrics = loss + actor.nll_weight * imitated, metrics | more
    if actor.q_weight > 0.0 or actor.prior_weight > 0.0:
        guided, more = _guided(learner, data)
        loss, metrics = loss + guided, metrics | more
    metrics["actor_gradient"] = learner.step_actor(loss, share_done)
    return metrics


def _guided(learner: LearnerState, data: TrainingData) -> tuple[Tensor, Metrics]:
    """What the critic says, not only where it went well: what leads away from a drop is to be learnt where drops began."""
    actor, (critic, target) = learner.config.actor, learner.critics()
    loss, metrics = torch.zeros((), device=learner.device), Metrics()
    seen = data.windows(learner.config.batch).vector
    if actor.q_weight > 0.0:
        following, metrics = value_gradient_loss(learner.actor, critic, seen, actor.temperature)
        loss = loss + actor.q_weight * following
    if actor.prior_weight > 0.0 and learner.frozen is not None:
        chosen, more = prior_loss(
            learner.actor, learner.frozen, target, seen, candidates=actor.prior_candidates, sharpness=actor.sharpness
        )
        loss, metrics = loss + actor.prior_weight * chosen, metrics | more
    return loss, metrics


def _imitated(learner: LearnerState, data: TrainingData) -> tuple[Tensor, Metrics]:
    """Likelihood of what is worth imitating, the more the better it was."""
    actor = learner.config.actor
    _, target = learner.critics()
    copies, windows = data.imitation_pairs(learner.config.batch)
    # A copy counts as its window does. Judged by itself it would count less, for it takes its time to come back to the path, and
    # the actor would unlearn just that: the critic has not seen what comes of a grasp off the mark.
    with torch.no_grad():
        own = learner.average.sample({"vector": windows.vector}, 1, actor.temperature).chunk[:, 0]
        baseline = target(windows.vector, own).mean(0)
    weight = advantage_weight(target, windows, baseline, beta=actor.beta, largest=actor.largest_weight)
    loss, metrics = imitation_loss(learner.actor, copies.vector, copies.chunk, weight)
    return loss, metrics | {"q_policy": float(baseline.mean()), "advantage_weight": float(weight.mean())}

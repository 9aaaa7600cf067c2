"""Stage 1, imitation: maximum likelihood of the chunks of successful episodes, with displaced copies that lead back to them.

The first part of the steps fits only what the flow is centred on. Eyes learn with it, and by `foresight`.
"""

from __future__ import annotations

from sernf_learner.learner_state import LearnerState
from sernf_learner.learning_config import LearningConfig
from sernf_learner.losses import Metrics, centring_loss, imitation_loss
from sernf_learner.training_data import TrainingData
from sernf_policy.acting import ActingConfig


class Imitation:
    """Starts from nothing."""

    has_critic = False
    trains_actor = True

    def default_steps(self, config: LearningConfig) -> int:
        """Gradient steps of a job that names none."""
        return config.imitation_steps

    def update(self, learner: LearnerState, data: TrainingData, share_done: float) -> Metrics:
        """One step of the actor."""
        windows = data.imitation_batch(learner.config.batch)
        loss_of = centring_loss if share_done < learner.config.centring_share else imitation_loss
        vector = learner.actor.seeing(windows.vector, data.images(windows, varied=True))
        loss, metrics = loss_of(learner.actor, vector, windows.chunk)
        if learner.foresight is not None:
            error = learner.foresight.error(vector[:, ~learner.actor.encoder.body], data.way_ahead(windows))
            loss, metrics["foresight_error"] = loss + learner.config.actor.foresight_weight * error, float(error.detach())
        metrics["actor_gradient"] = learner.step_actor(loss, share_done)
        return metrics

    def acting(self, config: LearningConfig) -> ActingConfig:
        """Without a critic: one sample."""
        return config.imitation_acting

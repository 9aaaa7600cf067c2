"""Stage 2, critic warm-up: the chunk critic learns what the recorded behaviour is worth; the actor does not change."""

from __future__ import annotations

from torch import Tensor

from sernf_learner.chunks import ChunkTable
from sernf_learner.learner_state import LearnerState
from sernf_learner.learning_config import LearningConfig
from sernf_learner.losses import Metrics, chunk_target, critic_loss
from sernf_learner.training_data import TrainingData
from sernf_policy.acting import ActingConfig


class CriticWarmup:
    """Starts from imitation."""

    has_critic = True
    trains_actor = False

    def default_steps(self, config: LearningConfig) -> int:
        """Gradient steps of a job that names none."""
        return config.critic_warmup_steps

    def update(self, learner: LearnerState, data: TrainingData, share_done: float) -> Metrics:
        """One step of the critic."""
        return critic_step(learner, data, share_done)

    def acting(self, config: LearningConfig) -> ActingConfig:
        """As imitation: nothing tells yet whether the critic can be trusted with a choice."""
        return config.imitation_acting


def critic_step(learner: LearnerState, data: TrainingData, share_done: float) -> Metrics:
    """Draw windows, compute their targets and move the critic towards them. All stages with a critic share it."""
    config = learner.config
    critic, target = learner.critics()
    rows = data.windows(config.batch)
    value = chunk_target(rows, target, _next_chunks(learner, rows), pessimism=config.critic_training.pessimism)
    noisy = learner.average.noisy({"vector": rows.vector}, rows.chunk)
    loss, metrics = critic_loss(critic, rows.vector, noisy, value)
    metrics["critic_gradient"] = learner.step_critic(loss, share_done)
    return metrics


def _next_chunks(learner: LearnerState, rows: ChunkTable) -> Tensor:
    """Candidates (B, N, H, A) for what follows a window."""
    training, temperature = learner.config.critic_training, learner.config.actor.temperature
    if training.bootstrap == "recorded":
        return rows.next_chunk[:, None]
    return learner.average.sample({"vector": rows.next_vector}, training.samples, temperature).chunk.detach()

"""Stage 4, online RL: the updates of offline RL while the policy's own rollouts come in, mixed with the recorded data.

The trainer adds each finished rollout to the data and calls `update` a fixed number of times for it; then the weights are handed
to the running policy.
"""

from __future__ import annotations

from sernf_learner.learner_state import LearnerState
from sernf_learner.learning_config import LearningConfig
from sernf_learner.losses import Metrics
from sernf_learner.stages.critic_warmup import critic_step
from sernf_learner.stages.offline_rl import actor_step
from sernf_learner.training_data import TrainingData
from sernf_policy.acting import ActingConfig


class OnlineRL:
    """Starts from offline RL, or goes on from online RL."""

    has_critic = True
    trains_actor = True

    def default_steps(self, config: LearningConfig) -> int:
        """Gradient steps of a job that names none: so many for each rollout."""
        return config.online_episodes * config.online_steps_per_episode

    def update(self, learner: LearnerState, data: TrainingData, share_done: float) -> Metrics:
        """One step of the critic, and one of the actor at its turns, all at one rate, for no end is known at which it could fall.

        A higher rate than at the end of offline RL would undo the precision that this has reached.
        """
        late = learner.config.online_schedule
        metrics = critic_step(learner, data, late)
        if learner.step % learner.config.actor.every == 0:
            metrics |= actor_step(learner, data, late)
        return metrics

    def acting(self, config: LearningConfig) -> ActingConfig:
        """Best of N by the critic."""
        return config.acting

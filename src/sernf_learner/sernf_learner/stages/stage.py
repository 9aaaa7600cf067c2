"""What a stage of learning is to the trainer."""

from __future__ import annotations

from typing import Protocol

from sernf_learner.learner_state import LearnerState
from sernf_learner.learning_config import LearningConfig
from sernf_learner.losses import Metrics
from sernf_learner.training_data import TrainingData
from sernf_policy.acting import ActingConfig


class TrainingStage(Protocol):
    """One algorithm. `has_critic`: whether it trains or uses one; `trains_actor`: whether the policy changes."""

    has_critic: bool
    trains_actor: bool

    def default_steps(self, config: LearningConfig) -> int:
        """Gradient steps of a job that names none."""
        ...

    def update(self, learner: LearnerState, data: TrainingData, share_done: float) -> Metrics:
        """One gradient step; `share_done` of the stage's steps lie behind."""
        ...

    def acting(self, config: LearningConfig) -> ActingConfig:
        """How the resulting policy acts."""
        ...

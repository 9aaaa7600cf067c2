"""The four stages of learning, each a file that can be read in one sitting."""

from __future__ import annotations

from sernf_learner.stages.critic_warmup import CriticWarmup
from sernf_learner.stages.imitation import Imitation
from sernf_learner.stages.offline_rl import OfflineRL
from sernf_learner.stages.online_rl import OnlineRL
from sernf_learner.stages.stage import TrainingStage
from sernf_learner.training_job import Stage

STAGES: dict[Stage, TrainingStage] = {
    Stage.IMITATION: Imitation(),
    Stage.CRITIC_WARMUP: CriticWarmup(),
    Stage.OFFLINE_RL: OfflineRL(),
    Stage.ONLINE_RL: OnlineRL(),
}

__all__ = ["STAGES", "TrainingStage"]

"""One stage's training, step by step, without files or processes: the trainer drives it, and so does a study in simulation.

Every step draws its random numbers from (seed, step, process) alone, so a session that was restored goes on as if never
interrupted.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from sernf_learner.episode import Episode
from sernf_learner.guard import MEASURED_WINDOWS, Guard, divergence
from sernf_learner.learner_state import LearnerState, under
from sernf_learner.learning_config import LearningConfig
from sernf_learner.losses import Metrics
from sernf_learner.processes import mean_metrics
from sernf_learner.stages import STAGES
from sernf_learner.training_data import TrainingData
from sernf_learner.training_job import Stage
from sernf_policy.checkpoint import Checkpoint, CheckpointInfo, HeldOut, save_checkpoint
from sernf_policy.critic import ChunkCritic
from sernf_policy.layout import PolicyLayout
from sernf_policy.likelihood_monitor import LikelihoodThresholds
from sernf_policy.policy import ChunkPolicy

HELD_OUT_ROWS = 64
EXECUTION_SLACK_NATS = 2.5
"""What a policy does is less likely than what was demonstrated, also when all is well: it samples, and its chunks are joined at
seams. Rollouts of the duck policies lay 1 to 2.2 nats a number below the demonstrations."""
HELD_OUT_WINDOWS_FALLBACK = 256


class TrainingSession:
    """`stage` on `episodes`, from `parent` (None for imitation). Raises ValueError when these do not go together."""

    def __init__(
        self, stage: Stage, layout: PolicyLayout, episodes: Sequence[Episode], config: LearningConfig,
        parent: Checkpoint | None, seed: int, steps: int = 0, process: int = 0,
    ) -> None:  # fmt: skip
        """`steps`: 0 for the stage's default. `process`: number of this one among data-parallel processes."""
        self.stage, self.layout, self.config, self.seed = stage, layout, config, seed
        self._algorithm = STAGES[stage]
        self._parent, self._process = parent, process
        if parent is not None and parent.info.layout != layout:
            raise ValueError(
                f"expected weights of the layout {layout}, got {parent.info.layout}; start from weights of this task"
            )
        if stage in (Stage.OFFLINE_RL, Stage.ONLINE_RL) and (parent is None or parent.critic is None):
            raise ValueError(f"{stage.value}: expected weights with a critic to start from; train critic_warmup first")
        if stage is Stage.CRITIC_WARMUP and parent is None:
            raise ValueError("critic_warmup: expected weights to start from; train imitation first")
        self._algorithm.acting(config).player.check_horizon(layout.horizon)
        self.data = TrainingData(episodes, layout, config, seed, None if parent is None else parent.policy.eyes)
        self.total_steps = steps or self._algorithm.default_steps(config)
        torch.manual_seed(_mixed(seed, -1, 0))
        self.learner = LearnerState(layout, config, parent, with_critic=self._algorithm.has_critic)
        if parent is None:
            rows = self.data.imitation_set()
            for policy in (self.learner.actor, self.learner.average):
                policy.fit_normaliser(rows.vector.to(self.learner.device), rows.chunk.to(self.learner.device))
        self.guard = Guard(config.guard)
        self._good_policy, self._good_critic = self._copies()

    @property
    def step(self) -> int:
        """Steps done."""
        return self.learner.step

    def advance(self) -> Metrics:
        """One step. Raises guard.TrainingHalted when it breaks its bounds; then `save` still gives the last good weights."""
        learner, config = self.learner, self.config
        torch.manual_seed(_mixed(self.seed, learner.step, self._process))
        learner.actor.train()
        metrics = self._algorithm.update(learner, self.data, learner.step / self.total_steps)
        learner.step += 1
        if learner.step % config.guard.every == 0:
            metrics |= divergence(learner, self.data.windows(MEASURED_WINDOWS).vector)
        metrics = mean_metrics(metrics, learner.device)
        if self.guard.check(metrics) and learner.step % config.guard.every == 0:
            self._good_policy, self._good_critic = self._copies()
        return metrics

    def run(self, until: int, on_step: Callable[[int, Metrics], None] = lambda step, metrics: None) -> None:
        """Advance until `until` steps are done."""
        while self.step < until:
            on_step(self.step + 1, self.advance())

    def tensors(self) -> dict[str, Tensor]:
        """All from which `restore` goes on as if never interrupted, with the last good weights."""
        found = self.learner.tensors() | {"guard.bad": torch.tensor(self.guard.bad)}
        for name, module in self._good().items():
            found |= {f"{name}.{key}": value.detach().cpu().contiguous().clone() for key, value in module.state_dict().items()}
        return found

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Inverse of `tensors`; raises KeyError or RuntimeError for those of another configuration."""
        self.learner.restore(tensors)
        self.guard.bad = int(tensors["guard.bad"])
        for name, module in self._good().items():
            module.load_state_dict(under(tensors, name))

    def save(self, path: Path, *, data_sha256: str = "", metrics: Metrics | None = None, halted: bool = False) -> CheckpointInfo:
        """Write the policy that acts, or the last good one after a halt."""
        policy, critic = (self._good_policy, self._good_critic) if halted else self._copies()
        # The same step must always give the same bytes: a job that goes on after a crash may tell of its weights once more.
        torch.manual_seed(_mixed(self.seed, self.step, 0))
        table = self.data.held_out or self.data.windows(HELD_OUT_WINDOWS_FALLBACK)
        with torch.no_grad():
            vector = policy.seeing(table.vector.cpu(), {name: batch.cpu() for name, batch in self.data.images(table).items()})
        held_out = HeldOut.of(policy, vector, table.chunk.cpu())
        return save_checkpoint(
            path, policy=policy, critic=critic, acting=self._algorithm.acting(self.config), stage=self.stage.value,
            parent_sha256=self._parent.info.sha256 if self._parent else "", data_sha256=data_sha256, seed=self.seed,
            metrics=metrics, likelihood=_loosened(held_out.thresholds(policy)), held_out=held_out.rows(HELD_OUT_ROWS),
        )  # fmt: skip

    def _copies(self) -> tuple[ChunkPolicy, ChunkCritic | None]:
        """Of what acts now, on the processor."""
        policy, critic = copy.deepcopy(self.learner.average).cpu(), copy.deepcopy(self.learner.critic_target)
        return policy, None if critic is None else critic.cpu()

    def _good(self) -> dict[str, nn.Module]:
        named = {"good_policy": self._good_policy, "good_critic": self._good_critic}
        return {name: module for name, module in named.items() if module is not None}


def train_to_file(
    path: Path, stage: Stage, layout: PolicyLayout, episodes: Sequence[Episode], config: LearningConfig,
    parent: Checkpoint | None, seed: int,
) -> None:  # fmt: skip
    """All steps of `stage`, and its weights in `path`; nothing where these are already. For studies without a learner."""
    if path.with_suffix(".json").is_file():
        return
    session = TrainingSession(stage, layout, episodes, config, parent, seed)
    last: Metrics = {}
    session.run(session.total_steps, lambda step, metrics: last.update(metrics))
    session.save(path, metrics=last)


def _loosened(thresholds: LikelihoodThresholds) -> LikelihoodThresholds:
    return dataclasses.replace(thresholds, unlikely_nats=thresholds.unlikely_nats - EXECUTION_SLACK_NATS)


def _mixed(seed: int, step: int, process: int) -> int:
    return ((seed * 1_000_003 + step + 1) * 97 + process) % (2**63)

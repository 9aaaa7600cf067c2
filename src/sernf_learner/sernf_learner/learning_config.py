"""All settings of learning, with their defaults. A job's overrides name them with dots, such as `actor.beta`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sernf_learner.augmentation import AugmentationConfig
from sernf_learner.image_augmentation import ImageAugmentation
from sernf_learner.processes import DEVICES
from sernf_learner.rewards import RewardConfig
from sernf_learner.task_settings import TASK_SETTINGS
from sernf_policy.acting import ActingConfig
from sernf_policy.chunk_player import PlayerConfig
from sernf_policy.critic import CriticConfig
from sernf_policy.layout import CameraView, LayoutError, PolicyLayout
from sernf_policy.policy import PolicyConfig
from sernf_robot.config import ConfigError, from_mapping
from sernf_robot.joints import FINGER_JOINTS

PLAYER = PlayerConfig(execute_steps=10)


@dataclass(frozen=True, kw_only=True)
class ActorConfig:
    """`nll_weight`: of the imitation loss, the conservative term. `q_weight`: of the gradient through the critic.

    `prior_weight`: of the likelihood of what the policy that training began with would do, one of `prior_candidates` chunks, by
    the critic's choice the more the higher the `sharpness`; for a policy that has no demonstrations beside its own attempts.
    `foresight_weight`: in imitation through cameras, of what eyes are to tell besides, see sernf_learner.foresight.
    `beta`: sharpness of the advantage weights; 0 imitates all successful windows alike. `every`: critic updates for one of the
    actor. `temperature`: of the policy's own chunks that are judged while learning.
    """

    learning_rate: float = 1e-3
    rl_learning_rate: float = 3e-4
    weight_decay: float = 1e-3
    average: float = 0.005
    nll_weight: float = 1.0
    q_weight: float = 0.0
    prior_weight: float = 0.0
    prior_candidates: int = 16
    sharpness: float = 0.0
    foresight_weight: float = 1.0
    beta: float = 20.0
    largest_weight: float = 20.0
    every: int = 1
    temperature: float = 0.7

    def __post_init__(self) -> None:
        _check_positive(self, "learning_rate", "rl_learning_rate", "largest_weight", "prior_candidates", "every", "temperature")
        _check_not_negative(
            self, "weight_decay", "nll_weight", "q_weight", "prior_weight", "sharpness", "beta", "foresight_weight"
        )
        if not self.nll_weight + self.q_weight + self.prior_weight > 0.0:
            raise ValueError(
                "nll_weight, q_weight, prior_weight: expected one above 0 at least, got none; nothing would be learnt"
            )
        _check_rate(self)


@dataclass(frozen=True, kw_only=True)
class CriticTraining:
    """`average`: rate of the target network. `bootstrap`: chunk' is what was recorded next, or drawn from the policy."""

    learning_rate: float = 5e-4
    weight_decay: float = 1e-3
    average: float = 0.01
    bootstrap: str = "recorded"
    samples: int = 2
    pessimism: float = 0.0

    def __post_init__(self) -> None:
        if self.bootstrap not in ("recorded", "policy"):
            raise ValueError(f"bootstrap: expected recorded or policy, got {self.bootstrap!r}")
        _check_positive(self, "learning_rate", "samples")
        _check_not_negative(self, "weight_decay", "pessimism")
        _check_rate(self)


@dataclass(frozen=True, kw_only=True)
class GuardConfig:
    """When training halts itself and keeps the last good weights. Checked every `every` steps; `patience` bad checks in a row
    halt.

    `divergence_nats`: how much less likely, a number, the policy's samples may be under the flow that training began with than
    that flow's own. `value_bound`: values above it cannot be earned; `share_above` of the samples may exceed it.
    """

    every: int = 50
    patience: int = 4
    divergence_nats: float = 1.5
    value_bound: float = 1.05
    share_above: float = 0.2

    def __post_init__(self) -> None:
        _check_positive(self, "every", "patience", "divergence_nats", "value_bound")
        _check_not_negative(self, "share_above")


@dataclass(frozen=True, kw_only=True)
class LearningConfig:
    """One job's settings. Steps of 0 in a job mean the stage's default here.

    `absolute_joints`: see sernf_policy.layout. `centring_share`: of imitation's steps, how many fit the flow's centre alone.
    `online_share`: of the critic's batches, what comes from the policy's rollouts; `imitated_online_share`: of the actor's, from
    those that succeeded. `online_rollout_s`: a rollout counts once for each time that it lasted so long, and at least once; 0:
    once, however long. `online_schedule`: share of the learning rates' schedule at which online RL stays.
    """

    gamma: float = 0.99
    batch: int = 128
    horizon: int = 20
    observation: tuple[str, ...] = ()
    cameras: tuple[CameraView, ...] = ()
    absolute_joints: tuple[str, ...] = FINGER_JOINTS
    imitation_steps: int = 5000
    centring_share: float = 0.3
    critic_warmup_steps: int = 1000
    offline_rl_steps: int = 500
    online_steps_per_episode: int = 20
    online_episodes: int = 15
    online_rollout_s: float = 0.0
    online_schedule: float = 0.85
    online_share: float = 0.33
    imitated_online_share: float = 0.33
    held_out_share: float = 0.05
    gradient_norm: float = 1.0
    threads: int = 1
    device: str = "auto"
    save_every: int = 200
    reward: RewardConfig = field(default_factory=RewardConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    critic: CriticConfig = field(default_factory=CriticConfig)
    actor: ActorConfig = field(default_factory=ActorConfig)
    critic_training: CriticTraining = field(default_factory=CriticTraining)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    image_augmentation: ImageAugmentation = field(default_factory=ImageAugmentation)
    guard: GuardConfig = field(default_factory=GuardConfig)
    imitation_acting: ActingConfig = field(default_factory=lambda: ActingConfig(temperature=0.3, player=PLAYER))
    acting: ActingConfig = field(default_factory=lambda: ActingConfig(temperature=0.4, candidates=4, player=PLAYER))

    def __post_init__(self) -> None:
        if not 0.0 < self.gamma < 1.0:
            raise ValueError(f"gamma: expected more than 0 and less than 1, got {self.gamma}")
        _check_positive(self, "batch", "horizon", "threads", "save_every", "gradient_norm")
        _check_positive(self, "imitation_steps", "critic_warmup_steps", "offline_rl_steps")
        _check_positive(self, "online_steps_per_episode", "online_episodes")
        _check_not_negative(self, "online_rollout_s")
        if self.device not in DEVICES:
            raise ValueError(f"device: expected one of {', '.join(DEVICES)}, got {self.device!r}")
        for name in ("online_schedule", "online_share", "imitated_online_share", "held_out_share", "centring_share"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ValueError(f"{name}: expected at least 0 and less than 1, got {getattr(self, name)}")

    def online_steps_for(self, rollout_s: float) -> int:
        """Gradient steps of online RL for a rollout of `rollout_s`."""
        return self.online_steps_per_episode * (max(1, round(rollout_s / self.online_rollout_s)) if self.online_rollout_s else 1)

    def layout(self, task: str) -> PolicyLayout:
        """What a new policy of `task` sees and does. Raises sernf_policy.layout.LayoutError."""
        if not self.observation:
            raise LayoutError(
                f"expected to be told what a policy of the task '{task}' sees: name the terms with the override `observation`"
            )
        return PolicyLayout(
            task=task,
            observation=self.observation,
            cameras=self.cameras,
            absolute_joints=self.absolute_joints,
            horizon=self.horizon,
        )


def _check_positive(config: object, *names: str) -> None:
    for name in names:
        if getattr(config, name) <= 0:
            raise ValueError(f"{name}: expected more than 0, got {getattr(config, name)}")


def _check_not_negative(config: object, *names: str) -> None:
    for name in names:
        if getattr(config, name) < 0:
            raise ValueError(f"{name}: expected 0 or more, got {getattr(config, name)}")


def _check_rate(config: ActorConfig | CriticTraining) -> None:
    if not 0.0 < config.average <= 1.0:
        raise ValueError(f"average: expected more than 0 and at most 1, got {config.average}")


def learning_config(overrides: Mapping[str, Any]) -> LearningConfig:
    """Defaults with `overrides`, whose keys may name nested settings with dots. Raises sernf_robot.config.ConfigError."""
    nested: dict[str, Any] = {}
    for key, value in overrides.items():
        *groups, last = key.split(".")
        mapping = nested
        for group in groups:
            mapping = mapping.setdefault(group, {})
            if not isinstance(mapping, dict):
                raise ConfigError(f"overrides: expected {group} to be a group of settings, got {mapping!r} and {key}")
        if isinstance(value, Mapping):
            group_of = mapping.setdefault(last, {})
            group_of.update(value)
        else:
            mapping[last] = value
    config: LearningConfig = from_mapping(LearningConfig, _over(dataclasses.asdict(LearningConfig()), nested), where="overrides")
    return config


def task_config(task: str, overrides: Mapping[str, Any]) -> LearningConfig:
    """Settings of `task` with `overrides`; a task without settings has the defaults. Raises sernf_robot.config.ConfigError."""
    return learning_config({**TASK_SETTINGS.get(task, {}), **overrides})


def _over(defaults: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`defaults` with `changes`, group by group: whoever changes one setting of `acting` keeps the others as they are here, which
    are not those of ActingConfig.
    """
    both = {**defaults, **changes}
    groups = [name for name, value in changes.items() if isinstance(value, Mapping) and isinstance(defaults.get(name), Mapping)]
    return both | {name: _over(defaults[name], changes[name]) for name in groups}

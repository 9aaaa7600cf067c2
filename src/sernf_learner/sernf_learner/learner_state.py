"""What training changes: networks, their averages, optimisers and the count of steps; saved as data and read back exactly."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from sernf_learner.foresight import Foresight
from sernf_learner.learning_config import LearningConfig
from sernf_learner.processes import average_gradients, chosen_device
from sernf_policy.checkpoint import Checkpoint
from sernf_policy.critic import ChunkCritic
from sernf_policy.layout import PolicyLayout
from sernf_policy.policy import ChunkPolicy
from sernf_teleop.episode_files import sync


class LearnerState:
    """`actor` is trained, `average` (an exponential average of it) acts and gives targets. `frozen`: the flow that training began
    with, against which divergence is measured; None while imitating. `foresight`: None unless eyes are trained. `critic` and
    `critic_target`: None before the warm-up. All are on `device`.
    """

    def __init__(self, layout: PolicyLayout, config: LearningConfig, parent: Checkpoint | None, *, with_critic: bool) -> None:
        self.layout, self.config, self.device = layout, config, chosen_device(config.device)
        self.actor = ChunkPolicy(layout, config.policy) if parent is None else copy.deepcopy(parent.policy)
        self.average = copy.deepcopy(self.actor)
        self.frozen = None if parent is None else copy.deepcopy(parent.policy)
        self.foresight: Foresight | None = None
        if parent is None and layout.cameras and config.actor.foresight_weight > 0.0:
            self.foresight = Foresight(sum(view.features for view in layout.cameras)).to(self.device)
        self.critic: ChunkCritic | None = None
        self.critic_target: ChunkCritic | None = None
        if with_critic:
            self.critic = self._first_critic(layout, config, parent)
            self.critic_target = copy.deepcopy(self.critic)
        for module in (self.average, self.frozen, self.critic_target):
            if module is not None:
                module.eval().requires_grad_(False)
        if parent is not None:
            # The critic learns with what they see: they may not change under it.
            self.actor.eyes.requires_grad_(False)
        for module in (self.actor, self.average, self.frozen, self.critic, self.critic_target):
            if module is not None:
                module.to(self.device)
        actor, critic = config.actor, config.critic_training
        self._actor_rate = actor.learning_rate if parent is None else actor.rl_learning_rate
        self.actor_optimiser = torch.optim.AdamW(self._acting(), lr=self._actor_rate, weight_decay=actor.weight_decay, fused=True)
        self.critic_optimiser = torch.optim.AdamW(
            [nn.Parameter(torch.zeros(1))] if self.critic is None else self.critic.parameters(),
            lr=critic.learning_rate, weight_decay=critic.weight_decay, fused=True,
        )  # fmt: skip
        self.step = 0

    def _first_critic(self, layout: PolicyLayout, config: LearningConfig, parent: Checkpoint | None) -> ChunkCritic:
        if parent is not None and parent.critic is not None:
            return copy.deepcopy(parent.critic).train().requires_grad_(True)
        critic = ChunkCritic(layout, config.critic)
        critic.copy_normalisation(self.actor.encoder.standardiser, self.actor.normaliser)
        return critic

    def step_actor(self, loss: Tensor, share_done: float) -> float:
        """One optimiser step of the actor with a cosine schedule; returns the gradient's norm."""
        norm = self._step(self.actor_optimiser, self._acting(), loss, self._actor_rate * schedule(share_done))
        _move_towards(self.average, self.actor, self.config.actor.average)
        return norm

    def step_critic(self, loss: Tensor, share_done: float) -> float:
        """One optimiser step of the critic; returns the gradient's norm. Raises RuntimeError without a critic."""
        critic, target = self.critics()
        rate = self.config.critic_training.learning_rate * schedule(share_done)
        norm = self._step(self.critic_optimiser, critic.parameters(), loss, rate)
        _move_towards(target, critic, self.config.critic_training.average)
        return norm

    def critics(self) -> tuple[ChunkCritic, ChunkCritic]:
        """Critic and its target network; raises RuntimeError when this stage has none."""
        if self.critic is None or self.critic_target is None:
            raise RuntimeError("expected a critic; start from weights of the stage critic_warmup")
        return self.critic, self.critic_target

    def _acting(self) -> list[nn.Parameter]:
        """What is trained with the actor."""
        return [*self.actor.parameters(), *([] if self.foresight is None else self.foresight.parameters())]

    def _step(self, optimiser: torch.optim.Optimizer, parameters: Iterable[nn.Parameter], loss: Tensor, rate: float) -> float:
        parameters = list(parameters)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        average_gradients(parameters)
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.config.gradient_norm)
        for group in optimiser.param_groups:
            group["lr"] = rate
        if bool(torch.isfinite(norm)):
            optimiser.step()
        return float(norm)

    def tensors(self) -> dict[str, Tensor]:
        """Everything that training changes, by name."""
        found: dict[str, Tensor] = {"step": torch.tensor(self.step)}
        for name, module in self._modules().items():
            found |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
        for name, optimiser in (("actor_optimiser", self.actor_optimiser), ("critic_optimiser", self.critic_optimiser)):
            for number, values in optimiser.state_dict()["state"].items():
                found |= {f"{name}.{number}.{key}": torch.as_tensor(value) for key, value in values.items()}
        return {key: value.detach().cpu().contiguous().clone() for key, value in found.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Inverse of `tensors`; raises KeyError or RuntimeError for those of another configuration."""
        self.step = int(tensors["step"])
        for name, module in self._modules().items():
            module.load_state_dict(under(tensors, name))
        for name, optimiser in (("actor_optimiser", self.actor_optimiser), ("critic_optimiser", self.critic_optimiser)):
            state: dict[int, dict[str, Any]] = {}
            for key, value in under(tensors, name).items():
                number, _, field = key.partition(".")
                state.setdefault(int(number), {})[field] = value
            optimiser.load_state_dict({**optimiser.state_dict(), "state": state})

    def _modules(self) -> dict[str, nn.Module]:
        named = {
            "actor": self.actor, "average": self.average, "foresight": self.foresight,
            "critic": self.critic, "critic_target": self.critic_target,
        }  # fmt: skip
        return {name: module for name, module in named.items() if module is not None}


def schedule(share_done: float) -> float:
    """Learning rate as a share of its full value: a short warm-up, then a cosine down to a tenth."""
    return min(1.0, share_done / 0.05 + 0.02) * (0.1 + 0.9 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, share_done))))


def write_state(file: Path, tensors: dict[str, Tensor], about: Mapping[str, str] | None = None) -> None:
    """Replace `file`, with the texts `about` in its header; durable on return, and whole whenever a crash comes."""
    temporary = file.with_name(file.name + ".new")
    with temporary.open("wb") as stream:
        stream.write(save(tensors, metadata=dict(about or {})))
        stream.flush()
    sync(temporary)
    temporary.replace(file)
    sync(file.parent)


def read_state(file: Path) -> dict[str, Tensor]:
    """What `write_state` wrote."""
    return load_file(file)


def read_about(file: Path) -> dict[str, str]:
    """The texts that `write_state` wrote, without the tensors."""
    with safe_open(file, framework="pt") as opened:
        return dict(opened.metadata() or {})


def under(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Those whose names begin with `name` and a dot, without these."""
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}


@torch.no_grad()
def _move_towards(average: nn.Module, module: nn.Module, rate: float) -> None:
    torch._foreach_lerp_(list(average.parameters()), list(module.parameters()), rate)

"""Proximal policy optimisation (arXiv 1707.06347) in one file: networks, advantages, update. Knows nothing of any task.

The policy is a Gaussian around a network's output; its standard deviation is not learnt but given, so that a curriculum can
narrow it. With several processes gradients, statistics of observations and the divergence are averaged, so that all stay alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sernf_learner.processes import average_gradients, mean_metrics

Floats = NDArray[np.float64]
Array32 = NDArray[np.float32]
CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class PpoConfig:
    """`steps`: a copy before an update. `rates`: within which the learning rate follows the divergence that is wanted."""

    hidden: tuple[int, ...] = (256, 128, 64)
    steps: int = 32
    epochs: int = 4
    batch: int = 2048
    gamma: float = 0.99
    trace: float = 0.95
    clip: float = 0.2
    value_weight: float = 1.0
    gradient_norm: float = 1.0
    reward_scale: float = 0.1
    learning_rate: float = 5e-4
    rates: tuple[float, float] = (1e-5, 1e-3)

    def __post_init__(self) -> None:
        if not 0.0 < self.gamma < 1.0 or not 0.0 <= self.trace <= 1.0:
            raise ValueError(f"expected gamma between 0 and 1 and trace from 0 to 1, got {self.gamma} and {self.trace}")
        for name in ("steps", "epochs", "batch", "clip", "gradient_norm", "reward_scale", "learning_rate"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: expected more than 0, got {getattr(self, name)}")


def advantages(reward: Floats, value: Floats, next_value: Floats, ended: NDArray[np.bool_], gamma: float, trace: float) -> Floats:
    """Generalised advantages (T, n), arXiv 1506.02438 equation 16.

    All (T, n). `next_value`: of the state that the step led to, 0 where nothing is to be had any more; `ended`: the next row
    belongs to another episode.
    """
    result = np.zeros_like(reward)
    running = np.zeros(reward.shape[1])
    for step in range(len(reward) - 1, -1, -1):
        surprise = reward[step] + gamma * next_value[step] - value[step]
        running = surprise + gamma * trace * np.where(ended[step], 0.0, running)
        result[step] = running
    return result


class Standardiser(nn.Module):
    """Shifts and scales observations by what has been seen of them; mean and variance are buffers and go with the weights."""

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, size: int, bound: float = 10.0) -> None:
        super().__init__()
        self._bound = bound
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("variance", torch.ones(size))
        self.register_buffer("count", torch.tensor(1e-4))

    def forward(self, vector: Tensor) -> Tensor:
        """Standardised (..., size), clipped."""
        scaled: Tensor = (vector - self.mean) / (self.variance.sqrt() + 1e-4)
        return scaled.clamp(-self._bound, self._bound)

    @torch.no_grad()
    def update(self, vector: Tensor) -> None:
        """Take in rows (n, size), of all processes; Chan et al.'s parallel variance."""
        new_mean, new_square = vector.double().mean(0), (vector.double() ** 2).mean(0)
        moments = torch.cat([new_mean, new_square])
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(moments)
            moments /= torch.distributed.get_world_size()
        new_mean, new_square = moments.chunk(2)
        new_variance = (new_square - new_mean**2).clamp(min=0.0)
        number = float(len(vector))
        total = float(self.count) + number
        shift = new_mean - self.mean
        share = number / total
        within = self.variance * (1.0 - share) + new_variance * share
        self.mean.copy_(self.mean + shift * share)
        self.variance.copy_(within + shift**2 * share * (1.0 - share))
        self.count.fill_(total)


def _network(inputs: int, hidden: tuple[int, ...], outputs: int, last_gain: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [_linear(inputs, size, 2**0.5), nn.ELU()]
        inputs = size
    return nn.Sequential(*layers, _linear(inputs, outputs, last_gain))


def _linear(inputs: int, outputs: int, gain: float) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


class ActorCritic(nn.Module):
    """Observation (n, inputs) to mean action (n, outputs) and value (n,)."""

    def __init__(self, inputs: int, outputs: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.standardiser = Standardiser(inputs)
        self.actor = _network(inputs, hidden, outputs, 0.01)
        self.critic = _network(inputs, hidden, 1, 1.0)

    def act(self, vector: Tensor) -> Tensor:
        """Mean action (n, outputs)."""
        action: Tensor = self.actor(self.standardiser(vector))
        return action

    def value(self, vector: Tensor) -> Tensor:
        """Value (n,), in scaled reward."""
        value: Tensor = self.critic(self.standardiser(vector))[:, 0]
        return value


@dataclass
class Batch:
    """What was collected, flat: rows are steps of copies."""

    vector: Tensor
    action: Tensor
    log_prob: Tensor
    advantage: Tensor
    goal: Tensor


def log_prob(action: Tensor, mean: Tensor, deviation: float) -> Tensor:
    """Of actions (n, a) under a Gaussian with the same deviation in all directions, up to a constant."""
    return -0.5 * (((action - mean) / deviation) ** 2).sum(-1)


class Ppo:
    """Networks, optimiser and update; `state` and `restore` for a training that was killed."""

    def __init__(self, config: PpoConfig, inputs: int, outputs: int, seed: int) -> None:
        self.config = config
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.networks = ActorCritic(inputs, outputs, config.hidden)
        self.rate = config.learning_rate
        self._optimiser = torch.optim.Adam(self.networks.parameters(), lr=self.rate, eps=1e-5)

    @torch.no_grad()
    def act(self, observation: Array32, deviation: float, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
        """Actions (n, a), their log-probabilities (n,) and values (n,) of observations (n, o)."""
        vector = torch.from_numpy(observation)
        mean = self.networks.act(vector)
        noise = torch.from_numpy(rng.standard_normal(mean.shape, dtype=np.float32))
        action = mean + deviation * noise
        return action.numpy(), log_prob(action, mean, deviation).numpy(), self.networks.value(vector).numpy()

    @torch.no_grad()
    def value(self, observation: Array32) -> Floats:
        """Values (n,)."""
        return self.networks.value(torch.from_numpy(observation)).numpy()

    def update(self, batch: Batch, deviation: float, divergence_nats: float, rng: np.random.Generator) -> dict[str, float]:
        """Several epochs over what was collected with this deviation; returns means of what is worth watching.

        `divergence_nats`: of the new policy from the old one, about; the learning rate is lowered and raised for it.
        """
        config, networks = self.config, self.networks
        advantage = (batch.advantage - batch.advantage.mean()) / (batch.advantage.std() + 1e-8)
        parameters = list(networks.parameters())
        sums: dict[str, float] = {}
        count = 0
        for _ in range(config.epochs):
            divergence = 0.0
            parts = 0
            for rows in _minibatches(len(advantage), config.batch, rng):
                mean, value = networks.act(batch.vector[rows]), networks.value(batch.vector[rows])
                log_ratio = log_prob(batch.action[rows], mean, deviation) - batch.log_prob[rows]
                ratio = log_ratio.exp()
                gain = torch.minimum(
                    ratio * advantage[rows], ratio.clamp(1.0 - config.clip, 1.0 + config.clip) * advantage[rows]
                ).mean()
                value_loss = 0.5 * ((value - batch.goal[rows]) ** 2).mean()
                self._optimiser.zero_grad()
                (config.value_weight * value_loss - gain).backward()  # type: ignore[no-untyped-call]
                average_gradients(parameters)
                norm = nn.utils.clip_grad_norm_(parameters, config.gradient_norm)
                self._optimiser.step()
                with torch.no_grad():
                    # Schulman's estimator: never negative, and with little variance.
                    part = float((ratio - 1.0 - log_ratio).mean())
                    clipped = float(((ratio - 1.0).abs() > config.clip).float().mean())
                divergence += part
                parts += 1
                count += 1
                seen = {"divergence": part, "clipped": clipped, "value_loss": float(value_loss.detach()), "gradient": float(norm)}
                sums = {name: sums.get(name, 0.0) + figure for name, figure in seen.items()}
            self._follow(mean_metrics({"divergence": divergence / parts}, CPU)["divergence"], divergence_nats)
        explained = 1.0 - float(batch.advantage.var() / batch.goal.var().clamp(min=1e-8))
        return {**{name: figure / count for name, figure in sums.items()}, "rate": self.rate, "explained": explained}

    def state(self) -> dict[str, Any]:
        """For a checkpoint: tensors and numbers."""
        return {"networks": self.networks.state_dict(), "optimiser": self._optimiser.state_dict(), "rate": self.rate}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self.networks.load_state_dict(state["networks"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.rate = float(state["rate"])

    def _follow(self, seen_nats: float, wanted_nats: float) -> None:
        low, high = self.config.rates
        if seen_nats > 2.0 * wanted_nats:
            self.rate = max(self.rate / 1.5, low)
        elif seen_nats < 0.5 * wanted_nats:
            self.rate = min(self.rate * 1.5, high)
        for group in self._optimiser.param_groups:
            group["lr"] = self.rate


def _minibatches(count: int, size: int, rng: np.random.Generator) -> Iterator[Tensor]:
    order = torch.from_numpy(rng.permutation(count))
    for begin in range(0, count, size):
        yield order[begin : begin + size]

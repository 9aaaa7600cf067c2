"""Losses and targets against numbers computed by hand."""

from __future__ import annotations

import copy

import pytest
import torch
from learning_data import LAYOUT, config, demonstrations
from torch import Tensor, nn

from sernf_learner.chunks import ChunkTable
from sernf_learner.losses import (
    advantage_weight,
    centring_loss,
    chunk_target,
    critic_loss,
    imitation_loss,
    prior_loss,
    value_gradient_loss,
)
from sernf_learner.training_data import TrainingData
from sernf_policy.policy import ChunkPolicy


class Values(nn.Module):
    """A critic of two members that says `values` (2,) to everything."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.tensor(values))

    def forward(self, vector: Tensor, chunk: Tensor) -> Tensor:
        return self.values[:, None].expand(-1, len(vector))


def rows(reward: list[float], discount: list[float]) -> ChunkTable:
    size = len(reward)
    vector, chunk = torch.zeros(size, 48), torch.zeros(size, 4, 24)
    zeros = torch.zeros(size)
    return ChunkTable(vector, chunk, torch.tensor(reward), vector, chunk, torch.tensor(discount), zeros, zeros, zeros)


def target(table: ChunkTable, critic: Values, pessimism: float = 0.0) -> list[float]:
    found = chunk_target(table, critic, torch.zeros(len(table), 3, 4, 24), pessimism=pessimism)  # type: ignore[arg-type]
    return found.tolist()


def test_targets_bootstrap_only_where_something_follows() -> None:
    assert target(rows([0.0, 0.9, 0.0], [0.5, 0.0, 0.0]), Values(0.4, 0.8)) == pytest.approx([0.3, 0.9, 0.0])


def test_targets_stay_within_what_can_be_earned() -> None:
    table = rows([0.0, 0.9, 0.0], [0.9, 0.9, 0.0])
    assert target(table, Values(5.0, 5.0)) == pytest.approx([1.0, 1.0, 0.0])
    assert target(table, Values(-5.0, -5.0)) == pytest.approx([0.0, 0.0, 0.0])


def test_pessimism_takes_off_what_the_ensemble_disagrees_about() -> None:
    assert target(rows([0.0], [1.0]), Values(0.4, 0.8), pessimism=1.5) == pytest.approx([0.3])


def test_the_critic_learns_with_every_member() -> None:
    critic = Values(0.0, 1.0)
    loss, metrics = critic_loss(critic, torch.zeros(5, 48), torch.zeros(5, 4, 24), torch.full((5,), 0.5))  # type: ignore[arg-type]
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == pytest.approx(0.25)
    assert critic.values.grad is not None and critic.values.grad.tolist() == pytest.approx([-0.5, 0.5])
    assert metrics["q_data"] == pytest.approx(0.5) and metrics["q_spread"] == pytest.approx(0.5)


def test_advantage_weights_rise_with_the_advantage_up_to_the_largest() -> None:
    table, baseline = rows([0.0] * 4, [0.0] * 4), torch.tensor([1.0, 0.6, 0.5, 0.01])
    weight = advantage_weight(Values(0.6, 0.6), table, baseline, beta=2.0, largest=1.6)  # type: ignore[arg-type]
    assert (weight.diff() >= 0).all() and weight[0] < 1.0
    assert weight[1] == pytest.approx(1.0) and weight[3] == pytest.approx(1.6)
    flat = advantage_weight(Values(0.6, 0.6), table, baseline, beta=0.0, largest=5.0)  # type: ignore[arg-type]
    assert flat.tolist() == [1.0] * 4


@pytest.fixture
def policy() -> ChunkPolicy:
    torch.manual_seed(0)
    made = ChunkPolicy(LAYOUT, config().policy)
    data = TrainingData(demonstrations(), LAYOUT, config(), 0).imitation_set()
    made.fit_normaliser(data.vector, data.chunk)
    return made


@pytest.mark.parametrize("beyond", [1.0, 1.5])
def test_saturated_actions_can_be_imitated(policy: ChunkPolicy, beyond: float) -> None:
    vector = torch.zeros(6, 48)
    scaled = beyond * torch.tensor([1.0, -1.0]).repeat(3)[:, None, None].expand(6, 4, 24)
    chunk = policy.normaliser.from_scaled(scaled, policy.commanded({"vector": vector}))
    loss, metrics = imitation_loss(policy, vector, chunk)
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss) and metrics["nll"] == pytest.approx(float(loss.detach()))
    gradients = [parameter.grad for parameter in policy.parameters()]
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)


def test_chunks_count_by_their_weights(policy: ChunkPolicy) -> None:
    torch.manual_seed(1)
    vector, chunk = torch.randn(2, 48), torch.randn(2, 4, 24)
    chunk = 0.05 * chunk + vector[:, None, 24:]

    def loss(weight: Tensor | None) -> float:
        torch.manual_seed(2)
        return float(imitation_loss(policy, vector, chunk, weight)[0].detach())

    both, first, second = loss(None), loss(torch.tensor([1.0, 0.0])), loss(torch.tensor([0.0, 7.0]))
    assert both == pytest.approx((first + second) / 2, rel=1e-5) and first != pytest.approx(second, rel=1e-6)
    assert loss(torch.zeros(2)) == 0.0


def test_centring_finds_the_mean_where_the_likelihood_has_hardly_begun() -> None:
    """Sixty steps, a mean that hangs on the observation: whoever drops the first phase gets the mean wrong by more."""
    errors = {}
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(256, LAYOUT.observation_size, generator=generator)
    moves = 0.3 * torch.sin(2.0 * vector[:, None, :1]).expand(-1, LAYOUT.horizon, LAYOUT.action_size)
    chunk = vector[:, None, 24:48] + moves
    for name, loss_of in (("centring", centring_loss), ("likelihood", imitation_loss)):
        torch.manual_seed(0)
        made = ChunkPolicy(LAYOUT, config().policy)
        made.fit_normaliser(vector, chunk)
        optimiser = torch.optim.Adam(made.parameters(), lr=1e-3)
        for _step in range(60):
            optimiser.zero_grad()
            loss_of(made, vector, chunk)[0].backward()
            optimiser.step()
        error = made.squared_error({"vector": vector}, chunk)
        assert error is not None
        errors[name] = float(error.mean().detach())
    assert errors["centring"] < 0.7 * errors["likelihood"]


def test_a_flow_without_a_centre_learns_by_its_likelihood_from_the_beginning(
    policy: ChunkPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy.flow, "centre", lambda code: None)
    vector, chunk = torch.zeros(6, 48), torch.zeros(6, 4, 24)
    torch.manual_seed(3)
    centring, metrics = centring_loss(policy, vector, chunk)
    torch.manual_seed(3)
    assert torch.equal(centring, imitation_loss(policy, vector, chunk)[0]) and metrics.keys() == {"nll"}


class Peak(nn.Module):
    """A critic of one member that likes chunks at `place` rad best; it keeps what it was asked about."""

    def __init__(self, place: float) -> None:
        super().__init__()
        self.place, self.asked = place, torch.zeros(0)

    def forward(self, vector: Tensor, chunk: Tensor) -> Tensor:
        self.asked = chunk
        return 1.0 - (chunk - self.place).square().flatten(1).mean(-1)[None]


def test_without_sharpness_the_prior_is_best_where_nothing_has_changed() -> None:
    torch.manual_seed(0)
    data = TrainingData(demonstrations(), LAYOUT, config(), 0)
    table = data.windows(200)
    frozen, moved = (ChunkPolicy(LAYOUT, config().policy) for _ in range(2))
    frozen.fit_normaliser(table.vector, table.chunk)
    moved.load_state_dict(frozen.state_dict())
    with torch.no_grad():
        for parameter in moved.flow.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    critic = Peak(0.05)
    same, metrics = prior_loss(frozen, frozen, critic, table.vector, candidates=2, sharpness=0.0)  # type: ignore[arg-type]
    other, _ = prior_loss(moved, frozen, critic, table.vector, candidates=2, sharpness=0.0)  # type: ignore[arg-type]
    assert float(other.detach()) > float(same.detach()) + 0.01
    assert metrics["nll_prior"] == pytest.approx(float(same.detach()))
    other.backward()  # type: ignore[no-untyped-call]
    assert any(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in moved.parameters())


def test_the_critic_moves_the_policy_as_far_within_the_prior_as_the_sharpness_says(policy: ChunkPolicy) -> None:
    vector, critic = torch.zeros(256, 48), Peak(0.05)
    prior = copy.deepcopy(policy)
    torch.manual_seed(0)
    with torch.no_grad():
        before = float(critic(vector, prior.sample({"vector": vector}, 1, 1.0).chunk[:, 0]).mean())
    gained, distance = {}, {}
    for sharpness in (0.0, 1.0, 3.0):
        moved = copy.deepcopy(prior)
        optimiser = torch.optim.Adam(moved.parameters(), lr=1e-3)
        for _ in range(80):
            loss, _ = prior_loss(moved, prior, critic, vector, candidates=16, sharpness=sharpness)  # type: ignore[arg-type]
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        with torch.no_grad():
            chunk = moved.sample({"vector": vector}, 1, 1.0).chunk[:, 0]
            gained[sharpness] = float(critic(vector, chunk).mean()) - before
            lost_nats = prior.log_prob({"vector": vector}, chunk) - moved.log_prob({"vector": vector}, chunk)
            distance[sharpness] = float(-lost_nats.mean())
    assert gained[0.0] == pytest.approx(0.0, abs=0.2 * gained[3.0])
    assert gained[0.0] < gained[1.0] < gained[3.0]
    assert distance[3.0] < 6.0, "nats: as near as what the prior does by itself once in a few hundred chunks"


def test_the_value_gradient_judges_samples_of_its_temperature_and_leads_to_better_ones(policy: ChunkPolicy) -> None:
    vector, critic = torch.zeros(64, 48), Peak(0.05)
    middle = policy.sample({"vector": vector}, 1, 0.0).chunk[:, 0]
    distance = {}
    for temperature in (0.1, 0.5):
        value_gradient_loss(policy, critic, vector, temperature)  # type: ignore[arg-type]
        distance[temperature] = float((critic.asked - middle).abs().mean().detach())
    assert 0.0 < 2.0 * distance[0.1] < distance[0.5]
    optimiser = torch.optim.Adam(policy.parameters(), lr=1e-3)
    values = []
    for _ in range(40):
        loss, metrics = value_gradient_loss(policy, critic, vector, 0.1)  # type: ignore[arg-type]
        values.append(metrics["q_actor"])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert values[-1] > values[0]

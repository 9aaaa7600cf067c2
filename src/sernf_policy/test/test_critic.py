"""The chunk critic: members that know nothing of each other, and a normalisation of its own."""

from __future__ import annotations

import pytest
import torch
from small_policies import SMALL_CRITIC, small_critic, small_data, small_layout, small_policy
from torch import nn

from sernf_policy.critic import ChunkCritic, CriticConfig, EnsembleLinear, EnsembleNorm
from sernf_policy.normaliser import ChunkNormaliser


def test_a_member_is_an_ordinary_layer() -> None:
    x = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    linear, norm = EnsembleLinear(3, 7, 4), EnsembleNorm(3, 4)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    together = norm(linear(x.expand(3, 5, 7)))
    for member in range(3):
        alone = nn.functional.linear(x, linear.weight[member].T, linear.bias[member, 0])
        alone = nn.functional.layer_norm(alone, (4,), norm.weight[member, 0], norm.bias[member, 0])
        torch.testing.assert_close(together[member], alone, atol=1e-5, rtol=1e-5)


def test_members_start_apart_and_learn_apart() -> None:
    critic = small_critic(small_policy())
    values = critic(*small_data(critic.layout, 6))
    assert values.shape == (SMALL_CRITIC.members, 6)
    assert (values.std(0) > 0).all()
    values[1].sum().backward()
    for parameter in critic.network.parameters():
        assert parameter.grad is not None
        assert parameter.grad[1].any() and not parameter.grad[0].any() and not parameter.grad[2].any()


def test_the_whole_chunk_counts_when_every_component_is_seen() -> None:
    policy = small_policy()
    critic = small_critic(policy, CriticConfig(members=1, hidden=16, layers=2, components=0))
    vectors, chunks = small_data(policy.layout, 1)
    chunks.requires_grad_()
    critic(vectors, chunks).sum().backward()
    assert chunks.grad is not None and chunks.grad.abs().min() > 0


def test_what_lies_behind_the_components_is_not_seen() -> None:
    policy = small_policy()
    critic = small_critic(policy)
    vectors, chunks = small_data(policy.layout, 4)
    commanded = policy.commanded({"vector": vectors})
    whitened, _ = critic.normaliser(critic.normaliser.scaled(chunks, commanded))
    changed = whitened.clone()
    changed[:, SMALL_CRITIC.components :] += 0.1
    other = critic.normaliser.from_scaled(critic.normaliser.inverse(changed)[0], commanded)
    with torch.no_grad():
        torch.testing.assert_close(critic(vectors, other), critic(vectors, chunks), atol=1e-4, rtol=1e-4)


def test_a_critic_of_few_steps_sees_no_later_ones_and_whitens_what_it_sees() -> None:
    policy = small_policy()
    critic = small_critic(policy, CriticConfig(members=1, hidden=16, layers=2, components=0, steps=1))
    vectors, chunks = small_data(policy.layout, 400)
    alone = ChunkNormaliser(1, policy.layout.counted)
    config, commanded = policy.config, policy.commanded({"vector": vectors})
    alone.fit(
        chunks[:, :1], commanded, margin=config.margin, smallest_half_range_rad=config.smallest_half_range_rad, noise=config.noise
    )
    policy.fit_normaliser(vectors, chunks)
    critic.copy_normalisation(policy.encoder.standardiser, policy.normaliser)
    torch.testing.assert_close(critic.normaliser.low, alone.low)
    torch.testing.assert_close(critic.normaliser.colour @ critic.normaliser.colour.T, alone.colour @ alone.colour.T)
    changed = chunks.clone()
    changed[:, 1:] += 0.1
    with torch.no_grad():
        torch.testing.assert_close(critic(vectors, changed), critic(vectors, chunks))
        assert not torch.equal(critic(vectors, chunks + 0.1), critic(vectors, chunks))


def test_the_policy_may_change_its_normalisation_without_changing_values() -> None:
    policy = small_policy()
    critic = small_critic(policy)
    vectors, chunks = small_data(policy.layout, 4)
    with torch.no_grad():
        before = critic(vectors, chunks)
        policy.fit_normaliser(vectors * 2.0, chunks * 2.0)
        assert torch.equal(critic(vectors, chunks), before)


def test_a_chunk_far_outside_the_data_gives_a_finite_value() -> None:
    critic = small_critic(small_policy())
    vectors, chunks = small_data(critic.layout, 2)
    assert torch.isfinite(critic(vectors * 1e6, chunks * 1e6)).all()


def test_more_components_than_numbers_means_all() -> None:
    assert ChunkCritic(small_layout(joints=1, horizon=3), CriticConfig(components=32)).components == 3


@pytest.mark.parametrize(("field", "value"), [("members", 0), ("hidden", 0), ("layers", 0), ("components", -1)])
def test_impossible_configurations_are_refused(field: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{field}: expected"):
        CriticConfig(**{field: value})

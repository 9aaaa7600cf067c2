"""The policy's density: in rad, over the whole chunk, with every Jacobian counted once."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_policies import SMALL, small_data, small_layout, small_policy
from torch import Tensor

from sernf_policy.normaliser import EDGE
from sernf_policy.policy import ChunkPolicy, PolicyConfig


def of(policy: ChunkPolicy, rows: int = 16, seed: int = 5) -> tuple[dict[str, Tensor], Tensor]:
    vectors, chunks = small_data(policy.layout, rows, seed)
    return {"vector": vectors}, chunks


def test_one_dimension_integrates_to_one_over_the_box_in_rad() -> None:
    policy = small_policy(small_layout(joints=1, horizon=1)).double()
    observation, _ = of(policy, rows=3)
    for vector in observation["vector"].double():
        low = vector[1] + policy.normaliser.low[0, 0]
        high = vector[1] + policy.normaliser.high[0, 0]
        inset = 0.5 * EDGE * (high - low)
        grid = torch.linspace(float(low + inset), float(high - inset), 20001, dtype=torch.float64)
        density = policy.log_prob({"vector": vector.expand(len(grid), -1)}, grid[:, None, None]).exp()
        assert torch.trapezoid(density, grid).item() == pytest.approx(1.0, abs=5e-3)


@pytest.mark.parametrize(("joints", "horizon"), [(2, 1), (1, 2)])
def test_two_dimensions_integrate_to_one_over_the_box_in_rad(joints: int, horizon: int) -> None:
    policy = small_policy(small_layout(joints=joints, horizon=horizon)).double()
    observation, _ = of(policy, rows=1)
    vector = observation["vector"].double()
    commanded = policy.commanded({"vector": vector})
    ends = (torch.full((1, horizon, joints), sign * (1.0 - EDGE), dtype=torch.float64) for sign in (-1.0, 1.0))
    corners = [policy.normaliser.from_scaled(end, commanded).ravel() for end in ends]
    axes = [torch.linspace(float(low), float(high), 301, dtype=torch.float64) for low, high in zip(*corners, strict=True)]
    points = torch.cartesian_prod(*axes).reshape(-1, horizon, joints)
    density = policy.log_prob({"vector": vector.expand(len(points), -1)}, points).exp().reshape(301, 301)
    assert torch.trapezoid(torch.trapezoid(density, axes[1]), axes[0]).item() == pytest.approx(1.0, abs=1e-2)


def test_the_jacobian_of_tanh_counts_once() -> None:
    """Torch's own transformed distributions as judge, for the conditional Gaussian without whitening."""
    layout = small_layout(joints=2, horizon=2)
    policy = small_policy(layout, PolicyConfig(encoder_hidden=8, code_size=4, blocks=0, affine_hidden=8)).double()
    normaliser = policy.normaliser
    for matrix in (normaliser.whiten, normaliser.colour):
        matrix.copy_(torch.eye(4, dtype=torch.float64))
    normaliser.mean.zero_()
    normaliser.log_det_whiten.zero_()
    observation, chunks = of(policy, rows=8)
    observation, chunks = {"vector": observation["vector"].double()}, chunks.double()
    code = policy.encoder(observation)
    shift, log_scale = policy.flow.blocks()[0].shift_and_log_scale(code)  # type: ignore[union-attr, operator]
    half = ((normaliser.high - normaliser.low) / 2).ravel()
    middle = ((normaliser.high + normaliser.low) / 2).ravel() + policy.commanded(observation).repeat(1, 2)
    judge = torch.distributions.TransformedDistribution(
        torch.distributions.Normal(shift, log_scale.exp()),
        [torch.distributions.TanhTransform(), torch.distributions.AffineTransform(middle, half)],
    )
    expected = judge.log_prob(chunks.flatten(1)).sum(-1)
    torch.testing.assert_close(policy.log_prob(observation, chunks), expected, atol=1e-8, rtol=1e-8)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), candidates=st.integers(1, 5), temperature=st.floats(0.0, 1.0))
def test_samples_carry_the_likelihood_that_the_density_gives_them(seed: int, candidates: int, temperature: float) -> None:
    policy = small_policy()
    observation, _ = of(policy, rows=3, seed=seed)
    with torch.no_grad():
        drawn = policy.sample(observation, candidates, temperature, torch.Generator().manual_seed(seed))
        for index in range(candidates):
            scaled = policy.normaliser.scaled(drawn.chunk[:, index], policy.commanded(observation))
            inside = scaled.abs().flatten(1).amax(1) < 0.99
            expected = policy.log_prob(observation, drawn.chunk[:, index])
            torch.testing.assert_close(drawn.log_prob[inside, index], expected[inside], atol=0.02, rtol=1e-3)


def test_samples_stay_inside_the_demonstrated_motion() -> None:
    policy = small_policy()
    observation, _ = of(policy)
    with torch.no_grad():
        chunk = policy.sample(observation, 8, 2.0, torch.Generator().manual_seed(0)).chunk
    moves = chunk - policy.commanded(observation)[:, None, None]
    assert (moves > policy.normaliser.low).all() and (moves < policy.normaliser.high).all()


def test_temperature_zero_always_does_the_same_and_temperature_spreads() -> None:
    policy = small_policy()
    observation, _ = of(policy)
    spread = {}
    for temperature in (0.0, 0.3, 1.0):
        with torch.no_grad():
            spread[temperature] = (
                policy.sample(observation, 32, temperature, torch.Generator().manual_seed(0)).chunk.std(1).mean()
            )
    assert spread[0.0] < 1e-6 < spread[0.3] < spread[1.0]


def test_the_same_generator_gives_the_same_chunks() -> None:
    policy = small_policy()
    observation, _ = of(policy)
    with torch.no_grad():
        one, other = (policy.sample(observation, 4, None, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(one.chunk, other.chunk) and torch.equal(one.log_prob, other.log_prob)


@pytest.mark.parametrize("beyond", [1.0, 2.0])
def test_actions_at_the_bounds_can_be_learnt_from(beyond: float) -> None:
    """Up to a fifth of public data is saturated: exactly at +-1."""
    policy = small_policy()
    observation, _ = of(policy, rows=2)
    shape = (2, policy.layout.horizon, policy.layout.action_size)
    scaled = beyond * torch.tensor([1.0, -1.0])[:, None, None].expand(shape)
    chunk = policy.normaliser.from_scaled(scaled, policy.commanded(observation)).requires_grad_()
    loss = -policy.log_prob(observation, chunk).sum()
    loss.backward()
    gradients = [parameter.grad for parameter in policy.parameters()] + [chunk.grad]
    assert torch.isfinite(loss)
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)


def test_training_noise_is_as_wide_as_configured() -> None:
    policy = small_policy()
    observation, chunks = of(policy, rows=400)
    commanded = policy.commanded(observation)
    noisy = policy.noisy(observation, chunks, torch.Generator().manual_seed(0))
    difference = policy.normaliser.scaled(noisy, commanded) - policy.normaliser.scaled(chunks, commanded)
    assert difference.std().item() == pytest.approx(SMALL.noise, rel=0.05)


def test_the_observation_matters() -> None:
    policy = small_policy()
    observation, chunks = of(policy)
    other = {"vector": observation["vector"].clone()}
    other["vector"][:, 0] += 0.5
    with torch.no_grad():
        assert not torch.allclose(policy.log_prob(observation, chunks), policy.log_prob(other, chunks))


@pytest.mark.parametrize(
    ("field", "value"), [("hidden", 0), ("blocks", -1), ("noise", 0.0), ("noise", 0.5), ("temperature", -0.1), ("code_size", 0)]
)
def test_impossible_configurations_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{field}: expected"):
        PolicyConfig(**{field: value})  # type: ignore[arg-type]

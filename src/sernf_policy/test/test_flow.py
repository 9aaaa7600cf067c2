"""The flow: exact both ways, a density, and more than a Gaussian."""

from __future__ import annotations

import math

import pytest
import torch
import zuko
from hypothesis import given, settings
from hypothesis import strategies as st
from small_policies import awaken
from torch import Tensor

from sernf_policy.flow import ConditionalFlow, Coupling, Permutation, base_log_prob, bounded

CODE = 3


def made(
    size: int, blocks: int, *, dtype: torch.dtype = torch.float32, hidden: int = 16, scale: float = 0.3, seed: int = 0
) -> ConditionalFlow:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        flow = ConditionalFlow(size, CODE, blocks=blocks, hidden=hidden, affine_hidden=hidden)
        awaken(flow, scale)
    return flow.to(dtype).eval()


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@settings(max_examples=25, deadline=None)
@given(size=st.integers(1, 33), blocks=st.integers(0, 8), seed=st.integers(0, 1000))
def test_there_and_back_in_single_precision(size: int, blocks: int, seed: int) -> None:
    flow = made(size, blocks, seed=seed)
    x, code = drawn(16, size, seed=seed), drawn(16, CODE, seed=seed + 1)
    with torch.no_grad():
        latent, to_latent = flow.to_latent(x, code)
        back, to_action = flow.to_action(latent, code)
    assert (back - x).abs().max() < 1e-4
    torch.testing.assert_close(to_latent, -to_action, atol=1e-4, rtol=1e-4)


def test_there_and_back_at_the_size_of_the_robot() -> None:
    flow = made(240, 6, hidden=64, scale=0.1)
    x, code = 3.0 * drawn(32, 240), drawn(32, CODE)
    with torch.no_grad():
        back, _ = flow.to_action(flow.to_latent(x, code)[0], code)
        x_back, _ = flow.to_latent(flow.to_action(x, code)[0], code)
    assert (back - x).abs().max() < 1e-4
    assert (x_back - x).abs().max() < 1e-4


@pytest.mark.parametrize(("size", "blocks"), [(1, 0), (2, 1), (5, 3), (7, 4)])
@pytest.mark.parametrize("direction", ["to_latent", "to_action"])
def test_log_determinant_is_that_of_the_jacobian(size: int, blocks: int, direction: str) -> None:
    flow = made(size, blocks, dtype=torch.float64)
    x, code = drawn(4, size, dtype=torch.float64), drawn(4, CODE, dtype=torch.float64)
    run = getattr(flow, direction)
    _, log_det = run(x, code)
    for row in range(4):
        condition = code[row : row + 1]
        jacobian = torch.autograd.functional.jacobian(lambda value, c=condition: run(value[None], c)[0][0], x[row])
        torch.testing.assert_close(log_det[row], torch.linalg.slogdet(jacobian).logabsdet, atol=1e-10, rtol=1e-10)


def test_starts_as_the_identity_up_to_order() -> None:
    flow = ConditionalFlow(5, CODE, blocks=4, hidden=16, affine_hidden=16)
    x, code = drawn(8, 5), drawn(8, CODE)
    latent, log_det = flow.to_latent(x, code)
    torch.testing.assert_close(latent.sort(dim=-1).values, x.sort(dim=-1).values)
    assert not log_det.any()


def test_permutations_are_the_same_in_every_process_and_differ_between_blocks() -> None:
    orders = [
        [layer.order.tolist() for layer in made(9, 4, seed=seed).blocks() if isinstance(layer, Permutation)] for seed in (0, 1)
    ]
    assert orders[0] == orders[1]
    assert orders[0][0] != orders[0][1]


@pytest.mark.parametrize("blocks", [0, 2])
def test_one_dimension_integrates_to_one(blocks: int) -> None:
    flow = made(1, blocks, dtype=torch.float64)
    grid = torch.linspace(-60.0, 60.0, 20001, dtype=torch.float64)[:, None]
    for seed in range(3):
        code = drawn(1, CODE, seed=seed, dtype=torch.float64).expand(len(grid), -1)
        density = flow.log_prob(grid, code).exp()
        assert torch.trapezoid(density, grid[:, 0]).item() == pytest.approx(1.0, abs=1e-6)


def test_two_dimensions_integrate_to_one() -> None:
    flow = made(2, 3, dtype=torch.float64)
    axis = torch.linspace(-30.0, 30.0, 401, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis)
    code = drawn(1, CODE, dtype=torch.float64).expand(len(points), -1)
    density = flow.log_prob(points, code).exp().reshape(401, 401)
    assert torch.trapezoid(torch.trapezoid(density, axis), axis).item() == pytest.approx(1.0, abs=1e-3)


def test_zuko_gives_the_same_density() -> None:
    """An independent implementation of couplings, with our networks' shifts and scales."""
    flow = made(5, 3, dtype=torch.float64)
    x, code = drawn(6, 5, dtype=torch.float64), drawn(6, CODE, dtype=torch.float64)
    for row in range(6):
        condition = code[row]
        transforms: list[torch.distributions.Transform] = []
        for layer in flow.blocks():
            if isinstance(layer, Permutation):
                transforms.append(zuko.transforms.PermutationTransform(layer.order))
            elif isinstance(layer, Coupling):
                mask = torch.arange(5) < layer.kept

                def inner(
                    kept: Tensor, c: Tensor = condition, net: torch.nn.Module = layer.network
                ) -> torch.distributions.Transform:
                    shift, raw = net(torch.cat([kept, c.expand(len(kept), -1)], dim=-1)).chunk(2, dim=-1)
                    affine = torch.distributions.AffineTransform(shift, bounded(raw, 2.0).exp()).inv
                    return torch.distributions.IndependentTransform(affine, 1)

                transforms.append(zuko.transforms.CouplingTransform(inner, mask))
            else:
                shift, raw = layer.network(condition).chunk(2, dim=-1)
                affine = torch.distributions.AffineTransform(shift, bounded(raw, 5.0).exp()).inv
                transforms.append(torch.distributions.IndependentTransform(affine, 1))
        base = zuko.distributions.DiagNormal(torch.zeros(5, dtype=torch.float64), torch.ones(5, dtype=torch.float64))
        judge = zuko.distributions.NormalizingFlow(zuko.transforms.ComposedTransform(*transforms), base)
        ours = flow.log_prob(x[row : row + 1], condition[None])
        torch.testing.assert_close(ours, judge.log_prob(x[row : row + 1]), atol=1e-10, rtol=1e-10)


def test_the_base_is_a_standard_normal() -> None:
    z = drawn(7, 4)
    torch.testing.assert_close(base_log_prob(z), torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1))


def test_bounded_is_smooth_inside_its_bound() -> None:
    raw = torch.tensor([-1e6, -1e-4, 0.0, 1e-4, 1e6])
    torch.testing.assert_close(bounded(raw, 2.0), torch.tensor([-2.0, -1e-4, 0.0, 1e-4, 2.0]))


def test_two_ways_to_do_it_are_learnt_by_the_flow_and_not_by_a_gaussian() -> None:
    """Left or right of an obstacle, never through it: what a Gaussian's mean would do."""
    likelihood, between = {}, {}
    for blocks in (0, 4):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            flow = ConditionalFlow(2, CODE, blocks=blocks, hidden=24, affine_hidden=8)
            optimiser = torch.optim.Adam(flow.parameters(), lr=5e-3)
            code = torch.zeros(128, CODE)
            for _ in range(350):
                side = torch.randint(0, 2, (128, 1)) * 2.0 - 1.0
                loss = -flow.log_prob(side + 0.1 * torch.randn(128, 2), code).mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            with torch.no_grad():
                samples, _ = flow.to_action(torch.randn(2000, 2), torch.zeros(2000, CODE))
        likelihood[blocks] = -loss.item()
        between[blocks] = (samples.mean(-1).abs() < 0.5).float().mean().item()
    best = -math.log(2.0) - 2.0 * math.log(0.1 * math.sqrt(2.0 * math.pi * math.e))
    assert likelihood[0] < best - 0.7
    assert likelihood[4] > best - 0.5
    assert between[0] > 0.25
    assert between[4] < 0.1

"""Normalisation: invertible, with its exact determinant, and the same numbers in training and on the robot."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sernf_policy.normaliser import EDGE, LARGEST_DISTANCE, SMALLEST_STD, ChunkNormaliser, Standardiser

HORIZON, JOINTS = 3, 2


def walks(rows: int = 400, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Chunks (n, H, A) that start at a commanded position (n, A)."""
    generator = torch.Generator().manual_seed(seed)
    commanded = torch.randn(rows, JOINTS, generator=generator)
    moves = 0.1 * torch.randn(rows, HORIZON, JOINTS, generator=generator)
    return commanded[:, None] + moves.cumsum(1), commanded


def fitted(
    noise: float = 0.02, smallest_half_range_rad: float = 0.02, margin: float = 0.1, counted: Sequence[bool] = (True, True)
) -> ChunkNormaliser:
    normaliser = ChunkNormaliser(HORIZON, counted)
    normaliser.fit(*walks(), margin=margin, smallest_half_range_rad=smallest_half_range_rad, noise=noise)
    return normaliser


def test_standardised_data_have_mean_zero_and_deviation_one() -> None:
    values = 5.0 + 3.0 * torch.randn(500, 4, generator=torch.Generator().manual_seed(0))
    standardiser = Standardiser(4)
    standardiser.fit(values)
    standard = standardiser(values)
    torch.testing.assert_close(standard.mean(0), torch.zeros(4), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(standard.std(0, correction=0), torch.ones(4), atol=1e-5, rtol=0.0)


def test_a_broken_sensor_cannot_dominate_and_a_constant_one_does_not_divide_by_zero() -> None:
    standardiser = Standardiser(2)
    standardiser.fit(torch.tensor([[1.0, 0.0], [1.0, 2.0]]))
    assert standardiser.std[0] == SMALLEST_STD
    answer = standardiser(torch.tensor([[1.0, 1e9], [1.0, 1.0], [-1e9, 1.0]]))
    assert answer.tolist() == [[0.0, LARGEST_DISTANCE], [0.0, 0.0], [-LARGEST_DISTANCE, 0.0]]


def test_distances_count_in_deviations_of_a_centimetre_at_least() -> None:
    """What never moved in the data would otherwise be far away at a fraction of a millimetre; and nothing is clipped."""
    standardiser = Standardiser(2)
    standardiser.fit(torch.tensor([[1.0, 0.0], [1.0, 2.0]]))
    torch.testing.assert_close(
        standardiser.distance(torch.tensor([[1.001, -99.0]])), torch.tensor([[0.1, 100.0]]), atol=1e-3, rtol=0.0
    )


def test_only_counted_joints_go_along_with_the_commanded_position() -> None:
    """Anything else would let a joint drift that the policy means to put somewhere."""
    normaliser = fitted(counted=(True, False))
    chunks, commanded = walks()
    scaled = normaliser.scaled(chunks, commanded)
    assert scaled.abs().max() <= 1.0
    torch.testing.assert_close(normaliser.from_scaled(scaled, commanded), chunks, atol=1e-5, rtol=0.0)
    elsewhere = normaliser.from_scaled(scaled, commanded + torch.tensor([0.3, 0.7]))
    torch.testing.assert_close(elsewhere - chunks, torch.tensor([0.3, 0.0]).expand_as(chunks), atol=1e-5, rtol=0.0)


def test_whitened_data_are_decorrelated_with_the_noise_of_training() -> None:
    chunks, commanded = walks(4000)
    normaliser = ChunkNormaliser(HORIZON, [True] * JOINTS)
    normaliser.fit(chunks, commanded, margin=0.1, smallest_half_range_rad=0.02, noise=0.02)
    scaled = normaliser.scaled(chunks, commanded)
    noise = 0.02 * torch.randn(scaled.shape, generator=torch.Generator().manual_seed(1))
    whitened, _ = normaliser(scaled + noise)
    torch.testing.assert_close(whitened.mean(0), torch.zeros(HORIZON * JOINTS), atol=0.05, rtol=0.0)
    torch.testing.assert_close(torch.cov(whitened.T), torch.eye(HORIZON * JOINTS), atol=0.08, rtol=0.0)


def test_the_largest_components_come_first() -> None:
    deviation = fitted().colour.norm(dim=0)
    assert (deviation[:-1] >= deviation[1:] - 1e-6).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-0.99, 0.99), min_size=HORIZON * JOINTS, max_size=HORIZON * JOINTS))
def test_there_and_back(values: list[float]) -> None:
    normaliser = fitted()
    scaled = torch.tensor(values).reshape(1, HORIZON, JOINTS)
    whitened, log_det = normaliser(scaled)
    back, log_det_back = normaliser.inverse(whitened)
    torch.testing.assert_close(back, scaled, atol=1e-5, rtol=0.0)
    torch.testing.assert_close(log_det_back, log_det, atol=1e-2, rtol=0.0)
    commanded = torch.tensor([[1.5, -2.0]])
    torch.testing.assert_close(
        normaliser.scaled(normaliser.from_scaled(scaled, commanded), commanded), scaled, atol=1e-5, rtol=0.0
    )


def test_log_determinant_is_that_of_the_jacobian_from_rad_on() -> None:
    normaliser = fitted().double()
    chunks, commanded = (value.double() for value in walks(5, seed=3))
    _, log_det = normaliser(normaliser.scaled(chunks, commanded))
    for row in range(5):

        def whitened(flat: Tensor, start: Tensor = commanded[row]) -> Tensor:
            return normaliser(normaliser.scaled(flat.reshape(1, HORIZON, JOINTS), start[None]))[0][0]

        jacobian = torch.autograd.functional.jacobian(whitened, chunks[row].ravel())
        torch.testing.assert_close(log_det[row], torch.linalg.slogdet(jacobian).logabsdet, atol=1e-6, rtol=1e-6)


def test_chunks_are_counted_from_the_commanded_position() -> None:
    normaliser = fitted()
    chunks, commanded = walks(8)
    elsewhere = torch.tensor([0.7, -0.3])
    moved = normaliser.scaled(chunks + elsewhere, commanded + elsewhere)
    torch.testing.assert_close(moved, normaliser.scaled(chunks, commanded), atol=1e-5, rtol=0.0)


def test_bounds_are_the_demonstrated_motion_with_a_margin() -> None:
    chunks, commanded = walks()
    normaliser = fitted(margin=0.25)
    moves = chunks - commanded[:, None]
    half = (moves.amax(0) - moves.amin(0)) / 2
    torch.testing.assert_close(normaliser.high - normaliser.low, 2.5 * half, atol=1e-5, rtol=1e-5)
    assert normaliser.scaled(chunks, commanded).abs().max() <= 0.8 + 1e-5


def test_a_joint_that_never_moves_gets_the_smallest_range() -> None:
    chunks, commanded = walks()
    chunks[..., 1] = commanded[:, None, 1]
    normaliser = ChunkNormaliser(HORIZON, [True] * JOINTS)
    normaliser.fit(chunks, commanded, margin=0.0, smallest_half_range_rad=0.04, noise=0.02)
    torch.testing.assert_close(normaliser.high[:, 1] - normaliser.low[:, 1], torch.full((HORIZON,), 0.08))
    whitened, log_det = normaliser(normaliser.scaled(chunks, commanded))
    assert torch.isfinite(whitened).all() and torch.isfinite(log_det).all()


@pytest.mark.parametrize("beyond", [1.0, 1.0 - EDGE, 1.5, 1e6])
def test_saturated_actions_have_finite_values_and_gradients(beyond: float) -> None:
    normaliser = fitted()
    scaled = torch.full((1, HORIZON, JOINTS), beyond).requires_grad_()
    whitened, log_det = normaliser(torch.cat([scaled, -scaled]))
    (whitened.square().sum() + log_det.sum()).backward()  # type: ignore[no-untyped-call]
    assert scaled.grad is not None
    for value in (whitened, log_det, scaled.grad):
        assert torch.isfinite(value).all()


def test_what_comes_back_lies_strictly_inside_the_bounds() -> None:
    scaled, log_det = fitted().inverse(torch.full((1, HORIZON * JOINTS), 1e4))
    assert scaled.abs().max() <= 1.0 - EDGE
    assert torch.isfinite(log_det).all()


def test_a_copy_made_of_stored_numbers_is_the_same_to_the_last_bit() -> None:
    normaliser, copy = fitted(), ChunkNormaliser(HORIZON, [True] * JOINTS)
    copy.load_state_dict(normaliser.state_dict())
    chunks, commanded = walks(16, seed=9)
    for one, other in zip(normaliser(normaliser.scaled(chunks, commanded)), copy(copy.scaled(chunks, commanded)), strict=True):
        assert torch.equal(one, other)


def test_scaling_and_whitening_count_once_in_the_constant() -> None:
    normaliser = ChunkNormaliser(1, [True])
    normaliser.low.fill_(-0.25)
    normaliser.high.fill_(0.25)
    _, log_det = normaliser(torch.zeros(1, 1, 1))
    assert log_det.item() == pytest.approx(math.log(4.0))

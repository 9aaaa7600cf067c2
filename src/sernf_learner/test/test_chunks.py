"""Windows at the end of an episode, each computed by hand; nobody imitates what went wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from learning_data import HORIZON, LAYOUT, episode

from sernf_learner.chunks import concatenate, tabulate
from sernf_learner.episode import Ending
from sernf_learner.training_data import worth_imitating
from sernf_policy.observation import ObservationBuilder

GAMMA, STEPS = 0.9, 11
BUILDER = ObservationBuilder(LAYOUT)


@pytest.mark.parametrize("ending", [Ending.SUCCESS, Ending.FAILURE])
@pytest.mark.parametrize("left", range(1, HORIZON + 3))
@pytest.mark.parametrize("judged", [HORIZON, 2, 1])
def test_a_window_near_the_end(ending: Ending, left: int, judged: int) -> None:
    """`left` actions remain: the window holds them, then the last one again; success is earned with the last action."""
    recorded = episode(ending=ending, steps=STEPS)
    table = tabulate([recorded], BUILDER, GAMMA, judged)
    start = STEPS - left
    assert len(table) == STEPS
    assert table.tick[start] == start
    expected = [recorded.action_rad[min(start + step, STEPS - 1)] for step in range(judged + HORIZON)]
    np.testing.assert_allclose(table.chunk[start], expected[:HORIZON], rtol=1e-6)
    np.testing.assert_allclose(table.next_chunk[start], expected[judged:], rtol=1e-6)
    ends_inside = left <= judged
    earned = GAMMA ** (left - 1) if ends_inside and ending is Ending.SUCCESS else 0.0
    assert table.reward[start].item() == pytest.approx(earned)
    assert table.discount[start].item() == pytest.approx(0.0 if ends_inside else GAMMA**judged)
    if not ends_inside:
        assert torch.equal(table.next_vector[start], table.vector[start + judged])


def test_a_timeout_says_nothing_about_what_would_have_come() -> None:
    table = tabulate([episode(ending=Ending.TIMEOUT, steps=STEPS)], BUILDER, GAMMA)
    assert table.tick.tolist() == list(range(STEPS - HORIZON))
    assert (table.reward == 0).all()
    assert (table.discount > 0).all()


@pytest.mark.parametrize("ending", [Ending.TIMEOUT, Ending.FAILURE])
def test_a_policys_attempt_in_vain_is_worth_nothing_from_its_beginning(ending: Ending) -> None:
    table = tabulate([episode(ending=ending, steps=STEPS, source="policy")], BUILDER, GAMMA)
    assert table.tick.tolist() == list(range(STEPS))
    assert (table.reward == 0).all() and (table.discount == 0).all()
    succeeded = tabulate([episode(steps=STEPS, source="policy")], BUILDER, GAMMA)
    assert succeeded.reward.max() == 1 and succeeded.discount.max() > 0


def test_only_episodes_without_a_window_are_an_error() -> None:
    with pytest.raises(ValueError, match="at least one window"):
        tabulate([episode(ending=Ending.TIMEOUT, steps=HORIZON)], BUILDER, GAMMA)


def test_episodes_do_not_mix() -> None:
    one, other = episode(0), episode(1, Ending.FAILURE)
    table = tabulate([one, other], BUILDER, GAMMA)
    alone = concatenate([tabulate([one], BUILDER, GAMMA), tabulate([other], BUILDER, GAMMA)])
    assert torch.equal(table.chunk, alone.chunk) and torch.equal(table.next_vector, alone.next_vector)
    assert table.successful.tolist() == [1.0] * len(one) + [0.0] * len(other)


def test_an_episode_in_which_somebody_took_over_is_not_imitated() -> None:
    taken_over = np.arange(12) == 5
    helped = episode(taken_over=taken_over)
    assert worth_imitating(episode(), 3) == 10
    assert worth_imitating(helped, 3) == worth_imitating(episode(ending=Ending.FAILURE), 3) == 0
    table = tabulate([helped], BUILDER, GAMMA)
    assert (table.successful == 0).all()
    assert table.reward[-1] == 1.0

"""Windows at the end of an episode, each computed by hand; nobody imitates what went wrong."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from learning_data import HORIZON, LAYOUT, episode
from numpy.typing import NDArray

from sernf_learner.chunks import concatenate, tabulate
from sernf_learner.episode import Ending, Episode
from sernf_learner.rewards import RewardConfig, step_rewards
from sernf_learner.training_data import worth_imitating
from sernf_policy.layout import LayoutError
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
    assert table.episode.tolist() == [0] * len(one) + [1] * len(other)


def test_an_episode_in_which_somebody_took_over_is_not_imitated() -> None:
    taken_over = np.arange(12) == 5
    helped = episode(taken_over=taken_over)
    assert worth_imitating(episode(), HORIZON, 3).tolist() == [True] * 10 + [False] * 2
    assert not worth_imitating(helped, HORIZON, 3).any()
    assert not worth_imitating(episode(ending=Ending.FAILURE), HORIZON, 3).any()
    assert tabulate([helped], BUILDER, GAMMA).reward[-1] == 1.0


@pytest.mark.parametrize(
    ("ending", "expected"), [(Ending.SUCCESS, [0, 0.1, 0, 0.1, 0.8]), (Ending.TIMEOUT, [0, 0.1, 0, 0.1, 0.1])]
)
def test_stages_are_paid_for_where_that_is_asked_for(ending: Ending, expected: list[float]) -> None:
    reached = dataclasses.replace(episode(ending=ending, steps=5), stages=np.array([0, 1, 1, 2, 3]))
    np.testing.assert_allclose(step_rewards(reached, RewardConfig(stage=0.1), GAMMA), expected)
    sparse = step_rewards(reached, RewardConfig(), GAMMA)
    assert sparse.tolist() == [0, 0, 0, 0, float(ending is Ending.SUCCESS)]


def test_stages_cannot_be_worth_more_than_the_success() -> None:
    with pytest.raises(ValueError, match=r"stage: expected 0 to 0\.2"):
        RewardConfig(stage=0.3)


TURNING = RewardConfig(turning="cube", speed_rad_s=2.0, span_s=0.1, lost_s=0.1)


def turned(yaw_rad: NDArray[np.float64], **values: Any) -> Episode:
    pose = np.zeros((len(yaw_rad), 1, 7))
    pose[:, 0, 3], pose[:, 0, 6] = np.cos(yaw_rad / 2), np.sin(yaw_rad / 2)
    return episode(steps=len(yaw_rad), objects=("cube",), object_pose=pose, **values)


def test_turning_is_paid_for_by_the_step_over_whole_turns_and_never_more_than_1_in_all() -> None:
    yaw = 3.0 + np.cumsum([0.0, 0.05, 0.1, -0.05, 0.5, 0.0])
    rewards = step_rewards(turned(yaw), TURNING, GAMMA)
    np.testing.assert_allclose(rewards / (1 - GAMMA), [0.5, 0.75, 0.25, 1.0, 1.0, 0.0], atol=1e-9)
    for_ever = step_rewards(turned(0.2 * np.arange(500.0)), TURNING, GAMMA)
    assert for_ever @ GAMMA ** np.arange(500) == pytest.approx(1.0)


def test_over_a_longer_span_trembling_counts_less_and_turning_as_much() -> None:
    trembling = 0.02 * np.random.default_rng(0).standard_normal(400)
    paid = {}
    for span_s in (0.1, 0.2, 0.4):
        config = RewardConfig(turning="cube", speed_rad_s=2.0, span_s=span_s)
        paid[span_s] = step_rewards(turned(0.04 * np.arange(400.0) + trembling), config, GAMMA) / (1 - GAMMA)
        assert paid[span_s].mean() == pytest.approx(0.4, abs=0.02)
    assert paid[0.1].std() > 1.8 * paid[0.2].std() > 3.2 * paid[0.4].std()


@pytest.mark.parametrize("ending", list(Ending))
@pytest.mark.parametrize("source", ["demonstrator", "policy"])
def test_where_every_step_is_paid_for_only_a_failure_is_an_end(ending: Ending, source: str) -> None:
    yaw = 0.05 * np.arange(float(STEPS))
    table = tabulate([turned(yaw, ending=ending, source=source)], BUILDER, GAMMA, 0, TURNING)
    assert len(table) == (STEPS if ending is Ending.FAILURE else STEPS - HORIZON)
    a_chunk = (1 - GAMMA) * 0.5 * sum(GAMMA**step for step in range(HORIZON))
    np.testing.assert_allclose(table.reward[: STEPS - HORIZON], a_chunk, rtol=1e-5)
    np.testing.assert_allclose(table.discount[: STEPS - HORIZON], GAMMA**HORIZON, rtol=1e-5)
    if ending is Ending.FAILURE:
        assert (table.discount[STEPS - HORIZON :] == 0).all()
        assert table.reward[-1] == pytest.approx((1 - GAMMA) * 0.5), "the last step, and nothing after it"


def test_where_every_step_is_paid_for_all_is_worth_imitating_but_what_led_to_a_failure() -> None:
    def count(**values: Any) -> int:
        return int(worth_imitating(turned(0.05 * np.arange(12.0), **values), HORIZON, 3, TURNING).sum())

    assert count() == count(ending=Ending.TIMEOUT) == 10
    assert count(ending=Ending.FAILURE) == 8


def test_where_every_step_is_paid_for_whoever_took_over_is_imitated() -> None:
    helped = turned(0.05 * np.arange(12.0), taken_over=(np.arange(12) > 2) & (np.arange(12) < 9), ending=Ending.FAILURE)
    assert np.flatnonzero(worth_imitating(helped, HORIZON, 3, TURNING)).tolist() == [3, 4, 5]


def test_the_reward_names_an_object_that_is_not_there() -> None:
    with pytest.raises(LayoutError, match=r"reward\.turning: expected one of cube, got duck"):
        step_rewards(turned(np.zeros(3)), RewardConfig(turning="duck"), GAMMA)

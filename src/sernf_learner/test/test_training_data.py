"""What a batch is made of."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from learning_data import LAYOUT, config, demonstrations, episode
from torch import Tensor

from sernf_learner.chunks import tabulate
from sernf_learner.episode import Ending
from sernf_learner.training_data import MOST_OFTEN, TrainingData
from sernf_policy.layout import LayoutError
from sernf_policy.observation import ObservationBuilder

PER_EPISODE = 12


def data(*more: object, **overrides: object) -> TrainingData:
    found = TrainingData(demonstrations(), LAYOUT, config(**overrides), 0)
    for one in more:
        found.add(one)  # type: ignore[arg-type]
    return found


def of_episodes(chunks: Tensor, *seeds: int) -> int:
    """How many chunks are the windows of these episodes."""
    known = torch.cat([torch.as_tensor(episode(seed).action_rad, dtype=torch.float32) for seed in seeds])
    return int((chunks[:, None, 0] == known[None]).all(-1).any(-1).sum())


def test_online_episodes_fill_their_share_of_a_batch() -> None:
    rollouts = [episode(20 + number, source="policy") for number in range(4)]
    both = data(*rollouts, augmentation__copies=0, online_share=0.5, imitated_online_share=0.25)
    assert both.has_online
    assert of_episodes(both.windows(40).chunk, 20, 21, 22, 23) == 20
    assert of_episodes(both.imitation_batch(40).chunk, 20, 21, 22, 23) == 10


def test_whether_a_policy_imitates_its_own_successes_is_a_setting() -> None:
    rollouts = [episode(20 + number, source="policy") for number in range(4)]
    for share, imitated in ((0.0, 0), (0.25, 16)):
        both = data(*rollouts, augmentation__copies=0, imitated_online_share=share)
        assert of_episodes(both.imitation_batch(64).chunk, 20, 21, 22, 23) == imitated
    alone = TrainingData([episode(20, source="policy")], LAYOUT, config(augmentation__copies=0, imitated_online_share=0.0), 0)
    assert of_episodes(alone.imitation_batch(64).chunk, 20) == 64


def test_one_short_rollout_does_not_fill_half_of_every_batch() -> None:
    many = TrainingData(
        [episode(seed) for seed in range(9)], LAYOUT, config(augmentation__copies=0, held_out_share=0.0, online_share=0.5), 0
    )
    many.add(episode(20, source="policy"))
    assert of_episodes(many.windows(100).chunk, 20) == round(100 * MOST_OFTEN / 10) < 50


def test_padding_is_judged_but_not_imitated() -> None:
    found = data(acting__player__execute_steps=3, augmentation__copies=2)
    imitated, windows = found.imitation_pairs(400)
    assert set(imitated.tick.tolist()) == set(windows.tick.tolist()) == set(range(PER_EPISODE - 2))
    assert set(found.windows(400).tick.tolist()) == set(range(PER_EPISODE))
    assert len(found.imitation_set()) == 3 * 3 * (PER_EPISODE - 2)
    shorter = TrainingData([episode(steps=2)], LAYOUT, config(acting__player__execute_steps=3), 0)
    assert set(shorter.imitation_batch(20).tick.tolist()) == {0}


def test_failed_rollouts_are_judged_but_not_imitated() -> None:
    both = data(episode(20, Ending.FAILURE, source="policy"), augmentation__copies=0, imitated_online_share=0.5)
    assert of_episodes(both.windows(64).chunk, 20) > 0
    assert of_episodes(both.imitation_batch(64).chunk, 20) == of_episodes(both.imitation_batch(64).chunk, 9) == 0


def test_a_copy_comes_with_the_window_that_it_shows() -> None:
    """By which it is weighed: taking its time to come back to the path must not count against a copy."""
    found = data(augmentation__copies=4, augmentation__arm_rad=0.05)
    copies, windows = found.imitation_pairs(200)
    assert torch.equal(copies.tick, windows.tick) and torch.equal(copies.episode, windows.episode)
    displaced = (copies.vector != windows.vector).any(-1)
    assert 100 < int(displaced.sum()) < 200
    assert of_episodes(windows.chunk, *range(10)) == 200 > of_episodes(copies.chunk, *range(10))


def test_copies_are_judged_and_imitated_with_the_earnings_of_their_windows() -> None:
    found = TrainingData([episode(0)], LAYOUT, config(augmentation__copies=3, augmentation__finger_step_rad=10.0), 0)
    recorded = tabulate([episode(0)], ObservationBuilder(LAYOUT), found.config.gamma)
    for drawn in (found.windows(64), found.imitation_batch(64)):
        same = recorded.rows(drawn.tick)
        assert torch.equal(drawn.reward, same.reward) and torch.equal(drawn.next_vector, same.next_vector)
        assert not torch.equal(drawn.vector, same.vector) and (drawn.chunk - same.chunk)[..., 1:].abs().max() < 0.5


def test_a_copy_that_waits_earns_later() -> None:
    path = np.tile(np.linspace(0.0, 0.3, 13)[:, None], (1, 24))
    path[:, 7:] = 0.0
    path[9:, 8:] = 0.5
    closing = episode(0, joint_position_rad=path[:-1], commanded_position_rad=path[:-1], action_rad=path[1:])
    found = TrainingData([closing], LAYOUT, config(augmentation__copies=3, augmentation__reach=2, augmentation__step_m=1e-6), 0)
    recorded = tabulate([closing], ObservationBuilder(LAYOUT), found.config.gamma)
    drawn = found.windows(400)
    same = recorded.rows(drawn.tick)
    share = torch.where(same.reward > 0, drawn.reward / same.reward, drawn.discount / same.discount)
    soon = (drawn.tick > 8 - LAYOUT.horizon) & (drawn.tick < 8)
    waiting = soon & (drawn.vector != same.vector).any(1)
    assert waiting.any()
    torch.testing.assert_close(share, torch.where(waiting, found.config.gamma**2, 1.0))


def test_a_changed_label_replaces_the_episode() -> None:
    online = data(episode(20, source="policy", episode_id="x"), augmentation__copies=0)
    online.add(episode(20, Ending.FAILURE, source="policy", episode_id="x"), replace=True)
    assert len(online._seen[False].windows) == 4 * PER_EPISODE
    assert of_episodes(online.imitation_batch(64).chunk, 20) == 0
    assert len(online._seen[True].windows) == PER_EPISODE
    online.remove("x")
    online.remove("unknown")
    assert of_episodes(online.windows(64).chunk, 20) == 0 and not online.has_online


def test_rollouts_of_the_same_scene_are_all_kept() -> None:
    online = data(episode(20, source="policy"), episode(20, source="policy"))
    online.windows(1)
    assert len(online._seen[True].windows) == 2 * PER_EPISODE


def test_a_rollout_cut_off_before_one_window_is_passed_over() -> None:
    assert not data(episode(20, Ending.TIMEOUT, steps=LAYOUT.horizon, source="policy")).has_online


def test_a_policys_episodes_alone_are_learnt_from() -> None:
    alone = TrainingData([episode(seed, source="policy") for seed in range(2)], LAYOUT, config(), 0)
    assert len(alone.imitation_set()) > 0
    assert len(alone.windows(8)) == len(alone.imitation_batch(8)) == 8


def test_held_out_episodes_are_never_drawn() -> None:
    found = TrainingData([episode(seed) for seed in range(10)], LAYOUT, config(held_out_share=0.2, augmentation__copies=0), 3)
    assert found.held_out is not None and len(found.held_out) == 2 * PER_EPISODE
    drawn = {tuple(chunk.ravel().tolist()) for chunk in found.windows(500).chunk}
    assert not drawn & {tuple(chunk.ravel().tolist()) for chunk in found.held_out.chunk}


def test_nothing_to_imitate_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one successful episode"):
        TrainingData([episode(ending=Ending.FAILURE)], LAYOUT, config(), 0)


def test_an_episode_of_another_robot_is_an_error() -> None:
    with pytest.raises(LayoutError, match="missing on the robot"):
        data(episode(20, joint_names=tuple(f"j{number}" for number in range(24))))
    with pytest.raises(LayoutError, match="Hz"):
        data(episode(20, step_period_s=0.1))


def test_the_same_seed_draws_the_same() -> None:
    drawn = []
    for _ in range(2):
        found = data()
        torch.manual_seed(3)
        drawn.append(found.imitation_batch(16).vector)
    np.testing.assert_array_equal(*drawn)

"""PPO: advantages against a computation by hand, statistics, and an update that does what it should."""

import numpy as np
import pytest
import torch

from sernf_teacher.ppo import Batch, Ppo, PpoConfig, Standardiser, advantages, log_prob


def test_advantages_by_hand():
    # Three steps of two copies; the second one's episode ends after its second step, lost.
    reward = np.array([[1.0, 1.0], [0.0, -1.0], [2.0, 0.5]])
    value = np.array([[0.5, 0.2], [0.4, 0.3], [1.0, 0.1]])
    next_value = np.array([[0.4, 0.3], [1.0, 0.0], [0.8, 0.6]])
    ended = np.array([[False, False], [False, True], [False, False]])
    gamma, trace = 0.9, 0.8
    got = advantages(reward, value, next_value, ended, gamma, trace)
    d2 = 2.0 + 0.9 * 0.8 - 1.0
    d1 = 0.0 + 0.9 * 1.0 - 0.4
    d0 = 1.0 + 0.9 * 0.4 - 0.5
    first = [d0 + 0.72 * (d1 + 0.72 * d2), d1 + 0.72 * d2, d2]
    e2 = 0.5 + 0.9 * 0.6 - 0.1
    e1 = -1.0 + 0.0 - 0.3
    e0 = 1.0 + 0.9 * 0.3 - 0.2
    second = [e0 + 0.72 * e1, e1, e2]
    assert got == pytest.approx(np.array([first, second]).T)


def test_standardiser_finds_mean_and_variance_over_batches():
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(rng.normal([3.0, -2.0], [0.5, 4.0], (4000, 2)).astype(np.float32))
    standardiser = Standardiser(2)
    for part in rows.split([100, 900, 3000]):
        standardiser.update(part)
    assert standardiser.mean.numpy() == pytest.approx(rows.mean(0).numpy(), abs=1e-3)
    assert standardiser.variance.numpy() == pytest.approx(rows.var(0, correction=0).numpy(), rel=1e-3)
    assert standardiser(rows).std(0).numpy() == pytest.approx([1.0, 1.0], abs=1e-2)


def test_learns_a_bandit():
    # The reward is highest for the action that equals the observation.
    rng = np.random.default_rng(1)
    ppo = Ppo(PpoConfig(hidden=(32,), batch=256, learning_rate=3e-3, rates=(1e-3, 1e-2)), 2, 2, seed=0)
    for _ in range(60):
        observation = rng.normal(size=(1024, 2)).astype(np.float32)
        action, log_probs, _ = ppo.act(observation, 0.3, rng)
        reward = -((action - observation) ** 2).sum(-1)
        as_tensor = [
            torch.from_numpy(np.asarray(array, dtype=np.float32)) for array in (observation, action, log_probs, reward, reward)
        ]
        ppo.update(Batch(*as_tensor), 0.3, 0.015, rng)
    observation = rng.normal(size=(500, 2)).astype(np.float32)
    error = np.abs(ppo.networks.act(torch.from_numpy(observation)).detach().numpy() - observation).mean()
    assert error < 0.15


@pytest.mark.parametrize(("wanted_nats", "direction"), [(1e-6, -1), (10.0, 1)])
def test_the_rate_follows_the_divergence_that_is_wanted(wanted_nats, direction):
    rng = np.random.default_rng(2)
    ppo = Ppo(PpoConfig(hidden=(16,), batch=64, rates=(1e-5, 1e-2)), 2, 2, seed=0)
    before = ppo.rate
    observation = rng.normal(size=(256, 2)).astype(np.float32)
    action, log_probs, _ = ppo.act(observation, 0.3, rng)
    gain = action.sum(-1)
    batch = Batch(
        *(torch.from_numpy(np.asarray(array, dtype=np.float32)) for array in (observation, action, log_probs, gain, gain))
    )
    ppo.update(batch, 0.3, wanted_nats, rng)
    assert (ppo.rate - before) * direction > 0.0


def test_log_prob_matches_torch_up_to_the_constant():
    mean, action = torch.zeros(5, 3), torch.randn(5, 3)
    exact = torch.distributions.Normal(mean, 0.4).log_prob(action).sum(-1)
    difference = exact - log_prob(action, mean, 0.4)
    assert difference.numpy() == pytest.approx(np.full(5, float(difference[0])), abs=1e-4)


@pytest.mark.parametrize("wrong", [{"gamma": 1.0}, {"trace": -0.1}, {"clip": 0.0}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        PpoConfig(**wrong)

"""Losses of the four stages: pure functions that return `(loss, metrics)`. Source: arXiv 2602.09580 (flow, chunk critic)."""

from __future__ import annotations

import torch
from torch import Tensor

from sernf_learner.chunks import ChunkTable
from sernf_policy.critic import ChunkCritic
from sernf_policy.policy import ChunkPolicy

Metrics = dict[str, float]


def imitation_loss(policy: ChunkPolicy, vector: Tensor, chunk: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Metrics]:
    """Negative log-likelihood, a number, of chunks (B, H, A) rad with the training noise; `weight` (B,), or all alike."""
    observation = {"vector": vector}
    nats = -policy.log_prob(observation, policy.noisy(observation, chunk)) / policy.layout.chunk_size
    loss = nats.mean() if weight is None else (weight * nats).sum() / weight.sum().clamp_min(1e-6)
    return loss, {"nll": float(nats.mean().detach())}


def centring_loss(policy: ChunkPolicy, vector: Tensor, chunk: Tensor) -> tuple[Tensor, Metrics]:
    """Squared error of what the policy's flow is centred on; the imitation loss for a flow without a centre.

    A likelihood weighs each number by its precision, so it is slow to learn means where it began imprecise (arXiv 2203.09168).
    """
    error = policy.squared_error({"vector": vector}, chunk)
    if error is None:
        return imitation_loss(policy, vector, chunk)
    loss = error.mean()
    return loss, {"centre_error": float(loss.detach())}


@torch.no_grad()
def chunk_target(rows: ChunkTable, target: ChunkCritic, next_chunk: Tensor, *, pessimism: float) -> Tensor:
    """Value (B,) to learn: `sum_{h<H} gamma^h r[t+h] + gamma^H Qbar(obs[t+H], chunk')`, clipped to [0, 1], what can be earned.

    `next_chunk` (B, N, H, A): candidates for chunk', whose values are averaged. The ensemble counts as its mean less `pessimism`
    times its standard deviation.
    """
    batch, candidates = next_chunk.shape[:2]
    values = target(rows.next_vector.repeat_interleave(candidates, dim=0), next_chunk.flatten(0, 1))
    values = values.mean(0) - pessimism * values.std(0, correction=0)
    following = values.unflatten(0, (batch, candidates)).mean(1)
    value: Tensor = (rows.reward + rows.discount * following).clamp(0.0, 1.0)
    return value


def critic_loss(critic: ChunkCritic, vector: Tensor, chunk: Tensor, value: Tensor) -> tuple[Tensor, Metrics]:
    """Squared error of every member of the ensemble against `value` (B,)."""
    values = critic(vector, chunk)
    loss = (values - value).square().mean()
    with torch.no_grad():
        metrics = {
            "critic_loss": float(loss),
            "q_data": float(values.mean()),
            "q_spread": float(values.std(0, correction=0).mean()),
            "target": float(value.mean()),
        }
    return loss, metrics


@torch.no_grad()
def advantage_weight(critic: ChunkCritic, rows: ChunkTable, baseline: Tensor, *, beta: float, largest: float) -> Tensor:
    """exp(beta * advantage) (B,), at most `largest`: how much a recorded chunk deserves to be imitated.

    `baseline` (B,): value of what the policy does by itself. The advantage is relative to it, so that it means the same early in
    an episode, where all values are small, as late.
    """
    advantage = (critic(rows.vector, rows.chunk).mean(0) - baseline) / baseline.abs().clamp_min(0.05)
    weight: Tensor = (beta * advantage).exp().clamp_max(largest)
    return weight


def prior_loss(
    policy: ChunkPolicy, prior: ChunkPolicy, critic: ChunkCritic, vector: Tensor, *, candidates: int, sharpness: float
) -> tuple[Tensor, Metrics]:
    """Negative log-likelihood, a number, of one chunk of `prior` for each observation, the better by the critic the likelier.

    It is drawn from `candidates` in proportion to exp(sharpness * A / spread): A is the value less the mean of the candidates
    there, spread the standard deviation of A over the batch. What minimises this, `prior * exp(sharpness * A / spread)`, is the
    policy of most value at its distance from `prior` (MPO, arXiv 1806.06920): it goes nowhere where `prior` has no density,
    whatever the critic believes of there. Sharpness 0 only holds to `prior`. Without the training noise, which the samples of
    `prior` carry already.
    """
    with torch.no_grad():
        chunk = prior.sample({"vector": vector}, candidates, 1.0).chunk
        values = critic(vector.repeat_interleave(candidates, dim=0), chunk.flatten(0, 1)).mean(0).unflatten(0, chunk.shape[:2])
        advantage = values - values.mean(1, keepdim=True)
        spread = advantage.square().mean().sqrt().clamp_min(1e-6)
        drawn = torch.multinomial(torch.softmax(sharpness * advantage / spread, dim=1), 1)[:, 0]
        chunk = chunk[torch.arange(len(vector), device=vector.device), drawn]
    loss = -policy.log_prob({"vector": vector}, chunk).mean() / policy.layout.chunk_size
    return loss, {"nll_prior": float(loss.detach()), "q_prior": float(values.mean()), "q_prior_spread": float(spread)}


def value_gradient_loss(policy: ChunkPolicy, critic: ChunkCritic, vector: Tensor, temperature: float) -> tuple[Tensor, Metrics]:
    """`-Q/|Q|` of one sample for each observation, differentiated through the flow."""
    sampled = policy.sample({"vector": vector}, 1, temperature).chunk[:, 0]
    values = critic(vector, sampled).mean(0)
    loss = -values.mean() / values.abs().mean().detach().clamp_min(1e-3)
    return loss, {"q_actor": float(values.mean().detach())}

"""Whether weights may run: tried on the held-out batch that travels with them, beside the policy that runs now.

A refusal says what was expected and what came. Latency is the thread's own time, the best of a few rounds: what other processes
did meanwhile says nothing about the weights.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from sernf_policy.check_config import CheckConfig
from sernf_policy.checkpoint import Checkpoint, HeldOut
from sernf_policy.runtime import LIKELIHOOD_TOLERANCE, PolicyRuntime, likelihood_difference
from sernf_robot.joints import indices_of
from sernf_robot.limits import Limits

Array = NDArray[np.float64]


class WeightsRefused(RuntimeError):
    """Weights that must not run; the message says why."""


def check_weights(checkpoint: Checkpoint, runtime: PolicyRuntime, limits: Limits, config: CheckConfig | None = None) -> None:
    """Raises WeightsRefused unless `runtime` does with the held-out batch what `checkpoint` says, inside `limits` and in time."""
    config = config or CheckConfig()
    held_out = checkpoint.held_out
    if held_out is None or len(held_out.log_prob) == 0:
        raise WeightsRefused(
            f"{checkpoint.info.version}: expected a held-out batch, got none; save the checkpoint with held_out=HeldOut.of(...)"
        )
    _check_likelihood(checkpoint, runtime, held_out, config)
    _check_chunks(checkpoint, runtime, held_out.vector.numpy(), limits, config)


def _check_likelihood(checkpoint: Checkpoint, runtime: PolicyRuntime, held_out: HeldOut, config: CheckConfig) -> None:
    version, numbers = checkpoint.info.version, checkpoint.policy.layout.chunk_size
    got = runtime.log_prob(held_out.vector.numpy(), held_out.chunk.numpy())
    if not np.isfinite(got).all():
        raise WeightsRefused(f"{version}: expected finite likelihoods of the held-out chunks, got others")
    difference = likelihood_difference(got, held_out.log_prob.numpy(), numbers)
    if difference > LIKELIHOOD_TOLERANCE:
        raise WeightsRefused(
            f"{version}: expected the held-out chunks' likelihoods as saved, within {LIKELIHOOD_TOLERANCE:g} nats a number, "
            f"got a difference of {difference:g}; this code computes something else than the one that saved it"
        )
    likelihood = checkpoint.info.likelihood
    least = config.least_nats if likelihood is None else max(config.least_nats, likelihood.unlikely_nats)
    median = float(np.median(got)) / numbers
    if median < least:
        raise WeightsRefused(
            f"{version}: expected the held-out chunks' log-likelihood to be at least {least:.2f} nats a number (median), "
            f"got {median:.2f}; it has not learnt this task"
        )


def _check_chunks(
    checkpoint: Checkpoint, runtime: PolicyRuntime, vectors: NDArray[np.float32], limits: Limits, config: CheckConfig
) -> None:
    version, layout = checkpoint.info.version, checkpoint.policy.layout
    try:
        order = indices_of(limits.joint_names, layout.joint_names)
    except ValueError as error:
        raise WeightsRefused(f"{version}: {error}") from error
    low = limits.position_min_rad[order] - config.limit_tolerance_rad
    high = limits.position_max_rad[order] + config.limit_tolerance_rad
    bound_s = config.latency_s or 0.5 * layout.step_period_s
    rng = np.random.default_rng(0)
    p99_s = np.inf
    for _ in range(config.rounds):
        durations = []
        for number in range(config.plans):
            began = time.thread_time()
            chunk = runtime.plan(vectors[number % len(vectors)], rng).position_rad
            durations.append(time.thread_time() - began)
            _check_inside(version, chunk, low, high, layout.joint_names)
            if sum(duration > bound_s for duration in durations) > config.plans // 100:
                break  # the round is lost, and slow weights need not be endured to its end
        p99_s = min(p99_s, float(np.percentile(durations, 99)))
        if p99_s <= bound_s:
            return
    raise WeightsRefused(
        f"{version}: expected a chunk within {bound_s * 1e3:.3g} ms (99th percentile of {config.plans}), "
        f"got {p99_s * 1e3:.3g} ms; use a smaller network or fewer candidates"
    )


def _check_inside(version: str, chunk: Array, low: Array, high: Array, joint_names: tuple[str, ...]) -> None:
    # Not `<` and `>`: what is not a number is outside too.
    inside = (chunk >= low) & (chunk <= high)
    if not inside.all():
        step, joint = np.argwhere(~inside)[0]
        raise WeightsRefused(
            f"{version}: expected targets inside the joint limits, got {chunk[step, joint]:.3g} rad for {joint_names[joint]}, "
            f"whose range with tolerance is {low[joint]:.3g} to {high[joint]:.3g} rad"
        )

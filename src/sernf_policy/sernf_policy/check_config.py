"""How weights are tried before they may run; see `sernf_policy.weights_check`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CheckConfig:
    """`latency_s`: bound on the 99th percentile of planning; 0 stands for half of the control period.

    `plans`: chunks planned in a round; `rounds`: how often latency may be measured. `limit_tolerance_rad`: how far a sampled
    target may lie beyond a joint limit, where the safety filter still holds it. `least_nats`: bound on the held-out chunks'
    median log-likelihood, for each number; a uniform guess over a whole turn has -1.84.
    """

    latency_s: float = 0.0
    plans: int = 100
    rounds: int = 3
    limit_tolerance_rad: float = 0.3
    least_nats: float = -1.84

    def __post_init__(self) -> None:
        if self.latency_s < 0.0 or self.limit_tolerance_rad < 0.0:
            raise ValueError(
                f"expected latency_s and limit_tolerance_rad of at least 0, got {self.latency_s} and {self.limit_tolerance_rad}"
            )
        if self.plans < 1 or self.rounds < 1:
            raise ValueError(f"expected at least one of plans and rounds, got {self.plans} and {self.rounds}")

"""How a policy acts: what is sampled, which sample is taken, and how it is played. Travels with the checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sernf_policy.chunk_player import PlayerConfig


@dataclass(frozen=True, kw_only=True)
class ActingConfig:
    """`temperature`: standard deviation of the flow's base when sampling; 0 always takes the base's middle.

    `exploring_temperature`: the same in mode explore, where there is to be something to learn from; 0: no other. `persistence`:
    how much of what was sampled for one chunk is then sampled again for the next: 0 nothing, near 1 most. What only trembles
    explores nothing.

    `candidates`: chunks that are sampled and handed to the critic; 1 leaves the critic out. `density_quantile`: the share of the
    candidates, those that the flow finds least likely, that the critic does not get to judge: it has not seen their like.
    """

    temperature: float = 0.7
    exploring_temperature: float = 0.0
    persistence: float = 0.0
    candidates: int = 1
    density_quantile: float = 0.25
    player: PlayerConfig = field(default_factory=PlayerConfig)

    def __post_init__(self) -> None:
        for name in ("temperature", "exploring_temperature"):
            if not 0.0 <= getattr(self, name) <= 2.0:
                raise ValueError(f"{name}: expected 0 to 2, got {getattr(self, name)}")
        if not 0.0 <= self.persistence < 1.0:
            raise ValueError(f"persistence: expected at least 0 and less than 1, got {self.persistence}")
        if not 1 <= self.candidates <= 1024:
            raise ValueError(f"candidates: expected 1 to 1024, got {self.candidates}")
        if not 0.0 <= self.density_quantile < 1.0:
            raise ValueError(f"density_quantile: expected at least 0 and less than 1, got {self.density_quantile}")


def best_candidate(log_prob: NDArray[Any], q_value: NDArray[Any], density_quantile: float) -> int:
    """Index of the highest `q_value` (N,) among the candidates that are likely enough; `log_prob` (N,) nats.

    The floor(N * density_quantile) least likely ones are left out, so at least one remains.
    """
    left_out = int(len(log_prob) * density_quantile)
    likely = np.argsort(log_prob, kind="stable")[left_out:]
    return int(likely[np.argmax(q_value[likely])])

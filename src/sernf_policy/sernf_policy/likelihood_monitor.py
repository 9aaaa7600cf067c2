"""Whether what the policy meets and what is done is like the data that it learnt from."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LikelihoodThresholds:
    """What was normal on the data that a checkpoint was calibrated on.

    `typical_nats`, `unlikely_nats`: log-density of a chunk divided by its D numbers; chunks below the second are unlikely.
    `far`: observations at a larger distance are unlike the data. `windows`: how many windows these numbers rest on.
    """

    typical_nats: float
    unlikely_nats: float
    far: float
    windows: int

    def __post_init__(self) -> None:
        for name in ("typical_nats", "unlikely_nats", "far"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name}: expected a finite number, got {getattr(self, name)}")
        if self.unlikely_nats > self.typical_nats or self.far <= 0.0 or self.windows < 1:
            raise ValueError(
                "expected unlikely_nats of at most typical_nats, far of more than 0 and at least one window, got "
                f"{self.unlikely_nats:g} and {self.typical_nats:g}, {self.far:g} and {self.windows}"
            )

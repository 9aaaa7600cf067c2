"""Whether the policy still is where its data were, judged once for each chunk; a run of doubts warns, a longer one asks a person.

The likelihood of a sampled chunk under the policy that sampled it cannot tell: far from the data a policy may be as sure of
itself as ever. It is judged only as a check of the flow. What tells is

- what was really done: the likelihood of the H targets that were executed after an observation. The filter, a person, contact
  and the seams between chunks all show there;
- where the robot and the objects are: the largest distance of a number of the observation from its mean over the data, in
  standard deviations (at least 0.01 m or rad, so that what never moved in the data does not count fractions of a millimetre).

The bounds are quantiles over windows that no training saw (`calibrate`), and travel with the checkpoint. Everything here is pure.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]

UNLIKELY_QUANTILE = 0.01
FAR_QUANTILE = 0.99
FAR_SLACK = 1.5
"""Distances have long tails, and a robot that improves leaves the demonstrations a little."""


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


def calibrate(log_prob: ArrayLike, distance: ArrayLike, numbers: int) -> LikelihoodThresholds:
    """Bounds from n windows that no training saw.

    `log_prob` (n,) nats of the executed chunks after their observations, `distance` (n,) of these observations, `numbers`: D of a
    chunk. Raises ValueError for no windows or what is not finite.
    """
    nats, distances = np.asarray(log_prob, dtype=np.float64).ravel() / numbers, np.asarray(distance, dtype=np.float64).ravel()
    if len(nats) == 0 or len(nats) != len(distances):
        raise ValueError(f"expected as many likelihoods as distances, at least one, got {len(nats)} and {len(distances)}")
    if not (np.isfinite(nats).all() and np.isfinite(distances).all()):
        raise ValueError("expected finite likelihoods and distances, got others; the weights or the data are broken")
    return LikelihoodThresholds(
        typical_nats=float(np.median(nats)),
        unlikely_nats=float(np.quantile(nats, UNLIKELY_QUANTILE)),
        far=FAR_SLACK * float(np.quantile(distances, FAR_QUANTILE)),
        windows=len(nats),
    )


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What there is to judge when a chunk has been computed. Nats for each number of a chunk.

    `sampled_nats`: of the new chunk. `executed_nats`: of what was done after an earlier observation; NaN when nothing is known.
    `distance` of the present observation, and the term `farthest` that it belongs to.
    """

    sampled_nats: float
    executed_nats: float = math.nan
    distance: float = 0.0
    farthest: str = ""


class Trust(str, Enum):
    """LIKELY: go on. WARN: go on and say so. TAKEOVER: hold and ask a person."""

    LIKELY = "likely"
    WARN = "warn"
    TAKEOVER = "takeover"


@dataclass(frozen=True, kw_only=True)
class MonitorConfig:
    """Chunks in doubt until it warns and until it asks for takeover; chunks beyond doubt, in a row, that end a warning."""

    warn_after: int = 3
    takeover_after: int = 8
    recover_after: int = 2

    def __post_init__(self) -> None:
        if not 1 <= self.warn_after < self.takeover_after or self.recover_after < 1:
            raise ValueError(
                "expected warn_after of at least 1, takeover_after of more than that and recover_after of at least 1, got "
                f"{self.warn_after}, {self.takeover_after} and {self.recover_after}"
            )


class LikelihoodMonitor:
    """One `judge` for each chunk. TAKEOVER stays until `reset`: nothing moves again by itself after a hold."""

    def __init__(self, thresholds: LikelihoodThresholds | None, config: MonitorConfig | None = None) -> None:
        """`thresholds`: None for weights that were not calibrated, which are never doubted."""
        self.thresholds, self.config = thresholds, config or MonitorConfig()
        self.reset()

    def reset(self) -> None:
        """Somebody has taken over, chosen a mode or put other weights in place."""
        self.trust = Trust.LIKELY
        self.reason = ""
        """what the last doubt was; empty while everything is likely"""
        self._doubts = 0
        self._likely = 0

    def judge(self, evidence: Evidence) -> Trust:
        """Count one chunk."""
        if self.trust is Trust.TAKEOVER:
            return self.trust
        doubt = self._doubt(evidence)
        if doubt:
            self._doubts, self._likely, self.reason = self._doubts + 1, 0, doubt
        else:
            self._likely += 1
            if self._likely >= self.config.recover_after:
                self._doubts, self.reason = 0, ""
        if self._doubts >= self.config.takeover_after:
            self.trust = Trust.TAKEOVER
        else:
            self.trust = Trust.WARN if self._doubts >= self.config.warn_after else Trust.LIKELY
        return self.trust

    def _doubt(self, evidence: Evidence) -> str:
        """What is unlikely, with its number and its bound; empty for nothing."""
        bounds = self.thresholds
        if bounds is None:
            return ""
        # Not `>` and `<`: what is not a number is in doubt too.
        if not evidence.distance <= bounds.far:
            where = evidence.farthest or "the observation"
            return f"{where} is {evidence.distance:.1f} deviations from the data (at most {bounds.far:.1f})"
        if evidence.executed_nats < bounds.unlikely_nats:
            return _unlikely("what was done", evidence.executed_nats, bounds)
        if not evidence.sampled_nats >= bounds.unlikely_nats:
            return _unlikely("the new chunk", evidence.sampled_nats, bounds)
        return ""


def _unlikely(what: str, nats: float, bounds: LikelihoodThresholds) -> str:
    return f"{what} has {nats:.2f} nats a number (at least {bounds.unlikely_nats:.2f}, typically {bounds.typical_nats:.2f})"


@dataclass(frozen=True)
class ExecutedChunk:
    """What was done after an observation: `vector` (o,), `position_rad` (H, A) in the order of the policy's joints."""

    vector: Array32
    position_rad: Array


class ExecutedChunks:
    """Collects what was done in the H ticks after each observation that a chunk was computed from."""

    def __init__(self, horizon: int) -> None:
        self._horizon = horizon
        self._targets: deque[Array] = deque(maxlen=horizon)
        self._observed: deque[tuple[int, Array32]] = deque()
        self._finished: ExecutedChunk | None = None
        self._tick: int | None = None

    def forget(self) -> None:
        """The robot went another way, or the policy sees other things now."""
        self._targets.clear()
        self._observed.clear()
        self._finished = None
        self._tick = None

    def observed(self, tick: int, vector: Array32) -> None:
        """A chunk is computed from the observation of `tick`, which must be later than the one before."""
        self._observed.append((tick, vector))

    def executed(self, tick: int, position_rad: Sequence[float] | Array) -> None:
        """The target (A,) that was in effect from `tick` to the next; a gap between ticks forgets everything before."""
        if self._tick is not None and tick != self._tick + 1:
            self._targets.clear()
        self._tick = tick
        self._targets.append(np.asarray(position_rad, dtype=np.float64))
        while self._observed and self._observed[0][0] <= tick - self._horizon + 1:
            observed_tick, vector = self._observed.popleft()
            if observed_tick == tick - self._horizon + 1 and len(self._targets) == self._horizon:
                self._finished = ExecutedChunk(vector, np.stack(self._targets))

    def take(self) -> ExecutedChunk | None:
        """The last chunk that has become complete, once."""
        finished, self._finished = self._finished, None
        return finished

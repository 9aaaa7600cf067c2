"""The demonstrator's success rate comes with an interval and can be repeated."""

from __future__ import annotations

import pytest

from sernf_sim.demonstrator_rate import measure, wilson_interval


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"), [(0, 10, 0.0, 0.278), (5, 10, 0.237, 0.763), (10, 10, 0.722, 1.0)]
)
def test_wilson_interval_has_the_published_values(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=1e-3)


@pytest.mark.parametrize(("successes", "trials"), [(1, 0), (3, 2), (-1, 2)])
def test_refuses_impossible_counts(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="successes <= trials"):
        wilson_interval(successes, trials)


def test_counts_every_episode_and_repeats() -> None:
    first, second = (measure("duck", "nominal", 2, seed=5) for _ in range(2))
    assert first["episodes"] == first["successes"] + sum(first["failures_by_stage"].values())
    for result in (first, second):
        del result["realtime_factor"]
    assert first == second

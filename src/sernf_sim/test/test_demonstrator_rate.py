"""The demonstrator's success rate comes with an interval and can be repeated."""

from __future__ import annotations

from sernf_sim.demonstrator_rate import measure


def test_counts_every_episode_and_repeats() -> None:
    first, second = (measure("duck", "nominal", 2, seed=5) for _ in range(2))
    assert first["episodes"] == first["successes"] + sum(first["failures_by_stage"].values())
    for result in (first, second):
        del result["realtime_factor"]
    assert first == second

"""A success rate comes with an interval."""

from __future__ import annotations

import pytest

from sernf_robot.success_rate import describe_rate, wilson_interval


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"), [(0, 10, 0.0, 0.278), (5, 10, 0.237, 0.763), (10, 10, 0.722, 1.0)]
)
def test_wilson_interval_has_the_published_values(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=1e-3)


@pytest.mark.parametrize(("successes", "trials"), [(1, 0), (0, 0), (3, 2), (-1, 2)])
def test_refuses_impossible_counts(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="successes <= trials"):
        wilson_interval(successes, trials)


def test_people_read_count_rate_and_interval() -> None:
    assert describe_rate(12, 15) == "12 of 15 (80 %, 95 % interval 55 to 93 %)"
    assert describe_rate(0, 0) == "none"

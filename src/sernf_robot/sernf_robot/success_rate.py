"""Success rates as they are shown to people: never without an interval."""

from __future__ import annotations

import math

Z_95 = 1.959964


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % Wilson score interval of a success rate; raises ValueError unless 0 <= successes <= trials and trials > 0."""
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"expected 0 <= successes <= trials and trials > 0, got {successes} of {trials}")
    rate, weight = successes / trials, Z_95**2 / trials
    center = (rate + weight / 2) / (1 + weight)
    half = Z_95 * math.sqrt(rate * (1 - rate) / trials + weight / (4 * trials)) / (1 + weight)
    return max(0.0, center - half), min(1.0, center + half)


def describe_rate(successes: int, trials: int) -> str:
    """Such as "12 of 15 (80 %, 95 % interval 55 to 93 %)"; without trials just "none"."""
    if trials == 0:
        return "none"
    low, high = wilson_interval(successes, trials)
    return f"{successes} of {trials} ({100 * successes / trials:.0f} %, 95 % interval {100 * low:.0f} to {100 * high:.0f} %)"

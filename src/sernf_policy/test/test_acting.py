"""Which of the sampled chunks is taken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sernf_policy.acting import ActingConfig, best_candidate


def test_the_best_value_wins_among_the_likely() -> None:
    log_prob = np.array([5.0, -100.0, 4.0, 3.0])
    q_value = np.array([0.1, 0.9, 0.4, 0.3])
    assert best_candidate(log_prob, q_value, 0.0) == 1
    assert best_candidate(log_prob, q_value, 0.25) == 2
    assert best_candidate(log_prob, q_value, 0.75) == 0


@given(
    st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1.0, 1.0)), min_size=1, max_size=40),
    st.floats(0.0, 0.99),
)
def test_the_chosen_one_is_likely_and_no_likely_one_is_better(rows: list[tuple[float, float]], quantile: float) -> None:
    log_prob, q_value = np.array(rows).T
    chosen = best_candidate(log_prob, q_value, quantile)
    left_out = int(len(rows) * quantile)
    assert (log_prob < log_prob[chosen]).sum() + (log_prob == log_prob[chosen]).sum() > left_out
    certain = np.sort(log_prob)[left_out:]
    assert q_value[chosen] >= q_value[log_prob > certain[0]].max(initial=-np.inf)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1),
        ("temperature", 2.1),
        ("persistence", 1.0),
        ("candidates", 0),
        ("candidates", 1025),
        ("density_quantile", 1.0),
    ],
)
def test_impossible_configurations_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{field}: expected"):
        ActingConfig(**{field: value})  # type: ignore[arg-type]

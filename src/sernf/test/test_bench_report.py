"""The form of a bench's report."""

from __future__ import annotations

import json

import pytest

from sernf.bench.report import Metric, Report, as_json, machine


def test_a_metric_summarises_its_values() -> None:
    metric = Metric.of(range(101), "ms")
    assert (metric.n, metric.p50, metric.p99, metric.max, metric.mean) == (101, 50.0, 99.0, 100.0, 50.0)


def test_nothing_measured_is_an_error_not_a_zero() -> None:
    with pytest.raises(ValueError, match="got none"):
        Metric.of([], "ms")


def test_the_json_has_every_key_in_one_line() -> None:
    text = as_json("sim", 1.5, machine(), Report(metrics={"step_ms": Metric.of([1.0], "ms")}, counts={"ticks": 3}))
    assert "\n" not in text
    content = json.loads(text)
    assert set(content) == {"bench", "commit", "machine", "seconds", "metrics", "counts", "peers", "floor"}
    assert set(content["machine"]) == {"cpu", "cores", "load_before"}
    assert set(content["metrics"]["step_ms"]) == {"unit", "n", "p50", "p99", "max", "mean"}

"""What the benches of the running policy count, and that their good weights are good and their bad ones bad."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sernf.bench.random_policies import policy_layout, save_bad_weights, save_random_policy
from sernf.bench.running_policy import inside, missed_ticks, tick_errors_ms
from sernf_policy.checkpoint_files import CheckpointError
from sernf_policy.policy_node import TIMING_COLUMNS
from sernf_policy.runtime import CompileError
from sernf_policy.weights_check import WeightsRefused
from sernf_policy.weights_child import load
from sernf_robot.config_files import config_path
from sernf_robot.joints import JOINTS

PERIOD_S = 0.02
RATE_HZ = 50.0


def ticks(lateness_ms: list[float | None], silent: tuple[int, ...] = ()) -> Any:
    """One row for each tick; None for those that were skipped."""
    rows = np.zeros(len(lateness_ms), dtype=TIMING_COLUMNS)
    rows["due_ns"] = np.arange(len(rows)) * round(PERIOD_S * 1e9)
    rows["start_ns"] = rows["due_ns"] + [round((late or 0.0) * 1e6) for late in lateness_ms]
    rows["commanded"] = [index not in silent for index in range(len(rows))]
    return rows[[late is not None for late in lateness_ms]]


def test_ticks_in_time_are_not_missed() -> None:
    rows = ticks([0.0, -4.0, 4.0, 9.9])
    assert missed_ticks(rows, PERIOD_S) == 0
    np.testing.assert_allclose(tick_errors_ms(rows, PERIOD_S), [0.0, 4.0, 4.0, 9.9])


@pytest.mark.parametrize(
    ("rows", "missed"),
    [
        (ticks([0.0, 10.1, 0.0]), 1),
        (ticks([0.0, None, 0.0]), 1),
        (ticks([0.0, None, None, 0.0]), 2),
        (ticks([0.0, 0.0, 0.0], silent=(1,)), 1),
    ],
)
def test_late_skipped_and_silent_ticks_are_missed(rows: Any, missed: int) -> None:
    assert missed_ticks(rows, PERIOD_S) == missed


def test_a_skipped_tick_is_as_late_as_the_tick_that_came_instead() -> None:
    errors_ms = tick_errors_ms(ticks([0.0, None, 1.0]), PERIOD_S)
    np.testing.assert_allclose(sorted(errors_ms), [0.0, 1.0, 21.0])


def test_windows_take_the_ticks_that_were_due_in_them() -> None:
    rows = ticks([0.0] * 10)
    first, second = inside(rows, [(0.0, 0.05), (0.1, 1.0)])
    assert (len(first), len(second)) == (3, 5)


@pytest.mark.slow
def test_good_weights_pass_and_every_kind_of_bad_ones_is_refused(tmp_path: Path) -> None:
    good = tmp_path / "good"
    save_random_policy(good, policy_layout(RATE_HZ), seed=0)
    request = {"joint_names": JOINTS, "limits_file": str(config_path("limits.yaml")), "threads": 1, "check": {}}
    description, _ = load({**request, "file": str(good), "sha256": ""})
    assert description.layout.step_period_s == pytest.approx(PERIOD_S)
    bad_ones = save_bad_weights(tmp_path, good, RATE_HZ)
    assert len({bad.kind for bad in bad_ones}) == len(bad_ones) == 9
    for bad in bad_ones:
        asked = {**request, "file": str(bad.file), "sha256": bad.sha256}
        if bad.kind == "other_rate":  # which the node compares with its own
            assert load(asked)[0].layout.step_period_s == pytest.approx(2 * PERIOD_S)
            continue
        with pytest.raises((CheckpointError, CompileError, WeightsRefused)):
            load(asked)

"""The grid counts commands as long as they come at the wanted rate, and fits itself to them where they do not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sernf_learner.control_grid import ExecutedCommands, Grid, lay_grid

MS = 1_000_000
PERIOD_NS = 50 * MS
START_RAD = np.array([-1.0])
DELAY_NS = 3 * MS


def commands(times_ms: Sequence[float], source: str = "policy", value: float = 0.0) -> ExecutedCommands:
    """The n-th asks one joint for `value` + n."""
    decided_ns = np.array([round(time_ms * MS) for time_ms in times_ms], dtype=np.int64)
    return ExecutedCommands(
        decided_ns=decided_ns, begin_ns=decided_ns + DELAY_NS, target_rad=value + np.arange(float(len(decided_ns)))[:, None],
        source=np.full(len(decided_ns), source, dtype=object),
    )  # fmt: skip


def joined(*parts: ExecutedCommands) -> ExecutedCommands:
    return ExecutedCommands(
        **{
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("decided_ns", "begin_ns", "target_rad", "source")
        }
    )


def lay(given_commands: ExecutedCommands, period_ms: float = 50.0) -> Grid:
    return lay_grid(given_commands, START_RAD, round(period_ms * MS))


def rows(grid: Grid) -> list[tuple[float, float]]:
    return list(zip((grid.decided_ns / MS).tolist(), grid.target_rad[:, 0].round(6).tolist()))


def test_one_tick_for_each_command_however_the_timer_jitters() -> None:
    times = [0, 52, 99, 151, 198, 250]
    grid = lay(commands(times))
    assert rows(grid) == [(time, n) for n, time in enumerate(times)]
    np.testing.assert_array_equal(grid.begin_ns, grid.decided_ns + DELAY_NS)
    np.testing.assert_array_equal(grid.end_ns, [*grid.begin_ns[1:], grid.begin_ns[-1] + PERIOD_NS])


def test_a_timer_that_stalls_and_catches_up_loses_no_command() -> None:
    times = [0, 50, 100, 150, 257, 267, 300, 350, 400]
    assert rows(lay(commands(times))) == [(time, n) for n, time in enumerate(times)]


def test_lost_commands_leave_ticks_in_which_the_last_target_holds() -> None:
    grid = lay(commands([0, 50, 100, 250, 300, 350]))
    assert rows(grid) == [(0, 0), (50, 1), (100, 2), (150, 2), (200, 2), (250, 3), (300, 4), (350, 5)]
    assert grid.begin_ns[3] == 150 * MS + DELAY_NS


def test_a_burst_counts_as_what_came_of_it() -> None:
    before, burst, after = np.arange(10) * 50, [500, 505, 508, 510, 520], 550 + np.arange(10) * 50
    grid = lay(commands([*before, *burst, *after]))
    # Two of the burst find a tick that was due or nearly so; the others were superseded at once.
    assert [value for _, value in rows(grid)] == [*range(10), 13, 14, *range(15, 25)]


def test_rates_that_differ_a_little_are_taken_as_the_wanted_one() -> None:
    times = (np.arange(40) * 53.0).tolist()
    assert rows(lay(commands(times))) == [(time, n) for n, time in enumerate(times)]


def test_of_faster_commands_the_last_in_a_tick_counts() -> None:
    grid = lay(commands((np.arange(20) * 10.0).tolist()))
    assert rows(grid) == [(0, 4), (50, 9), (100, 14), (150, 19)]


def test_of_slower_commands_a_tick_sees_a_part_of_the_way() -> None:
    grid = lay(commands([0, 50, 100, 150]), period_ms=10.0)
    assert len(grid) == 20
    np.testing.assert_allclose(grid.target_rad[:10, 0], [-0.8, -0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert set(grid.source) == {"policy"}


def test_any_rate_gives_a_regular_grid() -> None:
    times = (np.arange(31) * 100 / 3).tolist()
    grid = lay(commands(times))
    np.testing.assert_array_equal(np.diff(grid.decided_ns), PERIOD_NS)
    # At 30 Hz a tick ends one and a half commands later, in the middle of the way to the next.
    np.testing.assert_allclose(grid.target_rad[:4, 0], [0.5, 2.0, 3.5, 5.0], atol=1e-4)


def test_every_source_keeps_its_own_beat() -> None:
    policy, operator = commands([0, 50, 100]), commands((120 + np.arange(10) * 10.0).tolist(), "teleop", 100.0)
    grid = lay(joined(policy, operator, commands([230, 280], "policy", 200.0)))
    assert rows(grid) == [(0, 0), (50, 1), (120, 104), (170, 109), (230, 200), (280, 201)]
    assert grid.source.tolist() == ["policy", "policy", "teleop", "teleop", "policy", "policy"]


def test_a_pause_between_two_sources_is_filled() -> None:
    grid = lay(joined(commands([0, 50]), commands([200, 250], "teleop", 100.0)))
    assert rows(grid) == [(0, 0), (50, 1), (100, 1), (150, 1), (200, 100), (250, 101)]


def test_a_single_command_is_one_tick() -> None:
    grid = lay(commands([7]))
    assert rows(grid) == [(7, 0)]
    assert (grid.end_ns - grid.begin_ns).tolist() == [PERIOD_NS]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([10, 20, 33, 49, 50, 51, 80]), st.integers(4, 40), st.integers(0, 30)), min_size=1, max_size=4
    ),
    st.sampled_from([10.0, 50.0, 100.0]),
)
def test_whatever_comes_the_ticks_add_up_to_the_time(stretches: list[tuple[int, int, int]], period_ms: float) -> None:
    begin, parts = 0, []
    for number, (every, count, pause) in enumerate(stretches):
        times = begin + np.arange(count) * every
        parts.append(commands(times.tolist(), f"source {number % 2}"))
        begin = int(times[-1]) + every + pause
    everything = joined(*parts)
    grid = lay(everything, period_ms)
    lasted_ms = (everything.decided_ns[-1] - everything.decided_ns[0]) / MS + stretches[-1][0]
    tolerance = 1 + len(stretches) + 0.11 * lasted_ms / period_ms
    assert len(grid) == pytest.approx(lasted_ms / period_ms, abs=tolerance)
    assert (np.diff(grid.decided_ns) >= 0).all()
    assert (grid.end_ns >= grid.begin_ns).all()
    assert np.isfinite(grid.target_rad).all()
    lowest, highest = min(-1.0, everything.target_rad.min()), everything.target_rad.max()
    assert (grid.target_rad >= lowest).all() and (grid.target_rad <= highest).all()

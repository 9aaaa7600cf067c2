"""Ticks: one for each period, with the joint state that is nearest, and by the timer where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from sernf_policy.tick_schedule import TickSchedule


def run(schedule: TickSchedule, arrivals_s: list[float], until_s: float) -> list[tuple[int, float]]:
    """Ticks taken and when, by arrivals and by a timer that first fires one period after 0."""
    timers = list(np.arange(1, int(until_s / schedule.period_s) + 1) * schedule.period_s)
    events = sorted([(time_s, True) for time_s in arrivals_s] + [(time_s, False) for time_s in timers])
    taken = []
    for time_s, is_arrival in events:
        tick = schedule.on_arrival(time_s) if is_arrival else schedule.on_timer(time_s)
        if tick is not None:
            taken.append((tick, time_s))
    return taken


@pytest.mark.parametrize("rate_hz", [10.0, 20.0, 50.0])
@pytest.mark.parametrize("phase_s", [0.0, 0.003, 0.0071])
def test_every_tick_comes_once_within_half_a_rhythm_of_the_joint_states(rate_hz: float, phase_s: float) -> None:
    schedule = TickSchedule(1.0 / rate_hz)
    schedule.start(0.0)
    taken = run(schedule, list(np.arange(phase_s, 5.0, 0.008)), 5.0)
    assert [tick for tick, _ in taken] == list(range(len(taken)))
    errors_s = [time_s - schedule.due_s(tick) for tick, time_s in taken[2:]]
    assert max(np.abs(errors_s)) <= 0.004 + 1e-9
    assert schedule.missed == 0


def test_without_joint_states_the_timer_takes_every_tick() -> None:
    schedule = TickSchedule(0.05)
    schedule.start(0.0)
    taken = run(schedule, [], 2.0)
    assert [tick for tick, _ in taken] == list(range(40))


def test_arrivals_slower_than_half_the_ticks_leave_the_others_to_the_timer() -> None:
    schedule = TickSchedule(0.01)
    schedule.start(0.0)
    taken = run(schedule, list(np.arange(0.0, 1.0, 0.03)), 1.0)
    assert [tick for tick, _ in taken] == list(range(len(taken)))


def test_a_tick_more_than_half_a_period_late_is_skipped_and_counted() -> None:
    schedule = TickSchedule(0.05)
    schedule.start(0.0)
    first = schedule.on_timer(0.05)
    assert first == 0
    assert schedule.on_timer(schedule.due_s(3) + 0.001) == 3
    assert schedule.missed == 2
    assert schedule.on_timer(schedule.due_s(3) + 0.002) is None


def test_starting_anew_counts_anew() -> None:
    schedule = TickSchedule(0.05)
    schedule.start(0.0)
    assert schedule.on_timer(0.05) == 0
    schedule.start(100.0)
    assert schedule.on_timer(100.0) is None
    assert schedule.on_timer(100.05) == 0

"""The chunk player: every target stands at the tick it was meant for, whatever the computation does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sernf_policy.chunk_player import ChunkPlayer, PlayerConfig

HORIZON = 10


def chunk(observed_tick: int, offset: float = 0.0, horizon: int = HORIZON) -> NDArray[np.float64]:
    """Targets that say which tick they are for."""
    return (observed_tick + np.arange(horizon, dtype=float) + offset)[:, None]


def player(**settings: int) -> ChunkPlayer:
    return ChunkPlayer(PlayerConfig(**settings))


def test_without_a_chunk_there_is_no_target() -> None:
    assert player().step(0) is None


def test_a_chunk_plays_one_step_each_tick_after_its_lead() -> None:
    playing = player(execute_steps=5, lead_steps=1)
    assert playing.wants_chunk(3)
    playing.offer(chunk(3), 3, 7)
    assert playing.step(3) is None
    for tick in range(4, 13):
        step = playing.step(tick)
        assert step is not None
        assert (step.position_rad[0], step.chunk_id, step.step_in_chunk) == (tick, 7, tick - 3)
    assert playing.step(13) is None


def test_a_late_chunk_begins_in_its_middle() -> None:
    playing = player(lead_steps=1)
    playing.wants_chunk(0)
    playing.offer(chunk(0), 0, 1)
    for tick in range(1, 6):
        playing.step(tick)
    assert playing.wants_chunk(5)
    for tick in range(6, 9):
        playing.step(tick)
    playing.offer(chunk(5), 5, 2)
    step = playing.step(9)
    assert step is not None
    assert (step.chunk_id, step.step_in_chunk, step.position_rad[0]) == (2, 4, 9.0)


def test_a_chunk_that_comes_after_its_last_step_is_dropped_and_another_may_be_asked_for() -> None:
    playing = player()
    playing.wants_chunk(0)
    playing.offer(chunk(0), 0, 1)
    assert playing.step(10) is None
    assert playing.wants_chunk(10)


def test_the_next_chunk_is_asked_for_once_and_in_time() -> None:
    playing = player(execute_steps=5, lead_steps=2)
    assert playing.wants_chunk(0)
    assert not playing.wants_chunk(0)
    playing.offer(chunk(0), 0, 1)
    asked = []
    for tick in range(12):
        if playing.wants_chunk(tick):
            asked.append(tick)
            playing.offer(chunk(tick), tick, tick)
        playing.step(tick)
    assert asked == [5, 10]


def test_a_chunk_that_will_not_come_may_be_asked_for_again() -> None:
    playing = player()
    assert playing.wants_chunk(0)
    assert not playing.wants_chunk(1)
    playing.withdraw()
    assert playing.wants_chunk(1)


def test_a_seam_is_measured_and_blended() -> None:
    playing = player(execute_steps=5, blend_steps=2, lead_steps=1)
    playing.wants_chunk(0)
    playing.offer(chunk(0), 0, 1)
    for tick in range(1, 6):
        playing.step(tick)
    playing.wants_chunk(5)
    playing.offer(chunk(5, offset=3.0), 5, 2)
    steps = [playing.step(tick) for tick in range(6, 10)]
    assert all(step is not None and step.chunk_id == 2 for step in steps)
    assert [step.seam_jump_rad for step in steps if step] == [3.0, 0.0, 0.0, 0.0]
    np.testing.assert_allclose([step.position_rad[0] - tick for tick, step in enumerate(steps, 6) if step], [1.0, 2.0, 3.0, 3.0])


def test_without_blending_the_new_chunk_counts_at_once() -> None:
    playing = player(blend_steps=0)
    playing.wants_chunk(0)
    playing.offer(chunk(0), 0, 1)
    playing.step(1)
    playing.offer(chunk(1, offset=3.0), 1, 2)
    step = playing.step(2)
    assert step is not None and step.position_rad[0] == 5.0


def test_no_seam_after_a_gap() -> None:
    playing = player()
    playing.wants_chunk(0)
    playing.offer(chunk(0), 0, 1)
    for tick in range(12):
        playing.step(tick)
    playing.offer(chunk(12, offset=3.0), 12, 2)
    step = playing.step(13)
    assert step is not None and step.seam_jump_rad == 0.0 and step.position_rad[0] == 16.0


def test_queue_depth_counts_the_waiting_chunk() -> None:
    playing = player()
    assert playing.steps_left(0) == 0
    playing.wants_chunk(0)
    playing.offer(chunk(0), 0, 1)
    assert playing.steps_left(1) == 9
    playing.step(1)
    playing.offer(chunk(5), 5, 2)
    assert playing.steps_left(6) == 9
    assert playing.steps_left(15) == 0


def test_one_step_of_each_chunk_means_a_chunk_every_tick() -> None:
    playing = player(execute_steps=1, blend_steps=0)
    ids = []
    for tick in range(6):
        if playing.wants_chunk(tick):
            playing.offer(chunk(tick, offset=tick), tick, tick)
        step = playing.step(tick)
        ids.append(None if step is None else (step.chunk_id, step.seam_jump_rad))
    assert ids == [None, (0, 0.0), (1, 1.0), (2, 1.0), (3, 1.0), (4, 1.0)]


def test_a_late_chunk_that_ends_early_asks_for_the_next_in_time() -> None:
    playing = player(execute_steps=6, lead_steps=1)
    playing.wants_chunk(0)
    playing.offer(chunk(0), 0, 1)
    assert playing.step(7) is not None
    assert [playing.wants_chunk(tick) for tick in (7, 8, 9)] == [False, False, True]


def test_reset_forgets_everything() -> None:
    playing = player()
    playing.wants_chunk(0)
    playing.offer(chunk(0), 0, 1)
    playing.step(1)
    playing.offer(chunk(1), 1, 2)
    playing.reset()
    assert playing.step(2) is None and playing.steps_left(2) == 0 and playing.wants_chunk(2)


@settings(max_examples=100, deadline=None)
@given(
    execute=st.integers(1, 8),
    lead=st.integers(1, 2),
    blend=st.integers(0, 4),
    delays=st.lists(st.integers(0, 14), min_size=1, max_size=12),
)
def test_every_target_is_the_one_for_its_tick_however_late_chunks_come(
    execute: int, lead: int, blend: int, delays: list[int]
) -> None:
    """Chunks that agree with each other leave no trace of seams, delays or gaps in what is played."""
    playing = player(execute_steps=max(execute, lead), lead_steps=lead, blend_steps=blend)
    arrivals: dict[int, int] = {}
    asked = 0
    gap = 0
    for tick in range(120):
        if tick in arrivals:
            observed = arrivals.pop(tick)
            playing.offer(chunk(observed), observed, observed)
        if playing.wants_chunk(tick):
            arrivals[tick + 1 + delays[asked % len(delays)]] = tick
            asked += 1
        step = playing.step(tick)
        gap = gap + 1 if step is None else 0
        if step is not None:
            assert step.position_rad[0] == pytest.approx(tick)
            assert step.seam_jump_rad == pytest.approx(0.0)
            assert 0 <= step.step_in_chunk < HORIZON
        assert gap <= max(delays) + lead + 1 or max(delays) >= HORIZON - 2


@settings(max_examples=50, deadline=None)
@given(execute=st.integers(1, 9), lead=st.integers(1, 3), horizon=st.integers(1, 12))
def test_a_horizon_that_is_long_enough_never_runs_dry(execute: int, lead: int, horizon: int) -> None:
    execute = max(execute, lead)
    config = PlayerConfig(execute_steps=execute, lead_steps=lead)
    if horizon < execute + lead:
        with pytest.raises(ValueError, match=f"need a horizon of at least {execute + lead}, got {horizon}"):
            config.check_horizon(horizon)
        return
    config.check_horizon(horizon)
    playing = ChunkPlayer(config)
    for tick in range(60):
        if playing.wants_chunk(tick):
            playing.offer(chunk(tick, horizon=horizon), tick, tick)
        assert tick < lead or playing.step(tick) is not None


@pytest.mark.parametrize("wrong", [{"execute_steps": 0}, {"lead_steps": 0}, {"blend_steps": -1}, {"lead_steps": 6}])
def test_impossible_configurations_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected execute_steps"):
        PlayerConfig(**wrong)

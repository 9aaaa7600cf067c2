"""Stamps that only grow, and rings that keep the newest."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sernf_node.stamps import IncreasingStamps
from sernf_node.timing_ring import TimingRing

MS = 1_000_000
ROW = np.dtype([("start_ns", np.int64), ("seconds", np.float64)])


def test_stamps_grow_even_when_the_clock_stands_still_or_is_slewed_back() -> None:
    stamps = IncreasingStamps()
    given = [stamps.next(now) for now in (100 * MS, 100 * MS, 99 * MS, 101 * MS)]
    assert given == sorted(set(given))
    assert given[-1] == 101 * MS


def test_a_clock_that_was_set_back_is_followed() -> None:
    stamps = IncreasingStamps()
    stamps.next(10_000 * MS)
    assert stamps.next(5_000 * MS) == 5_000 * MS


def test_a_ring_keeps_the_newest_rows_in_order(tmp_path: Path) -> None:
    ring = TimingRing(ROW, 3)
    for number in range(5):
        assert len(ring.rows()) == min(number, 3)
        ring.note(number, 0.5 * number)
    ring.save(tmp_path / "made" / "ring.npy")
    rows = np.load(tmp_path / "made" / "ring.npy")
    assert rows["start_ns"].tolist() == [2, 3, 4]
    assert rows["seconds"].tolist() == [1.0, 1.5, 2.0]

"""Grasps: files of them, and where episodes begin."""

import numpy as np
import pytest

from sernf_teacher.grasps import GraspError, Grasps, GraspSearch, SearchConfig, load_grasps
from sernf_teacher.starts import Start, Starts


def grasps(count):
    numbers = np.arange(count, dtype=float)[:, None]
    return Grasps(np.tile(numbers, (1, 16)), np.tile(numbers, (1, 16)), np.tile(numbers, (1, 6)))


def test_shipped_grasps_are_many_and_lie_about_the_cubes_place():
    shipped = load_grasps()
    assert len(shipped) >= 200
    assert np.abs(shipped.cube[:, :3]).max() < 0.02
    assert not np.allclose(shipped.target_rad, shipped.position_rad)


def test_files_keep_what_was_saved(tmp_path):
    grasps(5).save(tmp_path / "some.safetensors")
    again = load_grasps(tmp_path / "some.safetensors")
    assert len(again) == 5 and again.cube[3, 0] == 3.0


def test_no_grasps_are_an_error(tmp_path):
    with pytest.raises(GraspError, match="make it"):
        load_grasps(tmp_path / "none.safetensors")
    grasps(0).save(tmp_path / "empty.safetensors")
    with pytest.raises(GraspError, match="make it anew"):
        load_grasps(tmp_path / "empty.safetensors")


def test_starts_come_from_the_ring_once_it_holds_enough():
    starts = Starts(grasps(10), share=0.5, capacity=100, enough=20)
    rng = np.random.default_rng(0)
    starts.keep(Start(np.full((10, 22), -1.0), np.ones((10, 22)), np.full((10, 16), -1.0)))
    assert (starts.draw(rng, np.ones(200, dtype=bool))[0].qpos >= 0.0).all()
    starts.keep(Start(np.full((10, 22), -1.0), np.ones((10, 22)), np.full((10, 16), -1.0)))
    drawn, opened, chosen = starts.draw(rng, np.ones(400, dtype=bool))
    assert not opened.any()
    old = drawn.qpos[:, 0] < 0.0
    assert ((chosen == -1) == old).all()
    assert 0.4 < old.mean() < 0.6
    assert (drawn.qvel[old] == 1.0).all() and not drawn.qvel[~old].any()
    assert (starts.draw(rng, np.zeros(400, dtype=bool))[2] >= 0).all()


def test_open_starts_are_grasps_that_press_nothing():
    pressed = Grasps(np.zeros((5, 16)), np.ones((5, 16)), np.zeros((5, 6)))
    starts = Starts(pressed, share=0.5, open_share=0.5, enough=1)
    starts.keep(Start(np.full((1, 22), -9.0), np.zeros((1, 22)), np.full((1, 16), -9.0)))
    drawn, opened, _ = starts.draw(np.random.default_rng(0), np.ones(400, dtype=bool))
    assert 0.15 < opened.mean() < 0.35
    fingers = drawn.qpos[opened, :16]
    assert np.array_equal(fingers, drawn.target_rad[opened])
    assert (fingers <= -0.5).all() and (fingers >= -0.9).all()


def test_grasps_that_fail_are_drawn_more_often_until_they_do_not():
    starts = Starts(grasps(10), share=0.0)
    rng = np.random.default_rng(0)
    for _ in range(100):
        starts.judge(np.array([3, 4, -1]), np.array([True, False, True]))
    assert starts.failing[3] > 0.9 and not starts.failing[4] and starts.failing.sum() == starts.failing[3]
    counts = np.bincount(starts.draw(rng, np.ones(2000, dtype=bool))[2], minlength=10)
    assert 0.4 < counts[3] / 2000 < 0.6
    for _ in range(100):
        starts.judge(np.array([3]), np.array([False]))
    assert np.bincount(starts.draw(rng, np.ones(2000, dtype=bool))[2], minlength=10)[3] < 300


def test_the_ring_forgets_the_oldest():
    starts = Starts(grasps(1), share=1.0, capacity=4, enough=1)
    for number in range(6):
        starts.keep(Start(np.full((1, 22), float(number)), np.zeros((1, 22)), np.zeros((1, 16))))
    assert sorted(starts.ring.qpos[:, 0]) == [2.0, 3.0, 4.0, 5.0]


@pytest.mark.slow
def test_the_search_finds_grasps_that_hold():
    found = GraspSearch(SearchConfig(candidates=150, table=6000), seed=1).round()
    assert len(found) >= 2
    assert np.abs(found.cube[:, :3]).max() < 0.015

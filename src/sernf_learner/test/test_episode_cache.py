"""The cache saves time and nothing else: what it holds is what the bags say, whatever happens to its files."""

from __future__ import annotations

import logging
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from recordings import JOINTS, beat, scripted

from sernf_learner import control_grid, episode_cache
from sernf_learner.bag_reader import Reading, read_bag
from sernf_learner.episode import Ending, Episode
from sernf_learner.episode_cache import EpisodeCache
from sernf_teleop.episode_files import EpisodeError
from sernf_teleop.episodes import EpisodeInfo, read_episode, relabel

READING = Reading(joint_names=JOINTS)
ARRAYS = ("joint_position_rad", "commanded_position_rad", "action_rad", "requested_rad", "object_pose", "taken_over")


@pytest.fixture
def info(tmp_path: Path) -> EpisodeInfo:
    recording = scripted(beat(20), end_ms=1200, clipped_ms=lambda at_ms: at_ms % 100 == 0, objects=("duck", "bowl"))
    recording.task_state(603, success=True, done=True)
    return recording.write(tmp_path / "set" / "e")


@pytest.fixture
def cache(tmp_path: Path) -> EpisodeCache:
    return EpisodeCache(tmp_path / "cache")


@pytest.fixture
def read_from_bags(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the episodes whose bags were read."""
    seen: list[str] = []
    original = episode_cache.read_ticks

    def read_ticks(info: EpisodeInfo, reading: Reading) -> object:
        seen.append(info.episode_id)
        return original(info, reading)

    monkeypatch.setattr(episode_cache, "read_ticks", read_ticks)
    return seen


def same(one: Episode, other: Episode) -> bool:
    facts = [(item.episode_id, item.source, item.ending, item.cause, item.objects, item.joint_names) for item in (one, other)]
    return facts[0] == facts[1] and all(getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in ARRAYS)


def test_the_cached_episode_is_that_of_the_bag(info: EpisodeInfo, cache: EpisodeCache, read_from_bags: list[str]) -> None:
    direct = read_bag(info, joint_names=JOINTS)
    assert same(cache.read(info, READING), direct)
    assert same(cache.read(info, READING), direct)
    assert read_from_bags == ["e"]


def test_what_was_deleted_is_rebuilt_bit_for_bit(info: EpisodeInfo, cache: EpisodeCache) -> None:
    cache.read(info, READING)
    path = cache.path(info, READING)
    with np.load(path) as stored:
        before = {name: stored[name] for name in stored.files}
    path.unlink()
    cache.read(info, READING)
    with np.load(path) as stored:
        assert {name: stored[name].tobytes() for name in stored.files} == {
            name: value.tobytes() for name, value in before.items()
        }
    assert list(cache.directory.iterdir()) == [path]


def test_a_new_label_counts_at_once_and_needs_no_bag(info: EpisodeInfo, cache: EpisodeCache, read_from_bags: list[str]) -> None:
    assert (cache.read(info, READING).ending, len(cache.read(info, READING))) == (Ending.SUCCESS, 11)
    relabel(info.path, label="failure", labelled_by="operator:bo", note="timeout")
    again = cache.read(read_episode(info.path), READING)
    # The operator contradicts the judge, so nothing is cut off where the judge saw success.
    assert (again.ending, again.cause, len(again)) == (Ending.TIMEOUT, "timeout", 20)
    relabel(info.path, label="discard", labelled_by="operator:bo", note="")
    with pytest.raises(EpisodeError, match="expected the label success or failure, got discard"):
        cache.read(read_episode(info.path), READING)
    assert read_from_bags == ["e"]


@pytest.mark.parametrize("at", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999])
def test_a_damaged_file_is_noticed_and_rebuilt(
    info: EpisodeInfo, cache: EpisodeCache, at: float, read_from_bags: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    direct = cache.read(info, READING)
    path = cache.path(info, READING)
    content = path.read_bytes()
    place = int(at * len(content))
    for damaged in (
        content[:place],
        content[:place] + bytes(byte ^ 0xFF for byte in content[place : place + 32]) + content[place + 32 :],
    ):
        path.write_bytes(damaged)
        assert same(cache.read(info, READING), direct)
    # Damage to what nobody reads may go unnoticed, damage to numbers may not; what was rebuilt is whole again.
    assert len(read_from_bags) >= 2
    with caplog.at_level(logging.WARNING):
        caplog.clear()
        assert same(cache.read(info, READING), direct)
    assert not caplog.records


def test_a_file_of_another_bag_is_not_believed(info: EpisodeInfo, cache: EpisodeCache, tmp_path: Path) -> None:
    other = scripted(beat(7), end_ms=600).write(tmp_path / "set" / "f")
    cache.read(info, READING)
    cache.read(other, READING)
    cache.path(other, READING).replace(cache.path(info, READING))
    assert len(cache.read(info, READING)) == 11


@pytest.mark.parametrize(
    "reading",
    [Reading(joint_names=JOINTS, step_period_s=0.1), Reading(joint_names=("c", "a")), Reading(joint_names=JOINTS, objects=())],
)
def test_another_way_of_reading_is_another_file(info: EpisodeInfo, cache: EpisodeCache, reading: Reading) -> None:
    cache.read(info, READING)
    episode = cache.read(info, reading)
    assert cache.path(info, reading) != cache.path(info, READING)
    assert (episode.step_period_s, episode.joint_names) == (reading.step_period_s, reading.joint_names)
    assert len(list(cache.directory.iterdir())) == 2


def test_changed_code_rebuilds(
    info: EpisodeInfo, cache: EpisodeCache, read_from_bags: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cache.read(info, READING)
    changed = ModuleType("control_grid")
    changed.__file__ = str(tmp_path / "control_grid.py")
    Path(changed.__file__).write_text(Path(str(control_grid.__file__)).read_text() + "# changed\n")
    monkeypatch.setattr(episode_cache, "CODE", (*episode_cache.CODE[:-1], changed))
    episode_cache._code_version.cache_clear()
    cache.read(info, READING)
    episode_cache._code_version.cache_clear()
    assert read_from_bags == ["e", "e"]


def test_a_folder_that_cannot_be_written_to_only_costs_time(
    info: EpisodeInfo, tmp_path: Path, read_from_bags: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = EpisodeCache(tmp_path / "file")
    assert len(cache.read(info, READING)) == 11
    assert len(cache.read(info, READING)) == 11
    assert read_from_bags == ["e", "e"]
    assert "is not kept in the cache" in caplog.text

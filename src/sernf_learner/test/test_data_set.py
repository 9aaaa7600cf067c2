"""A folder of episodes: what is learnt from, what is not and why, and memory that does not grow with the number of bags."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from recordings import JOINTS, Recording, beat, scripted, told

from sernf_learner.bag_reader import Reading
from sernf_learner.data_set import DataSetError, read_dataset
from sernf_learner.episode import Ending
from sernf_learner.episode_cache import CACHE_FOLDER, EpisodeCache
from sernf_teleop.episode_files import BROKEN, REASON_FILE, UNFINISHED
from sernf_teleop.episodes import list_episodes, relabel

READING = Reading(joint_names=JOINTS)


def record(directory: Path, name: str, count: int = 5, **about: str) -> Path:
    return scripted(beat(count), end_ms=100 + 50 * count).write(directory / name, **about).path


def test_episodes_come_in_order_with_their_endings(tmp_path: Path) -> None:
    record(tmp_path, "c", 4, label="failure", note="dropped")
    record(tmp_path, "a", 5)
    record(tmp_path, "b", 6, label="failure", note="timeout")
    data = read_dataset(tmp_path, reading=READING)
    assert [episode.episode_id for episode in data.episodes] == ["a", "b", "c"]
    assert data.endings == (Ending.SUCCESS, Ending.TIMEOUT, Ending.FAILURE)
    assert [len(episode) for episode in data.episodes] == [5, 6, 4]
    assert [episode.episode_id for episode in data.episodes[1:]] == ["b", "c"]
    assert data.episodes[-1].cause == "dropped"
    assert (data.count(Ending.SUCCESS), data.skipped) == (1, ())
    assert len(list_episodes(tmp_path)) == 3  # the cache is no episode


def test_what_cannot_be_learnt_from_is_listed_with_its_reason(tmp_path: Path) -> None:
    record(tmp_path, "good")
    record(tmp_path, "unlabelled", label="")
    record(tmp_path, "discarded", label="discard")
    record(tmp_path, "scissors", task="scissors")
    lossy = json.dumps({"/joint_command": {"messages": 5, "dropped": 3, "control": True}})
    record(tmp_path, "lossy", topics=lossy)
    cut = record(tmp_path, "cut")
    file = next(cut.glob("*.mcap"))
    file.write_bytes(file.read_bytes()[:-100])
    still = Recording()
    still.joint_states(0, told(0))
    still.bridge_state(0, command_ms=None, requested_position_rad=told(0), executed_position_rad=told(0))
    still.write(tmp_path / "still")
    (tmp_path / UNFINISHED / "now").mkdir(parents=True)
    (tmp_path / BROKEN / "lost").mkdir(parents=True)
    (tmp_path / BROKEN / "lost" / REASON_FILE).write_text("no intact message")
    data = read_dataset(tmp_path, reading=READING, task="duck")
    assert [episode.episode_id for episode in data.episodes] == ["good"]
    reasons = {item.episode_id: item.reason for item in data.skipped}
    for name, part in {
        "unlabelled": "got none", "discarded": "got discard", "scissors": "expected duck, got scissors",
        "lossy": "3 messages of control", "cut": "truncated", "still": "nobody moved the robot", "now": "is being recorded",
        "lost": "no intact message",
    }.items():  # fmt: skip
        assert part in reasons.pop(name)
    assert reasons == {}


def test_damaged_bytes_never_end_the_reading(tmp_path: Path) -> None:
    record(tmp_path, "good")
    path = record(tmp_path, "bad", sha256="")  # recorded by other means, so nothing vouches for its content
    file = next(path.glob("*.mcap"))
    content = file.read_bytes()
    for place in range(0, len(content) - 60, len(content) // 25):
        file.write_bytes(content[:place] + bytes(byte ^ 0xA5 for byte in content[place : place + 50]) + content[place + 50 :])
        data = read_dataset(tmp_path, reading=READING, cache=EpisodeCache(tmp_path / "elsewhere"))
        assert "good" in [episode.episode_id for episode in data.episodes]


def test_relabelled_episodes_are_picked_up_and_change_the_hash(tmp_path: Path) -> None:
    record(tmp_path, "a")
    path = record(tmp_path, "b")
    before = read_dataset(tmp_path, reading=READING)
    relabel(path, label="failure", labelled_by="operator:bo", note="dropped")
    after = read_dataset(tmp_path, reading=READING)
    assert (before.endings[1], after.endings[1]) == (Ending.SUCCESS, Ending.FAILURE)
    assert before.data_sha256 != after.data_sha256
    assert read_dataset(tmp_path, reading=READING).data_sha256 == after.data_sha256


def test_the_hash_tells_content_and_not_place(tmp_path: Path) -> None:
    record(tmp_path / "one", "a")
    record(tmp_path / "one", "b", 7)
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    one, other = (read_dataset(tmp_path / name, reading=READING) for name in ("one", "other"))
    assert one.data_sha256 == other.data_sha256
    shutil.rmtree(tmp_path / "other" / "b")
    assert read_dataset(tmp_path / "other", reading=READING).data_sha256 != one.data_sha256


def test_a_single_bag_is_a_data_set_too(tmp_path: Path) -> None:
    path = record(tmp_path, "a")
    assert [episode.episode_id for episode in read_dataset(path, reading=READING).episodes] == ["a"]
    assert (tmp_path / CACHE_FOLDER).is_dir()


def test_progress_is_told(tmp_path: Path) -> None:
    record(tmp_path, "a")
    record(tmp_path, "b", label="discard")
    told_progress: list[tuple[int, int, str]] = []
    read_dataset(tmp_path, reading=READING, on_progress=lambda *progress: told_progress.append(progress))
    assert told_progress == [(0, 2, "a"), (1, 2, "b")]


def test_a_folder_that_does_not_exist_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match=r"which does not exist; record some: \./sernf demos --task duck --out"):
        read_dataset(tmp_path / "nowhere")
    with pytest.raises(DataSetError, match=r"got none; record some: \./sernf demos"):
        read_dataset(tmp_path)
    record(tmp_path, "a", label="")
    with pytest.raises(DataSetError, match=r"(?s)got 1 that cannot be learnt from.*\./sernf bag.*a: expected the label"):
        read_dataset(tmp_path)


def test_episodes_survive_the_loss_of_the_cache(tmp_path: Path) -> None:
    record(tmp_path, "a")
    data = read_dataset(tmp_path, reading=READING)
    before = data.episodes[0].action_rad
    shutil.rmtree(tmp_path / CACHE_FOLDER)
    np.testing.assert_array_equal(data.episodes[0].action_rad, before)


MEMORY = """
import sys
from pathlib import Path
from sernf_learner.bag_reader import Reading, read_bag
from sernf_learner.data_set import read_dataset
from sernf_teleop.episodes import read_episode
import tracemalloc
reading = Reading(joint_names=("a", "b", "c"))
read_bag(read_episode(Path(sys.argv[1])), joint_names=reading.joint_names)
tracemalloc.start()
read = read_dataset(Path(sys.argv[2]), reading=reading)
total = sum(len(episode) for episode in read.episodes)
print(total, tracemalloc.get_traced_memory()[1])
"""


def test_memory_does_not_grow_with_the_number_of_bags(tmp_path: Path) -> None:
    recording = scripted(beat(60), end_ms=3200)
    warm = recording.write(tmp_path / "warm").path
    peaks = []
    for copies in (1, 4, 16):
        for number in range(copies):
            recording.write(tmp_path / f"x{copies}" / f"e{number:02d}")
        command = [sys.executable, "-c", MEMORY, str(warm), str(tmp_path / f"x{copies}")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        total, peak = map(int, done.stdout.split())
        assert total == 60 * copies
        peaks.append(peak)
    # What is known of each episode stays in memory, some kB; its messages and arrays, some hundred, do not.
    assert max(peaks) < 1.5 * peaks[0], peaks

"""The recorder without ROS: what it promises about counts, labels, full disks and killed processes."""

from __future__ import annotations

import dataclasses
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bags import DUCK, SUCCESS, TOPICS, joint_state, make_recorder, record

from sernf_teleop import episode_session, episodes
from sernf_teleop.episode_files import BROKEN, REASON_FILE, UNFINISHED
from sernf_teleop.episode_repair import intact_messages
from sernf_teleop.episode_session import EndedEpisode, EpisodeSession, Verdict
from sernf_teleop.episode_writer import EpisodeWriter
from sernf_teleop.episodes import list_episodes, messages, read_dataset, read_episode, typestore_of
from sernf_teleop.recorder import RecorderError
from sernf_teleop.topic_counter import TopicCounter

WAIT_S = 20.0


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


def test_an_episode_keeps_messages_label_and_circumstances(tmp_path: Path) -> None:
    path = record(tmp_path, 100)
    (episode,) = list_episodes(tmp_path)
    assert episode.path == path
    assert (episode.task, episode.operator, episode.source, episode.seed) == ("duck", "bo", "teleop", 7)
    assert (episode.label, episode.labelled_by, episode.stack_version) == ("success", "judge", "test")
    topic = episode.topic("joint_states")
    assert topic is not None
    assert (topic.messages, topic.dropped, topic.control) == (100, 0, True)
    raw = list(messages(episode, ["/joint_states"]))
    assert [message.data for message in raw] == [joint_state()] * 100
    times = [message.log_time_ns for message in raw]
    assert times == sorted(times)
    assert typestore_of(episode).deserialize_cdr(raw[0].data, raw[0].msgtype).name == ["a"]  # type: ignore[attr-defined]


def test_messages_of_a_topic_keep_their_order_whatever_their_arrival_times_say() -> None:
    counter = TopicCounter(expected_hz=None)
    assert [counter.arrived(time_ns, b"a", None) for time_ns in (100, 98, 98, 200)] == [100, 101, 102, 200]


def test_gaps_in_a_publishers_numbers_are_drops_and_long_gaps_are_late() -> None:
    counter = TopicCounter(expected_hz=100.0)
    for number, time_ms in ((5, 0), (6, 10), (9, 20), (10, 40)):
        counter.arrived(time_ms * 1_000_000, b"a", number)
    counter.arrived(45_000_000, b"b", 1)
    assert (counter.dropped, counter.late) == (2, 1)
    assert counter.longest_gap_s == pytest.approx(0.02)


def test_a_full_queue_drops_images_before_control_and_counts_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(episode_session, "DRAIN_PERIOD_S", 3600.0)
    with make_recorder(tmp_path, queue_mb=0.01) as recorder:
        recorder.start(DUCK)
        for _ in range(3):
            recorder.accept("/camera/front/image_raw", bytes(4000))
        for _ in range(3):
            recorder.accept("/joint_states", bytes(4000))
        assert recorder.end(Verdict()).dropped == 4
    (episode,) = list_episodes(tmp_path)
    counts = {topic.name: (topic.messages, topic.dropped) for topic in episode.topics.values()}
    assert counts["/camera/front/image_raw"] == (1, 2)
    assert counts["/joint_states"] == (1, 2)


def test_the_clock_of_an_episode_never_jumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with make_recorder(tmp_path) as recorder:
        recorder.start(DUCK)
        recorder.accept("/joint_states", joint_state())
        hour_ago_ns = time.time_ns() - 3_600_000_000_000
        monkeypatch.setattr(time, "time_ns", lambda: hour_ago_ns)
        recorder.accept("/joint_states", joint_state())
        recorder.end(SUCCESS)
    first, second = (message.log_time_ns for message in messages(list_episodes(tmp_path)[0]))
    assert 0 <= second - first < WAIT_S * 1e9


def test_every_episode_begins_with_the_latched_messages(tmp_path: Path) -> None:
    with make_recorder(tmp_path) as recorder:
        recorder.accept("/policy_version", b"old")
        recorder.accept("/policy_version", b"new")
        for _ in range(2):
            recorder.start(DUCK)
            recorder.end(SUCCESS)
    for episode in list_episodes(tmp_path):
        assert [message.data for message in messages(episode)] == [b"new"]


def test_topics_may_appear_during_an_episode(tmp_path: Path) -> None:
    wrist = dataclasses.replace(TOPICS[1], name="/camera/wrist/image_raw")
    with make_recorder(tmp_path) as recorder:
        recorder.start(DUCK)
        recorder.add_topic(wrist)
        recorder.accept(wrist.name, b"pixels")
        recorder.end(SUCCESS)
    topic = list_episodes(tmp_path)[0].topic("camera/wrist/image_raw")
    assert topic is not None
    assert topic.messages == 1


def test_wrong_calls_are_refused_with_what_to_do(tmp_path: Path) -> None:
    with make_recorder(tmp_path) as recorder:
        with pytest.raises(RecorderError, match="start_episode first"):
            recorder.end(SUCCESS)
        with pytest.raises(RecorderError, match="task: expected"):
            recorder.start(dataclasses.replace(DUCK, task="../duck"))
        episode_id = recorder.start(DUCK)
        with pytest.raises(RecorderError, match="end_episode first"):
            recorder.start(DUCK)
        with pytest.raises(RecorderError, match=r"expected one of success, failure, discard.*still being recorded"):
            recorder.end(Verdict(label="great", labelled_by="judge"))
        with pytest.raises(RecorderError, match="operator:NAME"):
            recorder.end(Verdict(label="success", labelled_by="me"))
        with pytest.raises(RecorderError, match="still being recorded"):
            recorder.relabel(episode_id, SUCCESS)
        recorder.end(Verdict())
        with pytest.raises(RecorderError, match="keeps its label"):
            recorder.relabel(episode_id, Verdict(label="", labelled_by="judge"))
        for wrong in ("unknown", "..", "../" + tmp_path.name):
            with pytest.raises(RecorderError, match="expected an episode in"):
                recorder.relabel(wrong, SUCCESS)


def test_relabelling_changes_the_label_and_nothing_else(tmp_path: Path) -> None:
    before = read_episode(record(tmp_path))
    with make_recorder(tmp_path) as recorder:
        recorder.relabel(before.episode_id, Verdict(label="failure", labelled_by="operator:bo", note="looked again"))
    after = read_episode(before.path)
    assert (after.label, after.labelled_by, after.note) == ("failure", "operator:bo", "looked again")
    assert dataclasses.replace(after, label="success", labelled_by="judge", note="") == before


def test_two_recorders_never_share_a_directory(tmp_path: Path) -> None:
    with make_recorder(tmp_path), pytest.raises(RecorderError, match="another recorder"):
        make_recorder(tmp_path).open()
    make_recorder(tmp_path).open()


def test_a_recorder_that_is_closed_keeps_the_running_episode_without_a_label(tmp_path: Path) -> None:
    with make_recorder(tmp_path) as recorder:
        recorder.start(DUCK)
        recorder.accept("/joint_states", joint_state())
    (episode,) = list_episodes(tmp_path)
    assert (episode.label, episode.messages) == ("", 1)
    assert "stopped" in episode.note


KILLED = """
import os, signal, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from bags import *
recorder = make_recorder(Path(sys.argv[1]))
recorder.open()
recorder.start(DUCK)
for number in range(1000):
    recorder.accept("/joint_states", joint_state(), number=number)
time.sleep(1.0)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_recorder_had_written_is_recovered_without_a_label(tmp_path: Path) -> None:
    done = record(tmp_path)
    process = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(Path(__file__).parent)], timeout=60, check=False)
    assert process.returncode == -signal.SIGKILL
    assert [episode.path for episode in list_episodes(tmp_path)] == [done]
    assert len(read_dataset(tmp_path).unfinished) == 1
    recorder = make_recorder(tmp_path)
    (repair,) = recorder.open()
    recorder.close()
    assert repair.is_readable
    episode = list_episodes(tmp_path)[-1]
    assert (episode.label, episode.recovered, episode.task, episode.seed) == ("", True, "duck", 7)
    topic = episode.topic("joint_states")
    assert topic is not None
    assert (topic.messages, topic.dropped, topic.control, topic.expected_hz) == (1000, None, True, 125.0)
    assert len(list(messages(episode))) == 1000
    assert not read_dataset(tmp_path).unfinished


@pytest.mark.parametrize("cut_bytes", [1, 300, 5_000, 20_000])
def test_a_file_cut_anywhere_gives_back_its_intact_beginning(tmp_path: Path, cut_bytes: int) -> None:
    path = record(tmp_path, 200)
    file = path / f"{path.name}.mcap"
    whole = [message.data for message in intact_messages(file)]
    os.truncate(file, file.stat().st_size - cut_bytes)
    cut = [message.data for message in intact_messages(file)]
    assert len(whole) == 200
    assert cut == whole[: len(cut)]
    assert "truncated" in read_dataset(tmp_path).broken[0].reason


def test_a_damaged_file_ends_the_recovery_instead_of_the_recorder(tmp_path: Path) -> None:
    path = record(tmp_path, 200)
    file = path / f"{path.name}.mcap"
    content = bytearray(file.read_bytes())
    for position in range(100, len(content), 997):
        damaged = bytearray(content)
        damaged[position : position + 8] = b"\xff" * 8
        file.write_bytes(damaged)
        assert len(list(intact_messages(file))) <= 201


def test_what_cannot_be_repaired_is_set_aside_with_the_reason(tmp_path: Path) -> None:
    folder = tmp_path / UNFINISHED / "20260101T000000_000_duck"
    folder.mkdir(parents=True)
    (folder / f"{folder.name}.mcap").write_bytes(b"not a bag")
    with make_recorder(tmp_path) as recorder:
        recorder.start(DUCK)
        recorder.end(SUCCESS)
    assert "no intact one" in (tmp_path / BROKEN / folder.name / REASON_FILE).read_text()
    data = read_dataset(tmp_path)
    assert len(data.episodes) == 1
    assert [broken.path.name for broken in data.broken] == [folder.name]


def test_a_complete_episode_that_was_only_not_moved_keeps_its_label(tmp_path: Path) -> None:
    path = record(tmp_path)
    path.rename(tmp_path / UNFINISHED / path.name)
    with make_recorder(tmp_path):
        pass
    assert [episode.label for episode in list_episodes(tmp_path)] == ["success"]


def test_a_write_error_closes_the_episode_and_the_next_one_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[EndedEpisode] = []
    done = record(tmp_path)
    full = threading.Event()
    flush = EpisodeWriter.flush

    def failing(writer: EpisodeWriter) -> None:
        flush(writer)
        if full.is_set():
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(EpisodeWriter, "flush", failing)
    with make_recorder(tmp_path, told.append) as recorder:
        recorder.start(DUCK)
        recorder.accept("/joint_states", joint_state())
        full.set()
        wait_for(lambda: bool(told))
        assert "No space left" in recorder.problem
        recorder.accept("/joint_states", joint_state())
        ended = recorder.end(SUCCESS)
        assert "No space left" in ended.reason
        assert ended.verdict.label == ""
        assert len(told) == 1
        full.clear()
        recorder.start(DUCK)
        assert recorder.problem == ""
        assert recorder.end(SUCCESS).reason == ""
    labels = {episode.path: episode.label for episode in list_episodes(tmp_path)}
    assert labels[done] == "success"
    assert labels[ended.path] == ""
    assert sorted(labels.values()) == ["", "success", "success"]
    assert len(list(messages(read_episode(ended.path)))) == 1


def fill(directory: Path, limit_bytes: int) -> None:
    """Record until the file size limit of this process breaks the episode."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    told: list[EndedEpisode] = []
    recorder = make_recorder(directory, told.append)
    recorder.open()
    recorder.start(DUCK)
    deadline = time.monotonic() + WAIT_S
    while not told and time.monotonic() < deadline:
        recorder.accept("/joint_states", joint_state() + bytes(20_000))
        time.sleep(0.005)
    assert "File too large" in recorder.end(SUCCESS).reason
    recorder.start(DUCK)
    assert recorder.end(SUCCESS).reason == ""


def test_a_file_that_cannot_grow_costs_only_its_own_episode(tmp_path: Path) -> None:
    done = record(tmp_path)
    code = "import sys; from pathlib import Path; import test_recorder; test_recorder.fill(Path(sys.argv[1]), 1_000_000)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parent, timeout=60, check=True)
    with make_recorder(tmp_path):
        pass
    data = read_dataset(tmp_path)
    assert not data.broken
    assert [episode.label for episode in data.episodes] == ["success", "", "success"]
    assert data.episodes[0].path == done
    assert len(list(messages(data.episodes[1]))) > 10


def test_a_nearly_full_disk_closes_the_episode_whole_and_refuses_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[EndedEpisode] = []
    with make_recorder(tmp_path, told.append, start_free_mb=50.0, stop_free_mb=10.0) as recorder:
        recorder.start(DUCK)
        recorder.accept("/joint_states", joint_state())
        monkeypatch.setattr("sernf_teleop.episode_session.free_mb", lambda path: 5.0)
        monkeypatch.setattr("sernf_teleop.recorder.free_mb", lambda path: 5.0)
        wait_for(lambda: bool(told))
        assert "nearly full" in recorder.end(SUCCESS).reason
        with pytest.raises(RecorderError, match="expected at least 50 MB"):
            recorder.start(DUCK)
        monkeypatch.setattr("sernf_teleop.recorder.free_mb", lambda path: 500.0)
        monkeypatch.setattr("sernf_teleop.episode_session.free_mb", lambda path: 500.0)
        recorder.start(DUCK)
        recorder.end(SUCCESS)
    first, second = list_episodes(tmp_path)
    assert (first.label, first.recovered, second.label) == ("", False, "success")


def test_a_disk_that_hangs_is_told_and_the_end_can_be_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    finish = EpisodeWriter.finish

    def hanging(writer: EpisodeWriter) -> str:
        assert released.wait(WAIT_S)
        return finish(writer)

    monkeypatch.setattr(EpisodeWriter, "finish", hanging)
    with make_recorder(tmp_path, end_timeout_s=0.2) as recorder:
        recorder.start(DUCK)
        with pytest.raises(RecorderError, match="still writing"):
            recorder.end(SUCCESS)
        with pytest.raises(RecorderError, match="end_episode first"):
            recorder.start(DUCK)
        released.set()
        session = recorder.session
        assert isinstance(session, EpisodeSession)
        wait_for(lambda: session.ended is not None)
        assert recorder.end(SUCCESS).reason == ""
    assert [episode.label for episode in list_episodes(tmp_path)] == ["success"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "missing metadata.yaml"),
        ("a: [", "cannot be read"),
        ("a: 1", "rosbag2_bagfile_information"),
        ("rosbag2_bagfile_information: {version: 9}", "topics_with_message_count"),
    ],
)
def test_an_episode_with_wrong_metadata_is_named_and_the_others_are_listed(
    tmp_path: Path, content: str | None, expected: str
) -> None:
    record(tmp_path)
    file = record(tmp_path) / "metadata.yaml"
    file.unlink() if content is None else file.write_text(content)
    data = read_dataset(tmp_path)
    assert len(data.episodes) == 1
    assert expected in data.broken[0].reason


def test_a_missing_directory_holds_no_episodes(tmp_path: Path) -> None:
    assert episodes.list_episodes(tmp_path / "nothing") == []

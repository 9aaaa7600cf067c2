"""What the learner's bench says about ingestion, on a bag made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from recordings import Recording
from rich.console import Console

from sernf.bench import learner
from sernf_robot.joints import JOINTS
from sernf_teleop.episodes import EpisodeInfo

CONSOLE = Console(quiet=True)


def record(path: Path, label: str = "success") -> EpisodeInfo:
    recording = Recording(JOINTS)
    for at_ms in range(100, 400, 50):
        recording.joint_states(at_ms - 1, [0.0] * len(JOINTS))
        recording.command(at_ms, [0.1] * len(JOINTS), "policy")
        recording.bridge_state(
            at_ms + 1, command_ms=at_ms, requested_position_rad=[0.1] * len(JOINTS), executed_position_rad=[0.0] * len(JOINTS)
        )
    return recording.write(path, label=label)


@pytest.mark.slow
def test_every_number_of_copies_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path / "set" / "a")
    record(tmp_path / "set" / "b", label="")
    monkeypatch.setenv(learner.EPISODES_VARIABLE, str(tmp_path / "set"))
    counts = learner.measure(1.0, CONSOLE).counts
    expected = {f"{what}_{copies}" for what in ("seconds", "rss_mb") for copies in (1, 4, 16)}
    assert counts.keys() == {*expected, "ingest_messages_per_s"}
    assert all(value > 0 for value in counts.values())
    assert not list((tmp_path / "set").glob(".cache"))


def test_a_folder_without_labelled_episodes_is_no_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path / "a", label="")
    monkeypatch.setenv(learner.EPISODES_VARIABLE, str(tmp_path))
    with pytest.raises(RuntimeError, match=r"expected labelled episodes in .*, got none; record some: \./sernf demos"):
        learner.measure(1.0, CONSOLE)


def test_a_reading_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="which does not exist"):
        learner._read_in_fresh_process(tmp_path / "nowhere")

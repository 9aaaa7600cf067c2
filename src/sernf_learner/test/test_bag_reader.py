"""Every rule by which a bag becomes rows: what was known, what was done, who did it, and where the episode ends."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from recordings import HOLD, JOINTS, MEASURED, Recording, Sent, beat, scripted, told

from sernf_learner.bag_reader import read_bag
from sernf_learner.episode import Ending, Episode
from sernf_teleop.episode_files import EpisodeError
from sernf_teleop.episodes import EpisodeInfo, read_episode, relabel


def read(info: EpisodeInfo, **how: object) -> Episode:
    return read_bag(info, joint_names=JOINTS, **how)  # type: ignore[arg-type]


def first_joint(values: np.ndarray) -> list[float]:
    return [round(value, 6) for value in values[:, 0].tolist()]


def test_a_row_holds_what_was_known_when_its_command_was_decided(tmp_path: Path) -> None:
    episode = read(scripted(beat(4, begin_ms=103.0), end_ms=400).write(tmp_path / "e"))
    assert len(episode) == 4
    # Measured every 8 ms, estimated every 20 ms; the last that is not younger than the commands of 103, 153, ... ms.
    assert first_joint(episode.joint_position_rad - MEASURED) == [0.096, 0.152, 0.2, 0.248]
    assert first_joint(episode.object_pose[:, 0]) == [0.1, 0.14, 0.2, 0.24]
    np.testing.assert_allclose(episode.object_pose[0, 0, 3:], [0.9, 0.1, 0.2, 0.3])
    assert episode.objects == ("duck",)


def test_actions_are_the_targets_that_were_followed_and_each_begins_at_the_last(tmp_path: Path) -> None:
    episode = read(scripted(beat(4), end_ms=400).write(tmp_path / "e"))
    np.testing.assert_allclose(episode.action_rad, [[1.0 + n / 100 + joint for joint in range(3)] for n in range(4)])
    np.testing.assert_array_equal(episode.requested_rad, episode.action_rad)
    np.testing.assert_array_equal(episode.commanded_position_rad[1:], episode.action_rad[:-1])
    # Before the first command the bridge holds what it executes.
    np.testing.assert_allclose(episode.commanded_position_rad[0], told(100))
    assert not episode.taken_over.any()


def test_where_the_filter_changed_something_the_action_is_what_was_executed(tmp_path: Path) -> None:
    recording = scripted(beat(4), end_ms=400, clipped_ms=lambda at_ms: at_ms == 180)
    episode = read(recording.write(tmp_path / "e"))
    # The tick from 152 to 200 ms; its last control tick is that of 196 ms.
    assert first_joint(episode.action_rad) == [1.0, 0.196, 1.02, 1.03]
    assert first_joint(episode.requested_rad) == [1.0, 1.01, 1.02, 1.03]
    assert first_joint(episode.commanded_position_rad)[2] == 0.196


def test_where_the_bridge_left_off_following_the_action_is_what_was_executed(tmp_path: Path) -> None:
    early = scripted(beat(3), end_ms=400, holds_ms=lambda at_ms: at_ms >= 220)
    assert first_joint(read(early.write(tmp_path / "early")).action_rad)[:2] == [1.0, 1.01]
    assert first_joint(read(early.write(tmp_path / "early2")).action_rad)[2] == pytest.approx(0.246)
    # A release comes about when the last tick is over.
    late = scripted(beat(3), end_ms=400, holds_ms=lambda at_ms: at_ms >= 240)
    assert first_joint(read(late.write(tmp_path / "late")).action_rad) == [1.0, 1.01, 1.02]


def test_joints_are_matched_by_name_in_every_message(tmp_path: Path) -> None:
    straight, shuffled = (scripted([], end_ms=0) for _ in range(2))
    for recording, order in ((straight, [0, 1, 2]), (shuffled, [2, 0, 1])):
        for n in range(1, 6):
            turned = order if n % 2 else order[::-1]  # the order may change within a topic
            names = [JOINTS[index] for index in turned]
            vectors = [[number + index for index in turned] for number in (n, 10.0 * n, 100.0 * n)]
            recording.joint_states(n * 50 - 1, vectors[0], name=names)
            recording.command(n * 50, vectors[1], "policy", joint_names=names)
            recording.bridge_state(
                n * 50 + 2, command_ms=n * 50, joint_names=names, requested_position_rad=vectors[1],
                executed_position_rad=vectors[2], clipped=["velocity"] if n == 3 else [],
            )  # fmt: skip
    one, other = read(straight.write(tmp_path / "one")), read(shuffled.write(tmp_path / "other"))
    for name in ("joint_position_rad", "commanded_position_rad", "action_rad", "requested_rad"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(one.joint_position_rad[:, 1] - one.joint_position_rad[:, 0], 1.0)
    reordered = read_bag(read_episode(tmp_path / "other"), joint_names=("c", "a"))
    np.testing.assert_array_equal(reordered.action_rad, one.action_rad[:, [2, 0]])


def test_an_operators_ticks_are_marked_and_keep_what_the_policy_wanted(tmp_path: Path) -> None:
    policy = [Sent(100 + 50 * n, 1.0 + n / 100, executed=not 2 <= n < 5) for n in range(7)]
    operator = beat(3, begin_ms=210, source="teleop", value=5.0)
    episode = read(scripted([*policy, *operator], end_ms=600).write(tmp_path / "e"))
    assert episode.taken_over.tolist() == [False, False, True, True, True, False, False]
    assert first_joint(episode.action_rad) == [1.0, 1.01, 5.0, 5.01, 5.02, 1.05, 1.06]
    # What the policy sent last before the end of each of the operator's ticks.
    assert first_joint(episode.requested_rad) == [1.0, 1.01, 1.03, 1.04, 1.04, 1.05, 1.06]
    # What was executed for less than half a tick is no tick.
    assert first_joint(read(scripted([*beat(3), *operator], end_ms=600).write(tmp_path / "f")).action_rad)[:3] == [1.0, 1.01, 5.0]


def test_an_operators_own_demonstration_is_no_takeover(tmp_path: Path) -> None:
    info = scripted(beat(4, source="teleop"), end_ms=400).write(tmp_path / "e", source="teleop")
    episode = read(info)
    assert episode.source == "teleop"
    assert not episode.taken_over.any()


def test_commands_that_were_not_executed_are_no_actions(tmp_path: Path) -> None:
    ignored = [Sent(command.at_ms + 20, 9.0, "demonstrator", executed=False) for command in beat(4)]
    episode = read(scripted([*beat(4), *ignored], end_ms=400).write(tmp_path / "e"))
    assert first_joint(episode.action_rad) == [1.0, 1.01, 1.02, 1.03]
    with pytest.raises(EpisodeError, match="nobody moved the robot"):
        read(scripted([Sent(100, 1.0, executed=False)], end_ms=300).write(tmp_path / "f"))


def test_what_was_executed_before_the_recording_began_is_left_out(tmp_path: Path) -> None:
    recording = scripted(beat(3), end_ms=400)
    recording.bridge_state(
        -1, command_ms=-30, mode=HOLD, requested_position_rad=told(8000), executed_position_rad=told(-1), active_source="none"
    )
    assert first_joint(read(recording.write(tmp_path / "e")).action_rad) == [1.0, 1.01, 1.02]


def test_rows_begin_when_everything_has_been_heard_of(tmp_path: Path) -> None:
    episode = read(scripted(beat(4), end_ms=400, first_pose_ms=180).write(tmp_path / "e"))
    assert first_joint(episode.action_rad) == [1.02, 1.03]
    assert first_joint(episode.commanded_position_rad) == [1.01, 1.02]
    with pytest.raises(EpisodeError, match="objects/duck/pose before the last command"):
        read(scripted(beat(4), end_ms=400, first_pose_ms=300).write(tmp_path / "f"))


def test_a_missing_object_is_named(tmp_path: Path) -> None:
    info = scripted(beat(4), end_ms=400, objects=("duck", "bowl")).write(tmp_path / "e")
    assert read(info).objects == ("bowl", "duck")
    assert read(info, objects=("duck",)).objects == ("duck",)
    with pytest.raises(EpisodeError, match=r"expected poses of duck, cube, got bowl, duck.*for cube"):
        read(info, objects=("duck", "cube"))
    assert read(scripted(beat(4), end_ms=400, objects=()).write(tmp_path / "f")).object_pose.shape == (4, 0, 7)


def test_poses_in_another_frame_are_refused(tmp_path: Path) -> None:
    recording = scripted(beat(4), end_ms=400)
    recording.pose(150, "duck", (0.0, 0.0, 0.0), frame_id="camera")
    with pytest.raises(EpisodeError, match="expected poses in fr3_link0, got them in 'camera'"):
        read(recording.write(tmp_path / "e"))


def test_topics_are_found_in_the_recorders_namespace(tmp_path: Path) -> None:
    recording = scripted(beat(4), end_ms=400)
    assert len(read(recording.write(tmp_path / "e", namespace="/left"))) == 4


def test_faster_commands_are_brought_to_the_wanted_rate(tmp_path: Path) -> None:
    info = scripted(beat(50, period_ms=10.0), end_ms=800).write(tmp_path / "e")
    episode = read(info)
    assert len(episode) == 10
    # The last of five commands is where the bridge is at the tick's end.
    assert first_joint(episode.action_rad)[:3] == [1.04, 1.09, 1.14]
    assert first_joint(episode.joint_position_rad - MEASURED)[:3] == [0.096, 0.144, 0.2]
    assert len(read(info, step_period_s=0.01)) == 50


def test_slower_commands_are_approached_in_a_straight_line(tmp_path: Path) -> None:
    info = scripted(beat(4), end_ms=400).write(tmp_path / "e")
    episode = read(info, step_period_s=0.01)
    assert len(episode) == 20
    assert first_joint(episode.action_rad)[5:10] == [1.002, 1.004, 1.006, 1.008, 1.01]


def judged(tmp_path: Path, name: str, at_ms: float | None, *, before_ms: float | None = None, **verdict: bool) -> Recording:
    recording = scripted(beat(10), end_ms=1600)
    if before_ms is not None:
        recording.task_state(before_ms, **verdict)
    for time_ms in range(50, 1600, 100):
        recording.task_state(time_ms + 3, **(verdict if at_ms is not None and time_ms >= at_ms else {}))
    return recording


def test_rows_after_the_judges_success_are_cut_off(tmp_path: Path) -> None:
    episode = read(judged(tmp_path, "e", 300, success=True, done=True).write(tmp_path / "e"))
    assert episode.ending is Ending.SUCCESS
    # Judged at 353 ms: the command of 350 ms was the last one.
    assert first_joint(episode.action_rad) == [1.0, 1.01, 1.02, 1.03, 1.04, 1.05]
    assert len(read(judged(tmp_path, "f", None).write(tmp_path / "f"))) == 10


def test_rows_after_the_judges_failure_are_cut_off(tmp_path: Path) -> None:
    info = judged(tmp_path, "e", 300, done=True).write(tmp_path / "e", label="failure", note="dropped")
    episode = read(info)
    assert (episode.ending, episode.cause, len(episode)) == (Ending.FAILURE, "dropped", 6)


def test_a_person_who_judges_differently_has_the_last_word(tmp_path: Path) -> None:
    info = judged(tmp_path, "e", 300, success=True, done=True).write(tmp_path / "e", label="failure", note="touched the table")
    episode = read(info)
    assert (episode.ending, len(episode)) == (Ending.FAILURE, 10)
    relabel(info.path, label="success", labelled_by="operator:bo", note="")
    again = read(read_episode(info.path))
    assert (again.ending, len(again)) == (Ending.SUCCESS, 6)


def test_a_judgement_from_before_the_first_command_does_not_count(tmp_path: Path) -> None:
    recording = judged(tmp_path, "e", 0, before_ms=20.0, success=True, done=True)
    assert len(read(recording.write(tmp_path / "e"))) == 10


def test_a_timeout_is_no_failure(tmp_path: Path) -> None:
    episode = read(scripted(beat(4), end_ms=400).write(tmp_path / "e", label="failure", note="timeout after 20 s"))
    assert (episode.ending, episode.cause) == (Ending.TIMEOUT, "timeout after 20 s")


@pytest.mark.parametrize(("seed", "kept"), [("8", [1.02, 1.03, 1.04]), ("7", [1.0, 1.01]), ("0", [1.02, 1.03, 1.04])])
def test_of_several_scenes_in_one_recording_that_of_the_episode_counts(tmp_path: Path, seed: str, kept: list[float]) -> None:
    recording = scripted(beat(5), end_ms=400)
    for at_ms in range(10, 400, 20):
        is_second = at_ms >= 180
        recording.task_state(at_ms, seed=8 if is_second else 7, elapsed_s=(at_ms - 180 * is_second) * 1e-3)
    episode = read(recording.write(tmp_path / "e", seed=seed))
    assert first_joint(episode.action_rad) == kept


@pytest.mark.parametrize("label", ["", "discard"])
def test_what_nobody_has_judged_is_no_episode(tmp_path: Path, label: str) -> None:
    with pytest.raises(EpisodeError, match="expected the label success or failure, got"):
        read(scripted(beat(4), end_ms=400).write(tmp_path / "e", label=label))


def test_a_clock_that_was_set_back_is_noticed(tmp_path: Path) -> None:
    recording = scripted(beat(4), end_ms=400)
    recording.joint_states(320, told(320), arrives_ms=340)
    assert len(read(recording.write(tmp_path / "e"))) == 4  # 20 ms of disorder are nothing
    recording.joint_states(240, told(240), arrives_ms=340)
    with pytest.raises(EpisodeError, match="time goes back by"):
        read(recording.write(tmp_path / "f"))


def test_commands_from_another_clock_are_noticed(tmp_path: Path) -> None:
    recording = scripted(beat(4), end_ms=400)
    recording.bridge_state(420, command_ms=5000, requested_position_rad=told(0), executed_position_rad=told(420))
    with pytest.raises(EpisodeError, match="got stamps that cannot be right"):
        read(recording.write(tmp_path / "e"))


def test_numbers_that_are_none_are_noticed(tmp_path: Path) -> None:
    recording = scripted(beat(4), end_ms=400)
    recording.pose(150, "duck", (float("nan"), 0.0, 0.0))
    with pytest.raises(EpisodeError, match="got NaN or infinity in object_pose"):
        read(recording.write(tmp_path / "e"))


def test_a_changed_bag_is_noticed(tmp_path: Path) -> None:
    info = scripted(beat(4), end_ms=400).write(tmp_path / "e")
    content = bytearray(info.file.read_bytes())
    content[len(content) // 2] ^= 1
    info.file.write_bytes(content)
    with pytest.raises(EpisodeError, match="changed after recording"):
        read(read_episode(info.path))


def test_a_bag_without_the_bridge_cannot_be_aligned(tmp_path: Path) -> None:
    recording = Recording()
    recording.joint_states(0, told(0))
    with pytest.raises(EpisodeError, match="expected messages on bridge_state, got none"):
        read(recording.write(tmp_path / "e"))
    with pytest.raises(EpisodeError, match="joints missing: d"):
        read_bag(scripted(beat(4), end_ms=400).write(tmp_path / "f"), joint_names=("a", "d"))


def test_the_same_bag_gives_the_same_arrays(tmp_path: Path) -> None:
    info = scripted(beat(20), end_ms=1200, clipped_ms=lambda at_ms: at_ms % 100 == 0).write(tmp_path / "e")
    shutil.copytree(info.path, tmp_path / "copy" / "e")
    one, other = read(info), read(read_episode(tmp_path / "copy" / "e"))
    for name in ("joint_position_rad", "commanded_position_rad", "action_rad", "requested_rad", "object_pose", "taken_over"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()

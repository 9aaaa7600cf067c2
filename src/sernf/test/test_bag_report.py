"""The report on a data set: counts what is there, names what is broken, and draws it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib import image
from rclpy.serialization import serialize_message
from rich.console import Console
from sensor_msgs.msg import JointState

from sernf.bag_report import as_json, plot_joint_traces, print_report, report
from sernf_msgs.msg import BridgeState, JointCommand
from sernf_robot.config import load_config
from sernf_robot.config_files import config_path
from sernf_robot.joints import JOINTS
from sernf_teleop.episode_files import BROKEN, REASON_FILE, UNFINISHED
from sernf_teleop.episode_session import RecordedTopic, Verdict
from sernf_teleop.recorder import EpisodeRecorder, EpisodeRequest
from sernf_teleop.recorder_config import RecorderConfig

TYPES = {"joint_states": JointState, "bridge_state": BridgeState, "joint_command": JointCommand}
SUCCESS = Verdict(label="success", labelled_by="judge")
STEPS = 20

Change = Callable[[str, object, int], object]


def sample(topic: str, step: int) -> object:
    """Message number `step` of a motion in which joint i moves from i / 10 by 0.01 rad a step."""
    position = [index / 10 + step * 0.01 for index in range(len(JOINTS))]
    message = TYPES[topic]()
    message.header.stamp.sec = 100 + step
    if isinstance(message, JointState):
        message.name, message.position, message.velocity = list(JOINTS), position, [0.5] * len(JOINTS)
    elif isinstance(message, BridgeState):
        message.joint_names, message.executed_position_rad = list(JOINTS), position
        message.requested_position_rad = position if step else [np.nan] * len(JOINTS)
    else:
        message.joint_names, message.position_rad, message.source = list(JOINTS), position, "demonstrator"
    return message


def record(
    directory: Path,
    verdict: Verdict = SUCCESS,
    change: Change = lambda topic, message, step: message,
    topics: tuple[str, ...] = tuple(TYPES),
    first_number: int = 1,
) -> Path:
    """Record one short episode; `change` may alter each message before it is written."""
    rules = load_config(RecorderConfig, config_path("episode_recorder.yaml")).topics
    config = RecorderConfig(topics=rules, directory=directory, start_free_mb=0.0, stop_free_mb=0.0)
    with EpisodeRecorder(config, namespace="/", stack_version="test", on_ended=lambda ended: None) as recorder:
        for rule in rules:
            if rule.name in topics:
                recorder.add_topic(RecordedTopic(name=f"/{rule.name}", msgtype=rule.type, rule=rule))
        recorder.start(EpisodeRequest(task="duck", seed=1))
        for step in range(STEPS):
            number = step if step == 0 else step + first_number - 1
            for topic in topics:
                data = serialize_message(change(topic, sample(topic, step), step))
                recorder.accept(f"/{topic}", data, publisher=b"robot", number=number)
        return recorder.end(verdict).path


def test_a_data_set_is_counted(tmp_path: Path) -> None:
    for label in ("success", "success", "failure", "discard"):
        record(tmp_path, Verdict(label=label, labelled_by="judge"))
    record(tmp_path, Verdict())
    (tmp_path / "bringup.log").write_text("not an episode")
    result = report(tmp_path)
    answer = json.loads(as_json(result))
    assert list(answer) == [
        "episodes", "successes", "failures", "unlabelled", "broken", "seconds", "messages", "dropped_control_messages"
    ]  # fmt: skip
    assert (answer["episodes"], answer["successes"], answer["failures"], answer["unlabelled"]) == (5, 2, 1, 1)
    assert (answer["messages"], answer["dropped_control_messages"], answer["broken"]) == (5 * 3 * STEPS, 0, [])
    assert result.discarded == 1


def test_one_episode_can_be_looked_at_alone(tmp_path: Path) -> None:
    record(tmp_path)
    assert report(record(tmp_path)).episodes == 1


def test_ranges_and_rates_are_measured(tmp_path: Path) -> None:
    record(tmp_path)
    result = report(tmp_path)
    ranges = result.details[0].ranges
    low, high = np.arange(len(JOINTS)) / 10, np.arange(len(JOINTS)) / 10 + (STEPS - 1) * 0.01
    for name in ("measured", "executed", "commanded"):
        np.testing.assert_allclose(ranges[name], np.stack([low, high], axis=1))
    np.testing.assert_allclose(ranges["requested"][:, 0], low + 0.01)
    np.testing.assert_allclose(ranges["velocity"], 0.5)
    topics = {topic.name: topic for topic in result.topics}
    assert topics["/joint_states"].messages == STEPS
    assert topics["/joint_states"].rate_hz is not None
    assert topics["/joint_states"].control


def test_dropped_control_messages_are_summed(tmp_path: Path) -> None:
    record(tmp_path, first_number=4)
    assert report(tmp_path).dropped_control_messages == 3 * 3


def test_nan_positions_are_named(tmp_path: Path) -> None:
    def change(topic: str, message: object, step: int) -> object:
        if isinstance(message, JointState) and step == 7:
            message.position[2] = float("nan")
        return message

    path = record(tmp_path, change=change)
    assert report(tmp_path).broken == (f"{path.name}: measured: {JOINTS[2]} is not finite",)


def test_time_that_goes_backwards_is_named(tmp_path: Path) -> None:
    def change(topic: str, message: object, step: int) -> object:
        if isinstance(message, BridgeState) and step == 7:
            message.header.stamp.sec = 5
        return message

    path = record(tmp_path, change=change)
    assert report(tmp_path).broken == (f"{path.name}: bridge_state: time goes backwards",)


def test_two_sources_of_commands_each_have_their_own_time(tmp_path: Path) -> None:
    def change(topic: str, message: object, step: int) -> object:
        if isinstance(message, JointCommand) and step % 2:
            message.source = "teleop"
            message.header.stamp.sec = step
        return message

    record(tmp_path, change=change)
    assert report(tmp_path).broken == ()


def test_missing_joints_are_named(tmp_path: Path) -> None:
    def change(topic: str, message: object, step: int) -> object:
        if isinstance(message, JointState):
            message.name, message.position = list(JOINTS[1:]), message.position[1:]
        return message

    record(tmp_path, change=change)
    assert any(f"joint_states: joints missing: {JOINTS[0]}" in problem for problem in report(tmp_path).broken)


def test_a_missing_control_topic_is_named(tmp_path: Path) -> None:
    path = record(tmp_path, topics=("joint_states", "bridge_state"))
    assert report(tmp_path).broken == (f"{path.name}: joint_command: no message of this control topic",)


def test_a_wrong_type_is_named(tmp_path: Path) -> None:
    path = record(tmp_path)
    file = path / "metadata.yaml"
    file.write_text(file.read_text().replace("sensor_msgs/msg/JointState", "std_msgs/msg/String"))
    assert any("wrong type, expected sensor_msgs/msg/JointState" in problem for problem in report(tmp_path).broken)


def test_a_truncated_file_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    record(tmp_path)
    path = record(tmp_path)
    file = path / f"{path.name}.mcap"
    os.truncate(file, file.stat().st_size // 2)
    result = report(tmp_path)
    assert result.episodes == 1
    assert len(result.broken) == 1
    assert result.broken[0].startswith(f"{path.name}: truncated")


def test_a_changed_byte_is_named(tmp_path: Path) -> None:
    path = record(tmp_path)
    file = path / f"{path.name}.mcap"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert any("changed after recording" in problem for problem in report(tmp_path).broken)


def test_missing_metadata_is_named(tmp_path: Path) -> None:
    (record(tmp_path) / "metadata.yaml").unlink()
    result = report(tmp_path)
    assert result.episodes == 0
    assert "missing metadata.yaml" in result.broken[0]


def test_what_was_set_aside_and_what_is_unfinished_is_told(tmp_path: Path) -> None:
    (tmp_path / BROKEN / "one").mkdir(parents=True)
    (tmp_path / BROKEN / "one" / REASON_FILE).write_text("no intact message")
    (tmp_path / UNFINISHED / "two").mkdir(parents=True)
    result = report(tmp_path)
    assert result.broken == ("one: no intact message",)
    assert result.unfinished == ("two",)


def test_the_printed_report_shows_every_part(tmp_path: Path) -> None:
    path = record(tmp_path, Verdict(label="failure", labelled_by="operator:bo", note="[dropped]"))
    record(tmp_path, topics=("joint_states",))
    console = Console(width=200, record=True, quiet=False)
    print_report(report(tmp_path), console)
    text = console.export_text()
    for part in (path.name, "failure", "operator:bo", "[dropped]", "/joint_states", "right_pinky_pip", "broken", "2 episodes"):
        assert part in text


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    console = Console(width=200, record=True)
    print_report(report(tmp_path), console)
    assert "no episodes here" in console.export_text()


def test_the_picture_shows_the_episode_over_the_others(tmp_path: Path) -> None:
    record(tmp_path)
    plot_joint_traces(tmp_path, tmp_path / "one.png")
    record(tmp_path, Verdict(label="failure", labelled_by="judge"))
    plot_joint_traces(tmp_path, tmp_path / "two.png")
    one, two = (image.imread(tmp_path / name)[..., :3] for name in ("one.png", "two.png"))
    for picture in (one, two):
        assert picture.shape == (1300, 2100, 3)
        for colour in ("#1f6fb4", "#e08a1e"):
            wanted = np.array([int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)])
            assert (np.abs(picture - wanted).max(axis=2) < 0.02).sum() > 50
    assert not np.array_equal(one, two)


def test_nothing_to_plot_leaves_no_picture(tmp_path: Path) -> None:
    record(tmp_path, topics=("joint_command",))
    assert not plot_joint_traces(tmp_path, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()

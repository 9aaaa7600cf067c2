"""The main job on real input: bringup, a demonstration, a recorded and labelled episode that independent readers open."""

from __future__ import annotations

from pathlib import Path

import cv2
from mcap.reader import make_reader
from rich.console import Console
from rosbags.highlevel import AnyReader

from sernf.bag_report import report
from sernf.demos import record_demonstrations

CONTROL_TOPICS = {"/joint_states", "/joint_command", "/bridge_state"}


def test_demonstrations_are_recorded_labelled_and_readable_by_others(tmp_path: Path) -> None:
    arguments = {
        "task": "duck",
        "directory": tmp_path,
        "seed": 11,
        "physics": "nominal",
        "cameras": True,
        "console": Console(stderr=True),
    }
    outcomes = record_demonstrations(episodes=1, **arguments)
    outcomes += record_demonstrations(episodes=2, **arguments)
    assert [outcome.seed for outcome in outcomes] == [11, 12], "a second call goes on where the first ended"
    assert any(outcome.label == "success" for outcome in outcomes)
    for outcome in outcomes:
        assert outcome.dropped == 0
        _check_with_independent_readers(Path(outcome.path))
    summary = report(tmp_path)
    assert (summary.episodes, summary.successes + summary.failures, list(summary.broken)) == (2, 2, [])
    assert summary.dropped_control_messages == 0


def _check_with_independent_readers(bag: Path) -> None:
    with next(bag.glob("*.mcap")).open("rb") as stream:
        counted = make_reader(stream).get_summary()
        assert counted is not None
        assert counted.statistics is not None
        channels = {channel.topic for channel in counted.channels.values()}
    assert channels >= CONTROL_TOPICS | {
        "/objects/duck/pose",
        "/camera/front/image_raw/compressed",
        "/camera/wrist/image_raw/compressed",
        "/task_state",
    }
    with AnyReader([bag]) as reader:
        first = {}
        for connection, _, data in reader.messages():
            if connection.topic not in first:
                first[connection.topic] = reader.deserialize(data, connection.msgtype)
        assert reader.message_count == counted.statistics.message_count
    assert len(first["/joint_states"].name) == 24
    assert cv2.imdecode(first["/camera/front/image_raw/compressed"].data, cv2.IMREAD_COLOR).shape == (128, 128, 3)

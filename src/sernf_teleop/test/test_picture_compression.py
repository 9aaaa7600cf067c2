"""Pictures in bags: small, or without any loss, or as they came; what cannot be compressed is kept all the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
from bags import DUCK, IMAGES, SUCCESS, TOPICS, make_recorder
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from sernf_teleop.episodes import EpisodeInfo, list_episodes, messages, typestore_of
from sernf_teleop.recorder import EpisodeRecorder
from sernf_teleop.recorder_config import COMPRESSED, IMAGE, TopicRule

TOPIC = "/camera/top/image_raw"


def picture() -> np.ndarray:
    """(48, 64, 3) RGB, smooth."""
    rows, columns = np.mgrid[0:48, 0:64]
    return np.stack([4 * rows, 3 * columns, 2 * (rows + columns)], axis=-1).astype(np.uint8)


def serialised(encoding: str = "rgb8") -> bytes:
    shown = picture()
    return bytes(serialize_message(Image(height=48, width=64, encoding=encoding, step=192, data=shown.tobytes())))


def recorded(directory: Path, pictures: str, *data: bytes) -> EpisodeInfo:
    with make_recorder(directory) as recorder:
        start(recorder, pictures)
        for item in data:
            recorder.accept(TOPIC, item)
        recorder.end(SUCCESS)
    (episode,) = list_episodes(directory)
    return episode


def start(recorder: EpisodeRecorder, pictures: str) -> None:
    rule = dataclasses.replace(IMAGES, pictures=pictures)
    recorder.add_topic(dataclasses.replace(TOPICS[1], name=TOPIC, rule=rule))
    recorder.start(DUCK)


@pytest.mark.parametrize(("codec", "most_off"), [("png", 0), ("jpeg", 12)])
def test_pictures_are_stored_compressed_and_come_out_again(tmp_path: Path, codec: str, most_off: int) -> None:
    episode = recorded(tmp_path, codec, serialised(), serialised())
    assert TOPIC not in episode.topics
    topic = episode.topics[f"{TOPIC}/compressed"]
    assert (topic.msgtype, topic.messages, topic.dropped, topic.expected_hz) == (COMPRESSED, 2, 0, 10.0)
    first = next(messages(episode, [topic.name]))
    assert len(first.data) < len(serialised()) / 2
    decoded = typestore_of(episode).deserialize_cdr(first.data, first.msgtype)
    again = cv2.imdecode(decoded.data, cv2.IMREAD_COLOR)[..., ::-1]  # type: ignore[attr-defined]
    assert np.abs(again.astype(int) - picture()).max() <= most_off


def test_as_published_means_byte_for_byte(tmp_path: Path) -> None:
    data = serialised()
    episode = recorded(tmp_path, "as_published", data)
    assert [message.data for message in messages(episode, [TOPIC])] == [data]


@pytest.mark.parametrize("data", [b"no picture at all", serialised("32FC7")])
def test_what_cannot_be_compressed_is_kept_as_it_came(tmp_path: Path, data: bytes) -> None:
    episode = recorded(tmp_path, "jpeg", data, data)
    assert episode.topics[TOPIC].messages == 2
    assert [message.data for message in messages(episode, [TOPIC])] == [data, data]


@pytest.mark.parametrize(("kind", "pictures"), [(IMAGE, "gif"), ("sensor_msgs/msg/JointState", "png")])
def test_rules_that_make_no_sense_are_refused(kind: str, pictures: str) -> None:
    with pytest.raises(ValueError, match="expected one of as_published, jpeg, png"):
        TopicRule(name="a", type=kind, pictures=pictures)

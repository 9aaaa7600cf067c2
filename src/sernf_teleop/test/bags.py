"""Small recorders and bags for tests, without ROS."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sernf_teleop.episode_session import EndedEpisode, RecordedTopic, Verdict
from sernf_teleop.message_definitions import typestore_from
from sernf_teleop.recorder import EpisodeRecorder, EpisodeRequest
from sernf_teleop.recorder_config import RecorderConfig, TopicRule

JOINT_STATES = TopicRule(name="joint_states", type="sensor_msgs/msg/JointState", expected_hz=125.0, control=True)
IMAGES = TopicRule(name="camera/*/image_raw", type="sensor_msgs/msg/Image", expected_hz=10.0, best_effort=True)
VERSION = TopicRule(name="policy_version", type="std_msgs/msg/String", latched=True)
TOPICS = (
    RecordedTopic(name="/joint_states", msgtype=JOINT_STATES.type, rule=JOINT_STATES),
    RecordedTopic(name="/camera/front/image_raw", msgtype=IMAGES.type, rule=IMAGES),
    RecordedTopic(name="/policy_version", msgtype=VERSION.type, rule=VERSION),
)
SUCCESS = Verdict(label="success", labelled_by="judge")
DUCK = EpisodeRequest(task="duck", operator="bo", source="teleop", seed=7)


def make_recorder(
    directory: Path, on_ended: Callable[[EndedEpisode], None] = lambda ended: None, **overrides: Any
) -> EpisodeRecorder:
    """A recorder of TOPICS that is not open yet."""
    values: dict[str, Any] = {"directory": directory, "start_free_mb": 0.0, "stop_free_mb": 0.0, "flush_period_s": 0.05}
    config = RecorderConfig(topics=(JOINT_STATES, IMAGES, VERSION), **{**values, **overrides})
    recorder = EpisodeRecorder(config, namespace="/", stack_version="test", on_ended=on_ended)
    for topic in TOPICS:
        recorder.add_topic(topic)
    return recorder


@functools.cache
def joint_state(position_rad: float = 0.0) -> bytes:
    """CDR of a JointState."""
    store = typestore_from({})
    time = store.types["builtin_interfaces/msg/Time"](sec=1, nanosec=0)
    header = store.types["std_msgs/msg/Header"](stamp=time, frame_id="")
    values = {"name": ["a"], "position": [position_rad], "velocity": [], "effort": []}
    numbers = {key: _array(value) for key, value in values.items() if key != "name"}
    message = store.types["sensor_msgs/msg/JointState"](header=header, name=["a"], **numbers)
    return bytes(store.serialize_cdr(message, "sensor_msgs/msg/JointState"))


def _array(values: list[Any]) -> Any:
    return np.array(values, dtype=np.float64)


def record(directory: Path, count: int = 100, verdict: Verdict = SUCCESS) -> Path:
    """One episode of `count` joint states; returns its folder."""
    data = joint_state()
    with make_recorder(directory) as recorder:
        recorder.start(DUCK)
        for number in range(count):
            recorder.accept("/joint_states", data, number=number)
        return recorder.end(verdict).path

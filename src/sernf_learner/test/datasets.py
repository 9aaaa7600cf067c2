"""Small data sets on the disk: real bags whose messages nobody looks into."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sernf_teleop.episode_session import RecordedTopic, Verdict
from sernf_teleop.recorder import EpisodeRecorder, EpisodeRequest
from sernf_teleop.recorder_config import RecorderConfig, TopicRule

RULES = (
    TopicRule(name="joint_states", type="sensor_msgs/msg/JointState", control=True),
    TopicRule(name="bridge_state", type="sernf_msgs/msg/BridgeState", control=True),
)


def record_episode(
    folder: Path, label: str = "success", *, source: str = "demonstrator", task: str = "duck", topics: int = 2, lost: int = 0
) -> Path:
    """One episode with messages on the first `topics` of RULES, `lost` of them missing; returns its folder."""
    config = RecorderConfig(topics=RULES, directory=folder, start_free_mb=0.0, stop_free_mb=0.0, flush_period_s=0.05)
    with EpisodeRecorder(config, namespace="/", stack_version="test", on_ended=lambda ended: None) as recorder:
        for rule in RULES:
            recorder.add_topic(RecordedTopic(name=f"/{rule.name}", msgtype=rule.type, rule=rule))
        recorder.start(EpisodeRequest(task=task, operator="bo", source=source, seed=1))
        for rule in RULES[:topics]:
            for number in (0, 1 + lost):
                recorder.accept(f"/{rule.name}", b"\0" * 16, number=number)
        return recorder.end(Verdict(label=label, labelled_by="judge" if label else "")).path


def record_demonstrations(folder: Path, *, successes: int = 2, failures: int = 1, **how: Any) -> Path:
    """A data set; returns `folder`."""
    for label in ["success"] * successes + ["failure"] * failures:
        record_episode(folder, label, **how)
    return folder

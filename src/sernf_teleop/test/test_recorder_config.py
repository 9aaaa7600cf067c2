"""Which topics are recorded, and which configurations are refused."""

from __future__ import annotations

import pytest

from sernf_robot.config import load_config
from sernf_robot.config_files import config_path
from sernf_teleop.recorder_config import RecorderConfig, TopicRule, rule_for


@pytest.mark.parametrize(
    ("pattern", "topic", "namespace", "expected"),
    [
        ("joint_states", "/joint_states", "/", True),
        ("joint_states", "/left/joint_states", "/left", True),
        ("joint_states", "/left/joint_states", "/", False),
        ("objects/*/pose", "/objects/duck/pose", "/", True),
        ("objects/*/pose", "/objects/duck/raw/pose", "/", False),
        ("objects/*/pose", "/objects/pose", "/", False),
    ],
)
def test_rules_match_whole_levels(pattern: str, topic: str, namespace: str, expected: bool) -> None:
    rule = TopicRule(name=pattern, type="a/msg/B")
    assert (rule_for([rule], topic, namespace) is rule) == expected


def test_the_shipped_configuration_records_what_learning_needs() -> None:
    config = load_config(RecorderConfig, config_path("episode_recorder.yaml"))
    assert {rule.name for rule in config.topics if rule.control} == {"joint_states", "joint_command", "bridge_state"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"queue_mb": 0.0}, "queue_mb"),
        ({"stop_free_mb": 900.0}, "stop_free_mb"),
        ({"topics": ()}, "no topic"),
        ({"topics": (TopicRule(name="a", type="a/msg/B"),) * 2}, "a twice"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(change: dict[str, object], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        RecorderConfig(**{"topics": (TopicRule(name="a", type="a/msg/B"),), **change})  # type: ignore[arg-type]

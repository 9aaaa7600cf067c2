"""What the episode recorder records, and where; see config/episode_recorder.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CODECS = ("as_published", "jpeg", "png")
SUFFIX = "/compressed"
"""Of a topic of compressed pictures, as image_transport names them."""
LEVEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|\*")
MESSAGE_TYPE = re.compile(r"[a-z][a-z0-9_]*/msg/[A-Z][A-Za-z0-9]*")


@dataclass(frozen=True, kw_only=True)
class TopicRule:
    """One topic, or with `*` in place of a level all topics of this shape, as soon as they appear.

    `name`: relative to the node's namespace. `type`: such as "sensor_msgs/msg/Image". `expected_hz`: a gap of more than one and a
    half periods counts as late; none for topics without a rhythm. `control`: loss makes an episode unfit; in a full queue these
    come first. `latched`: the publisher keeps its last message, and every episode begins with it. `best_effort`: as published.
    `depth`: messages that wait in the middleware while the recorder is busy. `pictures`: how Images are stored: jpeg, png
    (lossless) or as_published.
    """

    name: str
    type: str
    expected_hz: float | None = None
    control: bool = False
    latched: bool = False
    best_effort: bool = False
    depth: int = 100
    pictures: str = "as_published"

    def __post_init__(self) -> None:
        if not self.name or not all(LEVEL.fullmatch(level) for level in self.name.split("/")):
            raise ValueError(f"name: expected a relative topic such as 'objects/*/pose', got {self.name!r}")
        if not MESSAGE_TYPE.fullmatch(self.type):
            raise ValueError(f"type of {self.name}: expected a type such as 'sensor_msgs/msg/Image', got {self.type!r}")
        if self.expected_hz is not None and self.expected_hz <= 0:
            raise ValueError(f"expected_hz of {self.name}: expected a positive rate or null, got {self.expected_hz}")
        if self.pictures not in CODECS or (self.pictures != CODECS[0] and self.type != IMAGE):
            raise ValueError(f"pictures of {self.name}: expected one of {', '.join(CODECS)} for {IMAGE}, got {self.pictures!r}")
        if self.depth < 1:
            raise ValueError(f"depth of {self.name}: expected 1 or more, got {self.depth}")

    @property
    def is_pattern(self) -> bool:
        """Whether the topics have to be discovered."""
        return "*" in self.name

    def matches(self, topic: str, namespace: str) -> bool:
        """Whether the absolute `topic` is one of this rule's in `namespace` ("/" or "/robot")."""
        prefix = namespace.rstrip("/") + "/"
        if not topic.startswith(prefix):
            return False
        levels, wanted = topic[len(prefix) :].split("/"), self.name.split("/")
        return len(levels) == len(wanted) and all(want in ("*", level) for level, want in zip(levels, wanted, strict=True))


def rule_for(rules: Iterable[TopicRule], topic: str, namespace: str) -> TopicRule | None:
    """The first rule that `topic` falls under."""
    return next((rule for rule in rules if rule.matches(topic, namespace)), None)


@dataclass(frozen=True, kw_only=True)
class RecorderConfig:
    """`directory`: of the data set. `queue_mb`: messages that wait for the disk; what does not fit is dropped and counted.

    `flush_period_s`: at most this much is lost when the machine dies. `start_free_mb`: an episode does not start with less free
    space; `stop_free_mb`: a running one is closed before the disk is full. `end_timeout_s`: how long a disk may take to make an
    episode durable.
    """

    topics: tuple[TopicRule, ...]
    directory: Path = Path("runs/episodes")
    queue_mb: float = 64.0
    flush_period_s: float = 0.5
    start_free_mb: float = 500.0
    stop_free_mb: float = 100.0
    discovery_period_s: float = 1.0
    end_timeout_s: float = 10.0

    def __post_init__(self) -> None:
        for name in ("queue_mb", "flush_period_s", "discovery_period_s", "end_timeout_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: expected a positive number, got {getattr(self, name)}")
        if not 0 <= self.stop_free_mb <= self.start_free_mb:
            raise ValueError(
                f"stop_free_mb: expected 0 to start_free_mb ({self.start_free_mb:g}), got {self.stop_free_mb:g}; "
                "otherwise an episode would be closed as soon as it starts"
            )
        names = [rule.name for rule in self.topics]
        doubles = sorted({name for name in names if names.count(name) > 1})
        if not names or doubles:
            raise ValueError(f"topics: expected each name once, got {', '.join(doubles) + ' twice' if doubles else 'no topic'}")

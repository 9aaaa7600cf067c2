"""One episode while it is being recorded: a bounded queue that never blocks, and a thread that writes.

`accept` is called where messages arrive and only queues; everything slow happens in the writer thread. When the disk fills up or
fails the session closes the episode by itself, as far as possible. However it ends, `on_ended` tells.
"""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rosbags.interfaces import Qos

from sernf_teleop.episode_files import START_FILE, EpisodeError, free_mb, move_durably, write_custom_data, write_durably
from sernf_teleop.episode_repair import repair_episode
from sernf_teleop.episode_writer import EpisodeWriter
from sernf_teleop.message_definitions import MessageDefinitions
from sernf_teleop.recorder_config import CODECS, COMPRESSED, SUFFIX, RecorderConfig, TopicRule
from sernf_teleop.topic_counter import TopicCounter

DRAIN_PERIOD_S = 0.05
CONTROL_SHARE = 0.5
"""of the queue is kept for control topics"""


@dataclass(frozen=True, kw_only=True)
class RecordedTopic:
    """A topic as it was found. `name`: absolute. `qos`: what its publishers offer."""

    name: str
    msgtype: str
    rule: TopicRule
    qos: tuple[Qos, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How an episode is labelled: `label` "success", "failure", "discard" or empty; `labelled_by`: "judge" or "operator:NAME"."""

    label: str = ""
    labelled_by: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class EndedEpisode:
    """`reason`: why the episode was cut short; empty when it ended because somebody asked. `path`: where it
    lies now."""

    episode_id: str
    task: str
    path: Path
    verdict: Verdict
    seconds: float
    messages: int
    dropped: int
    reason: str = ""


@dataclass(frozen=True)
class _Queued:
    topic: str
    log_time_ns: int
    data: bytes


class EpisodeSession:
    """`accept`, `add_topic` and `end` are called from one thread; `on_ended` is called in the writer thread."""

    def __init__(
        self,
        path: Path,
        home: Path,
        about: Mapping[str, str],
        config: RecorderConfig,
        definitions: MessageDefinitions,
        on_ended: Callable[[EndedEpisode], None],
    ) -> None:
        """`path`: folder while recording; `home`: folder of the data set. `about`: what is known from the start."""
        self.episode_id = path.name
        self.about = dict(about)
        self.counters: dict[str, TopicCounter] = {}
        self.ended: EndedEpisode | None = None
        """set once the episode is over"""
        self._path = path
        self._home = home
        self._config = config
        self._definitions = definitions
        self._on_ended = on_ended
        self._writer = EpisodeWriter(path, definitions)
        self._topics: dict[str, RecordedTopic] = {}
        self._queue: deque[RecordedTopic | _Queued] = deque()
        self._queued_bytes = 0
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._verdict = Verdict()
        self._reason = ""
        self._compress: dict[str, Callable[[bytes], bytes]] = {}
        self._uncompressed: set[str] = set()
        self._thread = threading.Thread(target=self._run, name=f"writer of {self.episode_id}", daemon=True)
        self._started_s = time.monotonic()
        self._started_ns = time.time_ns()
        self._seconds = 0.0

    def start(self, topics: Sequence[RecordedTopic]) -> None:
        """Create the episode's folder, durable, and begin to write. Raises OSError; then nothing is left behind."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._writer.open()
            write_durably(self._path / START_FILE, json.dumps(self.about))
        except OSError:
            self._writer.abort()
            shutil.rmtree(self._path, ignore_errors=True)
            raise
        for topic in topics:
            self.add_topic(topic)
        self._thread.start()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._started_s

    @property
    def dropped(self) -> int:
        """On all topics together."""
        return sum(counter.dropped for counter in self.counters.values())

    @property
    def messages(self) -> int:
        """Written so far."""
        return sum(counter.messages for counter in self.counters.values())

    @property
    def queued_mb(self) -> float:
        """Waiting for the disk."""
        return self._queued_bytes / 1e6

    def add_topic(self, topic: RecordedTopic) -> None:
        """A topic has been discovered; its messages follow."""
        if topic.name in self._topics:
            return
        self._topics[topic.name] = topic
        self.counters[topic.name] = TopicCounter(expected_hz=topic.rule.expected_hz)
        with self._lock:
            self._queue.append(topic)

    def accept(self, topic: str, data: bytes, *, delay_ns: int = 0, publisher: bytes = b"", number: int | None = None) -> None:
        """Queue one message that arrived `delay_ns` ago; never blocks. `number`: the publisher's count of its messages."""
        if self._ending.is_set() or self.ended is not None:
            return
        counter = self.counters[topic]
        # The wall clock may be set while we record; the episode's times must not jump with it.
        elapsed_ns = max(0, round(self.seconds * 1e9) - delay_ns)
        log_time_ns = counter.arrived(self._started_ns + elapsed_ns, publisher, number)
        room = self._config.queue_mb * 1e6 * (1.0 if self._topics[topic].rule.control else CONTROL_SHARE)
        with self._lock:
            fits = self._queued_bytes + len(data) <= room
            if fits:
                self._queue.append(_Queued(topic, log_time_ns, data))
                self._queued_bytes += len(data)
        if not fits:
            counter.overflowed()

    def end(self, verdict: Verdict, reason: str = "") -> EndedEpisode:
        """Make the episode durable and labelled. Raises TimeoutError when the disk takes too long."""
        if self.ended is None:
            self._verdict = verdict
            self._reason = reason
            self._seconds = self.seconds
            self._ending.set()
        self._thread.join(self._config.end_timeout_s)
        if self.ended is None:
            raise TimeoutError(
                f"{self.episode_id}: expected the disk to take it within {self._config.end_timeout_s:g} s, still writing; "
                f"try again; otherwise it stays in {self._path} and is repaired when the recorder starts next"
            )
        return self.ended

    def _run(self) -> None:
        log = logging.getLogger(__name__)
        try:
            cut_short = self._write_until_the_end()
            ended = self._close(cut_short)
        except Exception as error:
            log.exception("recording of %s failed", self.episode_id)
            ended = self._salvage(f"recording failed: {error}")
        self.ended = ended
        self._on_ended(ended)

    def _write_until_the_end(self) -> str:
        """Returns why the episode is cut short, or nothing."""
        next_flush_s = time.monotonic() + self._config.flush_period_s
        while True:
            ending = self._ending.wait(DRAIN_PERIOD_S)
            self._drain()
            if ending:
                return self._reason
            if time.monotonic() >= next_flush_s:
                next_flush_s += self._config.flush_period_s
                self._writer.flush()
                free = free_mb(self._path)
                if free < self._config.stop_free_mb:
                    return (
                        f"the disk of {self._home} is nearly full: expected at least {self._config.stop_free_mb:g} MB free, "
                        f"got {free:.0f}; make room"
                    )

    def _drain(self) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    return
                item = self._queue.popleft()
                if isinstance(item, _Queued):
                    self._queued_bytes -= len(item.data)
            if isinstance(item, _Queued):
                topic, data = self._stored(item)
                self._writer.write(topic, item.log_time_ns, data)
                self.counters[item.topic].written()
            else:
                self._announce(item)

    def _announce(self, topic: RecordedTopic) -> None:
        if topic.rule.pictures == CODECS[0]:
            self._writer.add_topic(topic.name, topic.msgtype, topic.qos)
        else:
            # Whoever records no pictures needs nothing that knows about them.
            from sernf_teleop.picture_compression import PictureCompressor

            self._compress[topic.name] = PictureCompressor(topic.rule.pictures).compress
            self._writer.add_topic(topic.name + SUFFIX, COMPRESSED, topic.qos)

    def _stored(self, item: _Queued) -> tuple[str, bytes]:
        """Topic and bytes of a message in the bag: pictures compressed, if that is wanted and can be done."""
        compress = self._compress.get(item.topic)
        if compress is None:
            return item.topic, item.data
        try:
            return item.topic + SUFFIX, compress(item.data)
        except ValueError as error:
            if item.topic not in self._uncompressed:
                logging.getLogger(__name__).warning("%s is recorded uncompressed: %s", item.topic, error)
                topic = self._topics[item.topic]
                self._writer.add_topic(topic.name, topic.msgtype, topic.qos)
                self._uncompressed.add(item.topic)
            return item.topic, item.data

    def _name_in_bag(self, topic: str) -> str:
        return topic + SUFFIX if topic in self._compress and topic not in self._uncompressed else topic

    def _close(self, cut_short: str) -> EndedEpisode:
        verdict = Verdict(note=cut_short) if cut_short else self._verdict
        seconds = self._seconds if self._ending.is_set() else self.seconds
        digest = self._writer.finish()
        write_custom_data(self._path, self._custom_data(verdict, seconds, digest))
        (self._path / START_FILE).unlink()
        home = self._home / self.episode_id
        move_durably(self._path, home)
        return self._ended(home, verdict, seconds, self.messages, cut_short)

    def _salvage(self, reason: str) -> EndedEpisode:
        """After an error: keep what is intact, now if there is space, otherwise when the recorder starts next."""
        self._writer.abort()
        path, messages = self._path, 0
        try:
            repaired = repair_episode(self._path, self._home, self._definitions, note=reason)
            path, messages = repaired.path, repaired.messages
        except (OSError, EpisodeError):
            logging.getLogger(__name__).exception("%s stays in %s", self.episode_id, self._path)
        return self._ended(path, Verdict(note=reason), self.seconds, messages, reason)

    def _ended(self, path: Path, verdict: Verdict, seconds: float, messages: int, reason: str) -> EndedEpisode:
        return EndedEpisode(
            episode_id=self.episode_id, task=self.about["task"], path=path, verdict=verdict, seconds=seconds,
            messages=messages, dropped=self.dropped, reason=reason,
        )  # fmt: skip

    def _custom_data(self, verdict: Verdict, seconds: float, digest: str) -> dict[str, str]:
        topics = {
            self._name_in_bag(name): {
                "messages": counter.messages,
                "dropped": counter.dropped,
                "late": counter.late,
                "longest_gap_s": round(counter.longest_gap_s, 6),
                "expected_hz": counter.expected_hz,
                "control": self._topics[name].rule.control,
            }
            for name, counter in self.counters.items()
        }
        about = {key: value for key, value in self.about.items() if key != "rules"}
        return {
            **about,
            "label": verdict.label,
            "labelled_by": verdict.labelled_by,
            "note": verdict.note,
            "seconds": f"{seconds:.3f}",
            "sha256": digest,
            "topics": json.dumps(topics),
        }

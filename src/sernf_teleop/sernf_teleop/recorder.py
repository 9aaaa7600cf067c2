"""Records episodes into a data set: one at a time, each durable when `end` returns, unfinished ones repaired at `open`."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import logging
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from sernf_teleop.episode_files import UNFINISHED, EpisodeError, free_mb
from sernf_teleop.episode_repair import Repair, repair_unfinished
from sernf_teleop.episode_session import EndedEpisode, EpisodeSession, RecordedTopic, Verdict
from sernf_teleop.episodes import check_label, read_episode, relabel
from sernf_teleop.message_definitions import MessageDefinitions
from sernf_teleop.recorder_config import RecorderConfig

LOCK_FILE = ".recorder.lock"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class RecorderError(RuntimeError):
    """A request that cannot be met; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class EpisodeRequest:
    """What is to be recorded. `seed`: of the simulated scene, 0 on a real robot. `source`: whose commands are expected."""

    task: str
    operator: str = ""
    source: str = ""
    seed: int = 0


class EpisodeRecorder:
    """All methods are called from one thread; `on_ended` is called from the thread of the episode that has ended."""

    def __init__(
        self, config: RecorderConfig, *, namespace: str, stack_version: str, on_ended: Callable[[EndedEpisode], None]
    ) -> None:
        self.session: EpisodeSession | None = None
        self.last_error = ""
        """why the last episode could not start or was cut short; empty when all is well"""
        self._config = config
        self._directory = config.directory.expanduser().absolute()
        self._namespace = namespace
        self._stack_version = stack_version
        self._on_ended = on_ended
        self._definitions = MessageDefinitions()
        self._topics: dict[str, RecordedTopic] = {}
        self._latest: dict[str, bytes] = {}
        self._lock: int | None = None

    def open(self) -> list[Repair]:
        """Take the directory and repair what lies there unfinished. Raises RecorderError and OSError."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self._directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise RecorderError(
                f"{self._directory}: another recorder works in this directory; stop it, or record into another one"
            ) from None
        return self._repair()

    def close(self) -> None:
        """End a running episode without a label and give the directory back."""
        if self.session is not None:
            try:
                self.end(Verdict(), reason="the recorder was stopped during this episode")
            except RecorderError:
                logging.getLogger(__name__).exception("the running episode could not be ended")
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> EpisodeRecorder:
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def free_mb(self) -> float:
        """Space left on the disk."""
        return free_mb(self._directory)

    @property
    def problem(self) -> str:
        """What is wrong until the next episode has started; empty when all is well."""
        ended = None if self.session is None else self.session.ended
        return self.last_error if ended is None else ended.reason

    @property
    def is_recording(self) -> bool:
        """Whether messages go into a bag."""
        return self.session is not None and self.session.ended is None

    def add_topic(self, topic: RecordedTopic) -> None:
        """Record this topic from now on, in this and all later episodes. Raises UnknownTypeError."""
        self._definitions.of(topic.msgtype)
        self._topics[topic.name] = topic
        if self.session is not None:
            self.session.add_topic(topic)

    def accept(self, topic: str, data: bytes, *, delay_ns: int = 0, publisher: bytes = b"", number: int | None = None) -> None:
        """A message of a known topic arrived `delay_ns` ago; never blocks. See EpisodeSession.accept."""
        if self._topics[topic].rule.latched:
            self._latest[topic] = data
        if self.session is not None:
            self.session.accept(topic, data, delay_ns=delay_ns, publisher=publisher, number=number)

    def start(self, request: EpisodeRequest) -> str:
        """Begin an episode and return its id. Raises RecorderError; then nothing is recorded."""
        try:
            session = self._start(request)
        except OSError as error:
            self.last_error = f"{self._directory}: episode cannot be created: {error}"
            raise RecorderError(self.last_error) from error
        self.session = session
        self.last_error = ""
        for topic, data in self._latest.items():
            session.accept(topic, data)
        return session.episode_id

    def end(self, verdict: Verdict, reason: str = "") -> EndedEpisode:
        """End the episode; it is durable on return. The answer's `reason` tells when it was cut short: then it is unlabelled."""
        session = self.session
        if session is None:
            raise RecorderError("no episode is being recorded; call recorder/start_episode first")
        if verdict.label or verdict.labelled_by:
            try:
                check_label(verdict.label, verdict.labelled_by)
            except ValueError as error:
                raise RecorderError(f"{error}; {session.episode_id} is still being recorded") from error
        try:
            ended = session.end(verdict, reason)
        except TimeoutError as error:
            self.last_error = str(error)
            raise RecorderError(self.last_error) from error
        self.session = None
        if ended.reason and not reason:
            self.last_error = ended.reason
        return ended

    def relabel(self, episode_id: str, verdict: Verdict) -> tuple[str, Path]:
        """Change the label of an ended episode; returns its task and folder. Raises RecorderError."""
        if self.is_recording and self.session is not None and self.session.episode_id == episode_id:
            raise RecorderError(f"{episode_id} is still being recorded; end it with recorder/end_episode")
        path = self._directory / episode_id
        if not NAME.fullmatch(episode_id.replace(".", "")) or not path.is_dir():
            raise RecorderError(f"episode_id: expected an episode in {self._directory}, got {episode_id!r}; see sernf bag")
        try:
            relabel(path, label=verdict.label, labelled_by=verdict.labelled_by, note=verdict.note)
            return read_episode(path).task, path
        except (ValueError, EpisodeError, OSError) as error:
            raise RecorderError(f"{episode_id} keeps its label: {error}") from error

    def _start(self, request: EpisodeRequest) -> EpisodeSession:
        if self.is_recording and self.session is not None:
            raise RecorderError(
                f"{self.session.episode_id} has been recorded for {self.session.seconds:.1f} s; "
                "end it with recorder/end_episode first"
            )
        if not NAME.fullmatch(request.task):
            raise RecorderError(f"task: expected letters, digits, '_' and '-', at most 64, got {request.task!r}")
        free = self.free_mb
        if free < self._config.start_free_mb:
            self.last_error = (
                f"{self._directory}: expected at least {self._config.start_free_mb:g} MB of free space to start an episode, "
                f"got {free:.0f}; make room"
            )
            raise RecorderError(self.last_error)
        self.session = None
        self._repair()
        now_s = time.time()
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now_s))
        about = {
            "task": request.task,
            "operator": request.operator,
            "source": request.source,
            "seed": str(request.seed),
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_s)),
            "namespace": self._namespace,
            "stack_version": self._stack_version,
            "rules": json.dumps([dataclasses.asdict(rule) for rule in self._config.topics]),
        }
        path = self._directory / UNFINISHED / f"{stamp}_{int(now_s % 1 * 1000):03d}_{request.task}"
        session = EpisodeSession(path, self._directory, about, self._config, self._definitions, self._on_ended)
        session.start(list(self._topics.values()))
        return session

    def _repair(self) -> list[Repair]:
        # What does not fit on the disk now waits in its folder; it must not keep new episodes from being recorded.
        try:
            repairs = repair_unfinished(self._directory, self._definitions)
        except OSError as error:
            self.last_error = f"unfinished episodes in {self._directory} could not be repaired: {error}; make room"
            logging.getLogger(__name__).exception("repair failed")
            return []
        for repair in repairs:
            level = logging.INFO if repair.is_readable else logging.WARNING
            logging.getLogger(__name__).log(level, "%s: %s, now %s", repair.episode_id, repair.message, repair.path)
        return repairs

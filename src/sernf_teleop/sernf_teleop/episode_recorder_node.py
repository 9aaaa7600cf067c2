"""Records every topic that learning needs, one bag an episode. It only listens: whatever happens here, control goes on.

Fails safely: without a disk episodes are refused or closed early, with the reason in the service's answer, in `episode_event`
and in diagnostics; a killed recorder's episode is repaired when it starts again.
"""

from __future__ import annotations

import functools
import subprocess
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import serialize_message
from rclpy.subscription import Subscription

from sernf_msgs.msg import EpisodeEvent
from sernf_msgs.srv import EndEpisode, RelabelEpisode, StartEpisode
from sernf_node import DiagnosticLevel, Diagnostics, SernfNode, run_node
from sernf_teleop.episode_session import EndedEpisode, RecordedTopic, Verdict
from sernf_teleop.message_definitions import UnknownTypeError
from sernf_teleop.recorder import EpisodeRecorder, EpisodeRequest, RecorderError
from sernf_teleop.recorder_config import RecorderConfig, TopicRule, rule_for
from sernf_teleop.topic_discovery import NumberedCallback, as_bag_qos, message_class, subscription_qos

EVENT_QOS = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
EVENT_RULE = TopicRule(name="episode_event", type="sernf_msgs/msg/EpisodeEvent")
EVENT_OF_LABEL = {
    "": EpisodeEvent.END,
    "success": EpisodeEvent.SUCCESS,
    "failure": EpisodeEvent.FAILURE,
    "discard": EpisodeEvent.DISCARD,
}
LONGEST_DELAY_NS = 1_000_000_000
"""between arrival in the middleware and our callback; beyond, the clock was set"""


class EpisodeRecorderNode(SernfNode[RecorderConfig]):
    """Subscriptions and services around an EpisodeRecorder."""

    def __init__(self) -> None:
        super().__init__("episode_recorder", RecorderConfig)
        self._recorder: EpisodeRecorder | None = None
        self._subscriptions_by_topic: dict[str, Subscription[Any]] = {}
        self._refused: set[str] = set()
        self._is_active = False
        self._undo: list[Callable[[], object]] = []

    @property
    def recorder(self) -> EpisodeRecorder:
        """Only between configure and cleanup."""
        if self._recorder is None:
            raise RuntimeError("episode_recorder is not configured")
        return self._recorder

    def setup(self) -> None:
        self._events: Publisher[EpisodeEvent] = self.create_publisher(EpisodeEvent, "episode_event", EVENT_QOS)
        self._undo.append(functools.partial(self.destroy_publisher, self._events))
        self._recorder = EpisodeRecorder(
            self.config, namespace=self.get_namespace(), stack_version=stack_version(), on_ended=self._on_ended
        )
        for repair in self._recorder.open():
            self.get_logger().warning(f"{repair.episode_id}: {repair.message}, now {repair.path}")
        if self._recorder.problem:
            self.get_logger().error(self._recorder.problem)
        self._recorder.add_topic(
            RecordedTopic(name=self._events.topic_name, msgtype=EVENT_RULE.type, rule=EVENT_RULE, qos=(as_bag_qos(EVENT_QOS),))
        )
        for rule in self.config.topics:
            if not rule.is_pattern:
                self._subscribe(self.resolve_topic_name(rule.name), rule)
        for kind, name, callback in (
            (StartEpisode, "recorder/start_episode", self._start_episode),
            (EndEpisode, "recorder/end_episode", self._end_episode),
            (RelabelEpisode, "recorder/relabel_episode", self._relabel_episode),
        ):
            service = self.create_service(kind, name, callback)
            self._undo.append(functools.partial(self.destroy_service, service))
        timer = self.create_timer(self.config.discovery_period_s, self._discover)
        self._undo.append(functools.partial(self.destroy_timer, timer))
        self._undo.append(Diagnostics(self, self._report).destroy)
        self._discover()

    def start(self) -> None:
        self._is_active = True

    def stop(self) -> None:
        self._is_active = False
        if self._recorder is not None and self._recorder.is_recording:
            ended = self._recorder.end(Verdict(note="the recorder was stopped"), reason="the recorder was stopped")
            self.get_logger().warning(f"{ended.episode_id} was being recorded: kept without a label in {ended.path}")

    def teardown(self) -> None:
        while self._undo:
            self._undo.pop()()
        for subscription in self._subscriptions_by_topic.values():
            self.destroy_subscription(subscription)
        self._subscriptions_by_topic.clear()
        if self._recorder is not None:
            self._recorder.close()
            self._recorder = None

    def _discover(self) -> None:
        """Subscribe to what has appeared, and again where publishers offer less than we asked for."""
        if self._recorder is None:  # the timer may have been due before cleanup
            return
        for topic, types in self.get_topic_names_and_types():
            rule = rule_for(self.config.topics, topic, self.get_namespace())
            if rule is None:
                continue
            if rule.type not in types:
                self._refuse_once(topic, f"expected {rule.type}, got {', '.join(types)}")
                continue
            offered = [info.qos_profile for info in self.get_publishers_info_by_topic(topic)]
            known = self._subscriptions_by_topic.get(topic)
            if known is None and offered:
                self._subscribe(topic, rule)
            elif known is not None and offered:
                wanted = subscription_qos(rule, offered)
                if (wanted.reliability, wanted.durability) != (known.qos_profile.reliability, known.qos_profile.durability):
                    self.get_logger().warning(f"{topic}: a publisher offers less than expected, listening again on its terms")
                    self.destroy_subscription(self._subscriptions_by_topic.pop(topic))
                    self._subscribe(topic, rule)

    def _subscribe(self, topic: str, rule: TopicRule) -> None:
        offered = [info.qos_profile for info in self.get_publishers_info_by_topic(topic)]
        try:
            kind = message_class(rule.type)
            self.recorder.add_topic(
                RecordedTopic(name=topic, msgtype=rule.type, rule=rule, qos=tuple(as_bag_qos(qos) for qos in offered))
            )
        except (ImportError, AttributeError, UnknownTypeError) as error:
            self._refuse_once(topic, str(error))
            return
        self._subscriptions_by_topic[topic] = self.create_subscription(
            kind,
            topic,
            NumberedCallback(functools.partial(self._receive, topic)),
            subscription_qos(rule, offered),
            raw=True,
            # EventsExecutor may crash when a subscription that has event callbacks is destroyed.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        )

    def _receive(self, topic: str, data: bytes, info: Mapping[str, Any]) -> None:
        if self._recorder is None:  # an executor may have taken the message before cleanup
            return
        delay_ns = time.time_ns() - info["received_timestamp"]
        publisher = info["publisher_gid"]
        self._recorder.accept(
            topic,
            data,
            delay_ns=delay_ns if 0 <= delay_ns < LONGEST_DELAY_NS else 0,
            publisher=b"" if publisher is None else publisher["data"],
            number=info["publication_sequence_number"],
        )

    def _refuse_once(self, topic: str, reason: str) -> None:
        if topic not in self._refused:
            self._refused.add(topic)
            self.get_logger().error(f"{topic} is not recorded: {reason}")

    def _start_episode(self, request: StartEpisode.Request, response: StartEpisode.Response) -> StartEpisode.Response:
        try:
            self._check_active()
            response.episode_id = self.recorder.start(
                EpisodeRequest(task=request.task, operator=request.operator_name, source=request.source, seed=request.seed)
            )
        except RecorderError as error:
            response.message = str(error)
            self.get_logger().warning(f"episode not started: {error}")
            return response
        event = self._event(EpisodeEvent.START, response.episode_id, request.task)
        self.recorder.accept(self._events.topic_name, serialize_message(event))
        self._events.publish(event)
        response.success = True
        silent = [
            rule.name
            for rule in self.config.topics
            if rule.control and not rule.is_pattern and not self.count_publishers(rule.name)
        ]
        response.message = "recording" + (f"; nobody publishes {', '.join(silent)} yet" if silent else "")
        self.get_logger().info(f"{response.episode_id}: {response.message}")
        return response

    def _end_episode(self, request: EndEpisode.Request, response: EndEpisode.Response) -> EndEpisode.Response:
        verdict = Verdict(label=request.label, labelled_by=request.labelled_by, note=request.note)
        try:
            self._check_active()
            ended = self.recorder.end(verdict)
        except RecorderError as error:
            response.message = str(error)
            self.get_logger().warning(f"episode not ended: {error}")
            return response
        response.success = not ended.reason
        response.message = (
            f"cut short after {ended.seconds:.1f} s: {ended.reason}; what was recorded is kept without a label in {ended.path}"
            if ended.reason
            else f"{ended.seconds:.1f} s recorded"
        )
        response.episode_id = ended.episode_id
        response.path = str(ended.path)
        response.messages = ended.messages
        response.dropped = ended.dropped
        return response

    def _relabel_episode(self, request: RelabelEpisode.Request, response: RelabelEpisode.Response) -> RelabelEpisode.Response:
        verdict = Verdict(label=request.label, labelled_by=request.labelled_by, note=request.note)
        try:
            self._check_active()
            task, path = self.recorder.relabel(request.episode_id, verdict)
        except RecorderError as error:
            response.message = str(error)
            return response
        self._publish_verdict(request.episode_id, task, path, verdict)
        response.success = True
        response.message = f"{request.episode_id} is now labelled {request.label}"
        return response

    def _on_ended(self, ended: EndedEpisode) -> None:
        """In the thread of the episode; its bag is durable."""
        self._publish_verdict(ended.episode_id, ended.task, ended.path, ended.verdict)
        if ended.reason:
            self.get_logger().error(f"{ended.episode_id} was cut short after {ended.seconds:.1f} s: {ended.reason}")

    def _publish_verdict(self, episode_id: str, task: str, path: Path, verdict: Verdict) -> None:
        event = self._event(EVENT_OF_LABEL[verdict.label], episode_id, task)
        event.path = str(path)
        event.labelled_by = verdict.labelled_by
        event.note = verdict.note
        self._events.publish(event)

    def _event(self, kind: int, episode_id: str, task: str) -> EpisodeEvent:
        event = EpisodeEvent(event=kind, episode_id=episode_id, task=task)
        event.header.stamp = self.get_clock().now().to_msg()
        return event

    def _check_active(self) -> None:
        if not self._is_active:
            raise RecorderError("episode_recorder is not active; activate it: ros2 lifecycle set /episode_recorder activate")

    def _report(self) -> tuple[DiagnosticLevel, str, Mapping[str, object]]:
        recorder = self.recorder
        session = recorder.session
        values: dict[str, object] = {
            "directory": self.config.directory,
            "free_mb": round(recorder.free_mb),
            "topics": len(self._subscriptions_by_topic),
        }
        if recorder.problem:
            return DiagnosticLevel.ERROR, recorder.problem, values
        if session is None:
            return DiagnosticLevel.OK, "ready", values
        values |= {"episode": session.episode_id, "messages": session.messages, "dropped": session.dropped}
        values |= {"seconds": round(session.seconds, 1), "queued_mb": round(session.queued_mb, 2)}
        for name, counter in session.counters.items():
            values[name] = f"{counter.messages} written, {counter.dropped} dropped, {counter.late} late"
        if session.dropped:
            return DiagnosticLevel.WARN, f"recording; {session.dropped} messages dropped", values
        return DiagnosticLevel.OK, "recording", values


def stack_version() -> str:
    """Version of the package, and the commit when it runs from a checkout, such as "0.1.0+g1a2b3c.dirty"."""
    try:
        version = metadata.version("sernf_teleop")
    except metadata.PackageNotFoundError:
        version = "source"
    folder = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        try:
            return subprocess.run(
                ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=5.0, check=True
            ).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return ""

    commit = git("rev-parse", "HEAD")
    if not commit:
        return version
    return f"{version}+g{commit}" + (".dirty" if git("status", "--porcelain", "--untracked-files=no") else "")


def main() -> None:
    """Entry point."""
    run_node(EpisodeRecorderNode)

"""Topics of the ROS graph as the recorder sees them: message class, offered quality of service, and what fits it."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

from sernf_teleop.recorder_config import TopicRule


class NumberedCallback:
    """Subscription callback that gets a raw message and its MessageInfo, under every executor.

    rclpy asks the signature whether a callback wants the MessageInfo; then EventsExecutor passes message and info as one tuple,
    the other executors as two arguments.
    """

    __signature__ = inspect.Signature([inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in ("data", "info")])

    def __init__(self, receive: Callable[[bytes, Mapping[str, Any]], None]) -> None:
        self._receive = receive

    def __call__(self, *arguments: Any) -> None:
        """Pass the message on."""
        data, info = arguments[0] if len(arguments) == 1 else arguments
        self._receive(data, info)


def message_class(msgtype: str) -> type[Any]:
    """Class of "package/msg/Name". Raises ImportError and AttributeError."""
    package, _, name = msgtype.split("/")
    found: type[Any] = getattr(importlib.import_module(f"{package}.msg"), name)
    return found


def subscription_qos(rule: TopicRule, offered: Sequence[QoSProfile]) -> QoSProfile:
    """The rule's wish, weakened to what every publisher offers: otherwise some of them would not be heard at all."""
    reliable = not rule.best_effort and all(qos.reliability != ReliabilityPolicy.BEST_EFFORT for qos in offered)
    latched = rule.latched and all(qos.durability != DurabilityPolicy.VOLATILE for qos in offered)
    return QoSProfile(
        depth=rule.depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def as_bag_qos(qos: QoSProfile) -> Qos:
    """For the bag, so that playing it back offers the same."""
    return Qos(
        history=QosHistory[qos.history.name.upper()],
        depth=qos.depth,
        reliability=QosReliability[qos.reliability.name.upper()],
        durability=QosDurability[qos.durability.name.upper()],
        deadline=_time(qos.deadline),
        lifespan=_time(qos.lifespan),
        liveliness=QosLiveliness[qos.liveliness.name.upper()],
        liveliness_lease_duration=_time(qos.liveliness_lease_duration),
        avoid_ros_namespace_conventions=qos.avoid_ros_namespace_conventions,
    )


def _time(duration: Duration) -> QosTime:
    seconds, nanoseconds = divmod(duration.nanoseconds, 10**9)
    return QosTime(seconds, nanoseconds)

"""The recorder hears publishers that offer less than expected, and counts messages under every executor."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import rclpy
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.executors import SingleThreadedExecutor
from rclpy.experimental.events_executor import EventsExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

from sernf_teleop.recorder_config import TopicRule
from sernf_teleop.topic_discovery import NumberedCallback, as_bag_qos, message_class, subscription_qos

RELIABLE = QoSProfile(depth=1)
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
WAIT_S = 20.0


@pytest.fixture
def node() -> Iterator[Node]:
    rclpy.init()
    made = Node("numbered")
    yield made
    made.destroy_node()
    rclpy.try_shutdown()


@pytest.mark.parametrize("create_executor", [SingleThreadedExecutor, EventsExecutor])
def test_raw_messages_come_with_their_publishers_numbers(node: Node, create_executor: Callable[[], Any]) -> None:
    received: list[tuple[bytes, Mapping[str, Any]]] = []
    publisher = node.create_publisher(String, "numbered", 10)
    subscription = node.create_subscription(
        String, "numbered", NumberedCallback(lambda data, info: received.append((data, info))), 10, raw=True,
        event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
    )  # fmt: skip
    timer = node.create_timer(0.01, lambda: publisher.publish(String(data="hello")))
    executor = create_executor()
    executor.add_node(node)
    deadline = time.monotonic() + WAIT_S
    while len(received) < 3:
        assert time.monotonic() < deadline
        executor.spin_once(timeout_sec=0.1)
    executor.remove_node(node)
    node.destroy_timer(timer)
    node.destroy_subscription(subscription)
    assert all(b"hello" in data for data, _ in received)
    numbers = [info["publication_sequence_number"] for _, info in received]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.mark.parametrize(
    ("rule", "offered", "reliable", "latched"),
    [
        ({}, [], True, False),
        ({}, [RELIABLE], True, False),
        ({}, [RELIABLE, BEST_EFFORT], False, False),
        ({"best_effort": True}, [RELIABLE], False, False),
        ({"latched": True}, [], True, True),
        ({"latched": True}, [LATCHED], True, True),
        ({"latched": True}, [LATCHED, RELIABLE], True, False),
    ],
)
def test_a_subscription_asks_for_no_more_than_every_publisher_offers(
    rule: dict[str, bool], offered: list[QoSProfile], reliable: bool, latched: bool
) -> None:
    qos = subscription_qos(TopicRule(name="a", type="a/msg/B", **rule), offered)  # type: ignore[arg-type]
    assert (qos.reliability == ReliabilityPolicy.RELIABLE) == reliable
    assert (qos.durability == DurabilityPolicy.TRANSIENT_LOCAL) == latched


def test_what_a_publisher_offers_is_kept_for_playing_the_bag_back() -> None:
    qos = as_bag_qos(LATCHED)
    assert (qos.durability.name, qos.reliability.name, qos.depth) == ("TRANSIENT_LOCAL", "RELIABLE", 1)


def test_message_classes_are_found_by_name() -> None:
    assert message_class("std_msgs/msg/String") is String
    with pytest.raises(AttributeError):
        message_class("std_msgs/msg/Nothing")

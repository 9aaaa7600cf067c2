"""Subscriber on a real ROS graph, and the names that this stand-in refuses."""

import importlib
import time
from collections.abc import Iterator

import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState, Temperature

import message_filters
from message_filters import ApproximateTimeSynchronizer, Cache, Subscriber


@pytest.fixture
def node() -> Iterator[Node]:
    context = Context()
    rclpy.init(context=context)
    node = Node("message_filters_test", context=context)
    yield node
    node.destroy_node()
    context.try_shutdown()


def spin_until(node: Node, done: list[object], timeout_s: float = 30.0) -> None:
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    end_s = time.monotonic() + timeout_s
    while not done and time.monotonic() < end_s:
        executor.spin_once(timeout_sec=0.1)
    executor.remove_node(node)
    executor.shutdown()


def test_two_topics_meet_in_a_synchronizer(node: Node) -> None:
    joints = Subscriber(node, JointState, "mf_test/joints", QoSProfile(depth=3, reliability=ReliabilityPolicy.RELIABLE))
    warmth = Subscriber(node, Temperature, "mf_test/warmth")
    cache = Cache(joints, 5)
    sets: list[object] = []
    ApproximateTimeSynchronizer([joints, warmth], 5, 0.1).registerCallback(lambda *msgs: sets.append(msgs))
    joint_publisher = node.create_publisher(JointState, "mf_test/joints", 3)
    warmth_publisher = node.create_publisher(Temperature, "mf_test/warmth", 3)
    joint_state, temperature = JointState(name=["a"]), Temperature(temperature=20.0)
    joint_state.header.stamp.sec = temperature.header.stamp.sec = 7
    temperature.header.stamp.nanosec = 50_000_000
    timer = node.create_timer(0.05, lambda: (joint_publisher.publish(joint_state), warmth_publisher.publish(temperature)))
    spin_until(node, sets)
    node.destroy_timer(timer)
    assert sets
    assert sets[0] == (joint_state, temperature)
    assert cache.getLast() == joint_state
    assert joints.getTopic() == "mf_test/joints"
    assert joints.topic_name == "/mf_test/joints", "attributes of the subscription are readable on the filter"
    assert node.destroy_subscription(joints.sub)


def test_a_failed_subscription_leaves_a_readable_object(node: Node) -> None:
    with pytest.raises(Exception, match="topic name"):
        Subscriber(node, JointState, "not a topic")
    broken = Subscriber.__new__(Subscriber)
    with pytest.raises(AttributeError, match="no subscription"):
        _ = broken.topic_name


@pytest.mark.parametrize("name", ["Chain", "TimeSequencer", "delta_filter", "input_aligner"])
def test_a_filter_that_is_not_provided_names_the_ros_package(name: str) -> None:
    with pytest.raises(ImportError, match=rf"message_filters\.{name} .*apt install ros-kilted-message-filters"):
        getattr(message_filters, name)


@pytest.mark.parametrize("name", ["delta_filter", "input_aligner"])
def test_a_module_that_is_not_provided_names_the_ros_package(name: str) -> None:
    with pytest.raises(ImportError, match="apt install ros-kilted-message-filters"):
        importlib.import_module(f"message_filters.{name}")


def test_an_unknown_name_is_an_ordinary_attribute_error() -> None:
    assert not hasattr(message_filters, "NoSuchFilter")

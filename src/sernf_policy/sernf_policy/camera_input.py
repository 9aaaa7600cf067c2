"""Camera topics to the watch: subscriptions, matching by stamps, conversion to RGB."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from cv_bridge import CvBridge, CvBridgeError
from message_filters import ApproximateTimeSynchronizer, Subscriber
from sernf_policy.camera_watch import CameraWatch, camera_topic
from sernf_policy.policy_messages import to_ns

NEWEST = QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)
WAITING = 4
"""Pictures of a camera that wait for those of the others."""


class CameraInput:
    """The cameras of one policy. Pictures that cannot be converted are told to `complain` and left out."""

    def __init__(
        self, node: Node, names: Sequence[str], watch: CameraWatch, slop_s: float, complain: Callable[[str], None]
    ) -> None:
        self.names = tuple(names)
        self._watch, self._complain, self._bridge = watch, complain, CvBridge()
        self._node = node
        self._subscribers: list[Any] = [Subscriber(node, Image, camera_topic(name), NEWEST) for name in self.names]
        for name, subscriber in zip(self.names, self._subscribers, strict=True):
            subscriber.registerCallback(partial(self._on_picture, name))
        self._synchroniser = ApproximateTimeSynchronizer(self._subscribers, WAITING, slop_s)
        self._synchroniser.registerCallback(self._on_set)

    def destroy(self) -> None:
        """Stop listening."""
        for subscriber in self._subscribers:
            self._node.destroy_subscription(subscriber.sub)

    def _on_picture(self, name: str, message: Image) -> None:
        self._watch.arrived(name, to_ns(message.header.stamp), message.encoding, bytes(message.data))

    def _on_set(self, *messages: Image) -> None:
        try:
            pictures = {
                name: self._bridge.imgmsg_to_cv2(message, "rgb8") for name, message in zip(self.names, messages, strict=True)
            }
        except CvBridgeError as error:
            self._complain(f"pictures ignored: {error}")
            return
        self._watch.matched(min(to_ns(message.header.stamp) for message in messages), pictures)

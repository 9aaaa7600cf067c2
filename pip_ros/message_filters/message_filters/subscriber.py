"""Source filter: a ROS 2 subscription whose messages go to the connected filters."""

from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile

from .simple_filter import SimpleFilter


class Subscriber(SimpleFilter):
    """Subscription to one topic. Attributes of the rclpy subscription (``sub``) can be read on the filter itself.

    node:        node that owns the subscription
    msg_type:    message class
    topic:       topic name
    qos_profile: QoSProfile or history depth
    kwargs:      further arguments of ``Node.create_subscription`` (callback_group, event_callbacks, raw ...)
    """

    def __init__(self, node: Node, msg_type: type[Any], topic: str, qos_profile: QoSProfile | int = 10, **kwargs: Any) -> None:
        super().__init__()
        self.node = node
        self.topic = topic
        self.sub = node.create_subscription(msg_type, topic, self.callback, qos_profile, **kwargs)

    def callback(self, msg: Any) -> None:
        """Receive a message of the subscription."""
        self.signalMessage(msg)

    def getTopic(self) -> str:
        """Topic name as given to the constructor."""
        return self.topic

    def __getattr__(self, key: str) -> Any:
        # Runs only for names that the filter lacks. `sub` itself is missing while create_subscription fails.
        if key == "sub":
            raise AttributeError("this Subscriber has no subscription: creating it failed")
        return getattr(self.sub, key)

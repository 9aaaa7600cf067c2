"""A node's health on `/diagnostics`, once a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node


class DiagnosticLevel(IntEnum):
    """Levels of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


Report = tuple[DiagnosticLevel, str, Mapping[str, object]]
"""Level, one sentence for people, values."""


class Diagnostics:
    """Asks `report` once a second and publishes the answer."""

    def __init__(self, node: Node, report: Callable[[], Report], *, hardware_id: str = "sernf", period_s: float = 1.0) -> None:
        self._node = node
        self._report = report
        self._hardware_id = hardware_id
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._timer = node.create_timer(period_s, self.publish)
        self._is_destroyed = False

    def publish(self) -> None:
        """Publish now, for instance when something has just gone wrong."""
        if self._is_destroyed:  # the timer may have been due before
            return
        level, message, values = self._report()
        status = DiagnosticStatus(
            level=bytes([level]), name=self._node.get_name(), message=message, hardware_id=self._hardware_id
        )
        status.values = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
        array = DiagnosticArray(status=[status])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)

    def destroy(self) -> None:
        """Stop publishing."""
        self._is_destroyed = True
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)

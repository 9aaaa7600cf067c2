"""A process that publishes what the robot publishes, at its rates: a stand-in for bridge, demonstrator and camera.

`python fake_robot.py SECONDS`: joint_states 125 Hz, bridge_state 50 Hz, joint_command 20 Hz, an image of 128 x 128 at 10 Hz and
an object's pose at 50 Hz. Prints "publishing" when it begins.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, JointState

from sernf_msgs.msg import BridgeState, JointCommand
from sernf_robot.joints import JOINTS

IMAGE_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
TICK_S = 0.004


class FakeRobot(Node):
    """Joints follow sines; every message's stamp is that of its sending."""

    def __init__(self) -> None:
        super().__init__("fake_robot")
        self._tick = 0
        self._outlets = [
            (2, self.create_publisher(JointState, "joint_states", 50), self._joint_state),
            (5, self.create_publisher(BridgeState, "bridge_state", 50), self._bridge_state),
            (12, self.create_publisher(JointCommand, "joint_command", 10), self._joint_command),
            (25, self.create_publisher(Image, "camera/front/image_raw", IMAGE_QOS), self._image),
            (5, self.create_publisher(PoseStamped, "objects/duck/pose", 10), self._pose),
        ]
        self._pixels = np.random.default_rng(0).integers(0, 255, 128 * 128 * 3, dtype=np.uint8).tobytes()

    def tick(self) -> None:
        """Called every TICK_S."""
        self._tick += 1
        for divisor, publisher, make in self._outlets:
            if self._tick % divisor == 0:
                message = make(self._positions())
                message.header.stamp = self.get_clock().now().to_msg()
                publisher.publish(message)

    def _positions(self) -> list[float]:
        phases = np.arange(len(JOINTS)) * 0.4 + self._tick * TICK_S
        return list(0.5 * np.sin(phases))

    def _joint_state(self, positions: list[float]) -> Any:
        return JointState(name=list(JOINTS), position=positions, velocity=[0.0] * len(JOINTS))

    def _bridge_state(self, positions: list[float]) -> Any:
        return BridgeState(
            mode=BridgeState.MODE_TRACK, joint_names=list(JOINTS), requested_position_rad=positions,
            executed_position_rad=positions, executed_velocity_rad_s=[0.0] * len(JOINTS), tick=self._tick,
        )  # fmt: skip

    def _joint_command(self, positions: list[float]) -> Any:
        return JointCommand(source=JointCommand.SOURCE_TELEOP, joint_names=list(JOINTS), position_rad=positions)

    def _image(self, _: list[float]) -> Any:
        return Image(height=128, width=128, encoding="rgb8", step=384, data=self._pixels)

    def _pose(self, _: list[float]) -> Any:
        pose = PoseStamped()
        pose.header.frame_id = "fr3_link0"
        return pose


def main() -> None:
    """Publish for the given time, paced by the monotonic clock."""
    rclpy.init()
    robot = FakeRobot()
    print("publishing", flush=True)  # noqa: T201
    begin = time.monotonic()
    ticks = round(float(sys.argv[1]) / TICK_S)
    for index in range(ticks):
        time.sleep(max(0.0, begin + index * TICK_S - time.monotonic()))
        robot.tick()
    robot.destroy_node()
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()

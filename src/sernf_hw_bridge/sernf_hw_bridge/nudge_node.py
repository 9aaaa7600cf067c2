"""`nudge`: move one joint a little, there and back, through the armed bridge, and say what was measured.

For checking signs and zeros of a real hand (docs/real_robot.md): `ros2 run sernf_hw_bridge nudge_node right_index_mcp 0.1`. It
commands as source teleop, so that the safety filter applies, and releases at the end. Exit status 0 if the joint followed to half
of the way.
"""

from __future__ import annotations

import argparse
import math
import sys
import time

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState

from sernf_hw_bridge.trajectories import Array
from sernf_msgs.msg import BridgeState, JointCommand
from sernf_robot.joints import JOINTS, indices_of

RATE_HZ = 50.0
MOST_RAD = 0.3
WAIT_S = 10.0


class NudgeNode(Node):
    """Commands all joints where the bridge holds them, and one of them a little further."""

    def __init__(self, joint: str) -> None:
        super().__init__("nudge")
        self._index = JOINTS.index(joint)
        self._measured: Array | None = None
        self._bridge: BridgeState | None = None
        self.create_subscription(JointState, "joint_states", self._on_joints, QoSProfile(depth=50))
        self.create_subscription(BridgeState, "bridge_state", self._on_bridge, QoSProfile(depth=50))
        self._commands = self.create_publisher(JointCommand, "joint_command", QoSProfile(depth=10))

    def _on_joints(self, message: JointState) -> None:
        self._measured = np.array(message.position)[indices_of(message.name, JOINTS)]

    def _on_bridge(self, message: BridgeState) -> None:
        self._bridge = message

    def run(self, delta_rad: float, duration_s: float) -> bool:
        """Nudge by `delta_rad` and back; whether the joint followed to half of the way. RuntimeError when it cannot start."""
        bridge, start = self._wait_for_bridge()
        if bridge.mode not in (BridgeState.MODE_HOLD, BridgeState.MODE_TRACK):
            raise RuntimeError(
                f"expected an armed bridge, got one that is not ({bridge.reason}); call hw_bridge/clear_fault first"
            )
        pose = np.array(bridge.executed_position_rad)[indices_of(bridge.joint_names, JOINTS)]
        farthest_rad = 0.0
        begin_s = time.monotonic()
        while (now_s := time.monotonic() - begin_s) < duration_s:
            target = pose.copy()
            target[self._index] += delta_rad * 0.5 * (1.0 - math.cos(2.0 * math.pi * now_s / duration_s))
            self._publish(target)
            self._spin(1.0 / RATE_HZ)
            moved_rad = float((self._measured - start)[self._index]) if self._measured is not None else 0.0
            if abs(moved_rad) > abs(farthest_rad):
                farthest_rad = moved_rad
        self._publish(pose, release=True)
        self._spin(0.2)
        self.get_logger().info(
            f"{JOINTS[self._index]}: from {start[self._index]:+.3f} rad, "
            f"commanded {delta_rad:+.3f} rad, measured {farthest_rad:+.3f} rad"
        )
        return farthest_rad * delta_rad >= 0.5 * delta_rad**2

    def _wait_for_bridge(self) -> tuple[BridgeState, Array]:
        deadline_s = time.monotonic() + WAIT_S
        while time.monotonic() < deadline_s:
            if self._bridge is not None and self._measured is not None and self._commands.get_subscription_count():
                return self._bridge, self._measured
            self._spin(0.05)
        raise RuntimeError(f"expected bridge_state and joint_states within {WAIT_S} s, got none; does hw_bridge run?")

    def _publish(self, position_rad: Array, *, release: bool = False) -> None:
        message = JointCommand(source=JointCommand.SOURCE_TELEOP, release=release)
        message.header.stamp = self.get_clock().now().to_msg()
        message.joint_names, message.position_rad = list(JOINTS), position_rad.tolist()
        self._commands.publish(message)

    def _spin(self, duration_s: float) -> None:
        end_s = time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0.0:
            rclpy.spin_once(self, timeout_sec=left_s)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="nudge", description="Move one joint a little, there and back, through the armed bridge."
    )
    parser.add_argument("joint", choices=JOINTS, metavar="JOINT", help=", ".join(JOINTS))
    parser.add_argument("delta_rad", type=float, metavar="DELTA", help=f"how far, rad; at most {MOST_RAD} either way")
    parser.add_argument("--duration", type=float, default=4.0, metavar="S", help="there and back, s (default 4)")
    arguments = parser.parse_args(rclpy.utilities.remove_ros_args(sys.argv)[1:])
    if not 0.0 < abs(arguments.delta_rad) <= MOST_RAD:
        parser.error(f"DELTA: expected a number of at most {MOST_RAD} either way and not zero, got {arguments.delta_rad}")
    if not 1.0 <= arguments.duration <= 60.0:
        parser.error(f"--duration: expected 1 to 60 s, got {arguments.duration}")
    rclpy.init(args=sys.argv)
    node = NudgeNode(arguments.joint)
    try:
        followed = node.run(arguments.delta_rad, arguments.duration)
    except RuntimeError as error:
        node.get_logger().fatal(str(error))
        followed = False
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    sys.exit(0 if followed else 1)


if __name__ == "__main__":
    main()

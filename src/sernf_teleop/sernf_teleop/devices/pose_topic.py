"""An external hand pose (VR controller, tracked glove, motion capture) moves the robot's hand, through a clutch.

Contract: `geometry_msgs/PoseStamped` and `std_msgs/Bool` (clutch) at 20 Hz or more, always, also while nothing moves; optionally
`sensor_msgs/JointState` with hand joints (rad) or synergies (0..1) by name. Closing the clutch takes over and ties the two poses
together, so the motion is relative and nothing jumps; opening it hands back. What is not fresh, not finite or jumps is a fault.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sernf_robot.joints import HAND_JOINTS
from sernf_robot.kinematics import quaternion_to_matrix
from sernf_teleop.operator_device import HandPose, Input, OperatorIntent, QuietDevice, RobotView

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PoseTopicConfig:
    """`alignment_xyzw`: rotation from the tracker's axes to those of `fr3_link0`."""

    pose_topic: str = "operator/hand_pose"
    clutch_topic: str = "operator/clutch"
    fingers_topic: str = "operator/fingers"
    alignment_xyzw: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)
    position_scale: float = 1.0
    stale_after_s: float = 0.3
    max_jump_m: float = 0.1
    """between two messages while the clutch is closed; more means that the tracker has lost the hand"""

    def __post_init__(self) -> None:
        if abs(math.hypot(*self.alignment_xyzw) - 1.0) > 1e-3:
            raise ValueError(f"alignment_xyzw: expected a unit quaternion (x, y, z, w), got {self.alignment_xyzw}")
        if not 0.0 < self.stale_after_s <= 2.0:
            raise ValueError(f"stale_after_s: expected more than 0 and at most 2 s, got {self.stale_after_s}")
        for name in ("position_scale", "max_jump_m"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name}: expected a positive number, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class _Tie:
    """What the operator's hand and the robot's were when the clutch closed."""

    engagement: int
    operator: HandPose
    robot: HandPose


class PoseTopic(QuietDevice):
    """Relative motion of the operator's hand."""

    def __init__(self, config: PoseTopicConfig, synergies: Collection[str]) -> None:
        """`synergies`: names that the fingers topic may carry besides joints."""
        self._config = config
        self._synergies = frozenset(synergies)
        x, y, z, w = config.alignment_xyzw
        self._alignment = quaternion_to_matrix([w, x, y, z])
        self._pose: HandPose | None = None
        self._clutch = False
        self._fingers: dict[str, float] = {}
        self._arrived_s: dict[str, float] = {}
        self._broken: dict[str, str] = {}
        self._tie: _Tie | None = None
        self._jump = ""

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Pose, clutch and fingers."""
        config = self._config
        return (
            Input(topic=config.pose_topic, type="geometry_msgs/msg/PoseStamped", callback=self.receive_pose),
            Input(topic=config.clutch_topic, type="std_msgs/msg/Bool", callback=self.receive_clutch),
            Input(topic=config.fingers_topic, type="sensor_msgs/msg/JointState", callback=self.receive_fingers),
        )

    def receive_pose(self, message: Any, now_s: float) -> None:
        """Take a geometry_msgs/PoseStamped, in any fixed frame."""
        position, orientation = message.pose.position, message.pose.orientation
        quaternion = [orientation.w, orientation.x, orientation.y, orientation.z]
        position_m = np.array([position.x, position.y, position.z])
        norm = math.hypot(*quaternion)
        if not (np.isfinite(position_m).all() and abs(norm - 1.0) < 0.01):
            self._broken["pose"] = f"{self._config.pose_topic}: expected a finite position and a unit quaternion"
            return
        self._broken.pop("pose", None)
        position_m = self._alignment @ position_m
        if self._tie is not None and self._pose is not None:
            jump_m = float(np.linalg.norm(position_m - self._pose.position_m))
            if jump_m > self._config.max_jump_m:
                self._jump = f"the operator's hand jumped by {jump_m:.2f} m: open the clutch, then take over again"
        rotation = self._alignment @ quaternion_to_matrix(np.array(quaternion) / norm) @ self._alignment.T
        self._pose = HandPose(position_m=position_m, rotation=rotation)
        self._arrived_s[self._config.pose_topic] = now_s

    def receive_clutch(self, message: Any, now_s: float) -> None:
        """Take a std_msgs/Bool: true while the clutch is closed."""
        self._clutch = bool(message.data)
        if not self._clutch:
            self._jump = ""
        self._arrived_s[self._config.clutch_topic] = now_s

    def receive_fingers(self, message: Any, now_s: float) -> None:
        """Take a sensor_msgs/JointState of hand joints (rad) or synergies (0..1)."""
        values = dict(zip(message.name, message.position, strict=False))
        unknown = [name for name in values if name not in HAND_JOINTS and name not in self._synergies]
        if unknown or len(message.name) != len(message.position) or not all(map(math.isfinite, values.values())):
            self._broken["fingers"] = (
                f"{self._config.fingers_topic}: expected finite positions of hand joints or synergies"
                f"{', got ' + ', '.join(unknown[:3]) if unknown else ''}"
            )
            return
        self._broken.pop("fingers", None)
        self._fingers = values
        self._arrived_s[self._config.fingers_topic] = now_s

    def close(self) -> None:
        """Forget everything that was received."""
        self._arrived_s.clear()
        self._broken.clear()
        self._tie = None
        self._jump = ""
        self._clutch = False
        self._fingers = {}

    def poll(self, now_s: float, robot: RobotView) -> OperatorIntent:
        """Hand pose and fingers while the clutch is closed."""
        fault = self._fault(now_s)
        if fault:
            self._tie = None
            return OperatorIntent(fault=fault)
        if not self._clutch:
            self._tie = None
            return OperatorIntent()
        if robot.engagement == 0 or robot.hand is None or self._pose is None:
            return OperatorIntent(takeover=True)
        if self._tie is None or self._tie.engagement != robot.engagement:
            self._tie = _Tie(engagement=robot.engagement, operator=self._pose, robot=robot.hand)
        return OperatorIntent(
            takeover=True,
            hand_pose=self._wanted(self._tie, self._pose),
            finger_target_rad={name: value for name, value in self._fingers.items() if name not in self._synergies},
            synergy_value={name: value for name, value in self._fingers.items() if name in self._synergies},
        )

    def _wanted(self, tie: _Tie, operator: HandPose) -> HandPose:
        way_m = operator.position_m - tie.operator.position_m
        turn = operator.rotation @ tie.operator.rotation.T
        return HandPose(position_m=tie.robot.position_m + self._config.position_scale * way_m, rotation=turn @ tie.robot.rotation)

    def _fault(self, now_s: float) -> str:
        if self._broken:
            return "; ".join(self._broken.values())
        for topic in (self._config.pose_topic, self._config.clutch_topic):
            if topic not in self._arrived_s:
                return f"no message on {topic} yet: is the tracker running?"
        for topic, arrived_s in self._arrived_s.items():
            if now_s - arrived_s > self._config.stale_after_s:
                return f"{topic} silent for {now_s - arrived_s:.1f} s (limit {self._config.stale_after_s} s): is it sent?"
        return self._jump

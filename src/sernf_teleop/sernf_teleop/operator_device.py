"""What every operator device offers, and what it may know about the robot.

A device turns what a person does into an `OperatorIntent`, once per control period. It never talks to the robot, and never waits.
A device that cannot know what the person wants (unplugged, stale, broken) sets `fault` or raises: teleop then stops commanding
without a release, the bridge's watchdog holds, and nobody else gets the robot by accident.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class DeviceError(RuntimeError):
    """The device cannot be used; the message says why and what to do."""


class Button(Enum):
    """What an operator can ask for besides motion. Each occurrence is one press."""

    START_EPISODE = "start_episode"
    SUCCESS = "end_success"
    FAILURE = "end_failure"
    DISCARD = "end_discard"
    STOP = "stop"
    HOME = "home"
    ARM = "arm"
    SELECT_TELEOP = "select_teleop"
    SELECT_POLICY = "select_policy"
    NEW_SCENE = "new_scene"
    STAY_ENGAGED = "stay_engaged"
    QUIT = "quit"


@dataclass(frozen=True, kw_only=True)
class HandPose:
    """Pose of the hand frame in the robot's base frame `fr3_link0`."""

    position_m: Array
    """(3,)"""
    rotation: Array
    """(3, 3)"""


@dataclass(frozen=True, kw_only=True)
class RobotView:
    """What a device may know when it is polled. Joint vectors follow sernf_robot.joints.JOINTS."""

    joint_position_rad: Array
    """(24,) measured; NaN while unknown"""
    target_position_rad: Array
    """(24,) what teleop commands, or what the bridge executes while teleop is not engaged; NaN while unknown"""
    hand: HandPose | None
    """of the target; None while unknown"""
    engagement: int
    """0 while teleop does not command, otherwise the number of this engagement: relative devices start afresh when it changes"""
    obstacle: str = ""
    """why nothing can be commanded at present"""


@dataclass(frozen=True, kw_only=True)
class OperatorIntent:
    """What the operator wants in this control period. At most one of the three kinds of arm motion is given.

    Arm: `twist` (6,) linear m/s then angular rad/s in frame `twist_frame`, or `hand_pose` absolute, or `joint_target_rad` (24,).
    Hand: `synergy_rate` in full strokes per second, positive towards the closed end; `synergy_value` 0..1 to go to;
    `finger_target_rad` by joint name.
    """

    takeover: bool = False
    twist: Array | None = None
    twist_frame: Literal["hand", "base"] = "base"
    hand_pose: HandPose | None = None
    joint_target_rad: Array | None = None
    synergy_rate: Mapping[str, float] = field(default_factory=dict)
    synergy_value: Mapping[str, float] = field(default_factory=dict)
    finger_target_rad: Mapping[str, float] = field(default_factory=dict)
    buttons: tuple[Button, ...] = ()
    fault: str = ""
    """not empty: the device does not know what the operator wants, and why; buttons still count"""


@dataclass(frozen=True, kw_only=True)
class Status:
    """What an operator needs to see."""

    phase: str
    """of the takeover: idle, engaged, suspended"""
    stay_engaged: bool
    mode: str
    """of the bridge, lower case; 'unknown' without a fresh bridge_state"""
    selected_source: str
    active_source: str
    trouble: str
    """fault of robot or device, or why nothing can be commanded; empty when all is well"""
    motion: str
    """what stands in the way of the motion asked for"""
    results: tuple[str, ...]
    """answers to the last requests, oldest first"""


@dataclass(frozen=True, kw_only=True)
class Input:
    """A topic that the device listens to; teleop_node hands each message over with its (monotonic) arrival time."""

    topic: str
    type: str
    """as in ROS: 'package/msg/Name'"""
    callback: Callable[[Any, float], None]


class OperatorDevice(Protocol):
    """One operator device. `open` and `close` come in pairs; `poll` is called in between, at control rate, and never blocks."""

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Topics that the device listens to."""
        ...

    def open(self) -> None:
        """Take hold of the device; raises DeviceError."""
        ...

    def poll(self, now_s: float, robot: RobotView) -> OperatorIntent:
        """What the operator wants now; `now_s` is monotonic. Raises DeviceError when the device is lost."""
        ...

    def show(self, status: Status) -> None:
        """Show the state of things, if the device has a display; never blocks."""
        ...

    def close(self) -> None:
        """Let go of the device; safe to call twice, and after a failed `open`."""
        ...


class QuietDevice:
    """Base for devices that need no opening and have no display."""

    @property
    def inputs(self) -> tuple[Input, ...]:
        """No topics."""
        return ()

    def open(self) -> None:
        """Nothing to take hold of."""

    def show(self, status: Status) -> None:
        """No display."""

    def close(self) -> None:
        """Nothing to let go of."""

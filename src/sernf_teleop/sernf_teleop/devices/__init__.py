"""Operator devices: what a person (or a script in his place) holds in his hands. A new device is one module and one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sernf_teleop.devices.demonstrator import create_scripted_operator
from sernf_teleop.devices.gamepad import Gamepad
from sernf_teleop.devices.keyboard import Keyboard
from sernf_teleop.devices.nobody import Nobody
from sernf_teleop.devices.pose_topic import PoseTopic
from sernf_teleop.operator_device import OperatorDevice

if TYPE_CHECKING:
    from sernf_robot.kinematics import Kinematics
    from sernf_teleop.config import TeleopConfig

DEVICES: dict[str, Callable[[TeleopConfig, Kinematics], OperatorDevice]] = {
    "keyboard": lambda config, _: Keyboard(config.keyboard),
    "gamepad": lambda config, _: Gamepad(config.gamepad),
    "pose_topic": lambda config, _: PoseTopic(config.pose_topic, config.synergies),
    "demonstrator": lambda config, kinematics: create_scripted_operator(
        config.demonstrator, config.task, kinematics, config.period_s
    ),
    "none": lambda _config, _kinematics: Nobody(),
}
"""Name in the configuration -> constructor; may raise DeviceError."""

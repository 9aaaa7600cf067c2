"""Robot, limits and a scripted device for the tests of teleoperation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from sernf_robot.config import load_config
from sernf_robot.joints import JOINTS
from sernf_robot.kinematics import Kinematics
from sernf_robot.limits import load_limits
from sernf_teleop.config import TeleopConfig
from sernf_teleop.jog import JogConfig, Jogger
from sernf_teleop.operator_device import HandPose, OperatorDevice, OperatorIntent, QuietDevice, RobotView
from sernf_teleop.session import BridgeView, SessionConfig, TeleopSession
from sernf_teleop.synergies import HandSynergies

CONFIG_FOLDER = Path(__file__).parents[3] / "config"
CONFIG_FILE = CONFIG_FOLDER / "teleop.yaml"
CONFIG = load_config(TeleopConfig, CONFIG_FILE)
LIMITS = load_limits(CONFIG_FOLDER / "limits.yaml", JOINTS)
LOWER, UPPER = LIMITS.position_min_rad, LIMITS.position_max_rad
KINEMATICS = Kinematics()
PERIOD_S = 0.05

HOME = np.zeros(24)
HOME[:7] = 0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785


def synergies() -> HandSynergies:
    """Those of the shipped configuration."""
    return HandSynergies(CONFIG.hand_poses, CONFIG.synergies, LOWER, UPPER)


def jogger(config: JogConfig | None = None) -> Jogger:
    """On the real robot's kinematics."""
    return Jogger(KINEMATICS, LOWER, UPPER, config or JogConfig())


def bridge(
    now_s: float, mode: str = "hold", executed: np.ndarray = HOME, selected: str = "none", active: str = "none"
) -> BridgeView:
    """What a healthy bridge says."""
    return BridgeView(
        arrived_s=now_s,
        mode=mode,
        fault="",
        reason="",
        selected_source=selected,
        active_source=active,
        executed_position_rad=executed,
    )


def view(engagement: int = 0, position: np.ndarray = HOME, obstacle: str = "") -> RobotView:
    """The robot at `position`."""
    hand = HandPose(position_m=KINEMATICS.hand_pose(position)[0], rotation=KINEMATICS.hand_pose(position)[1])
    return RobotView(
        joint_position_rad=position, target_position_rad=position, hand=hand, engagement=engagement, obstacle=obstacle
    )


class ScriptedDevice(QuietDevice):
    """Wants whatever `intent` says."""

    def __init__(self) -> None:
        self.intent: Callable[[RobotView], OperatorIntent] = lambda _: OperatorIntent()
        self.opened = 0

    def open(self) -> None:
        self.opened += 1

    def poll(self, now_s: float, robot: RobotView) -> OperatorIntent:
        return self.intent(robot)


def session(device: OperatorDevice, source: str = "teleop") -> TeleopSession:
    """A session on the real robot's kinematics."""
    return TeleopSession(
        device, KINEMATICS, jogger(), synergies(), (LOWER, UPPER), SessionConfig(source=source, period_s=PERIOD_S), 0.3
    )

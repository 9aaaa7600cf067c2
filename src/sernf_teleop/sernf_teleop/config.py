"""Configuration of `teleop_node`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sernf_teleop.devices.demonstrator import DemonstratorConfig
from sernf_teleop.devices.gamepad import GamepadConfig
from sernf_teleop.devices.keyboard import KeyboardConfig
from sernf_teleop.devices.pose_topic import PoseTopicConfig
from sernf_teleop.jog import JogConfig
from sernf_teleop.motions import check_synergies
from sernf_teleop.synergies import SynergyConfig


@dataclass(frozen=True, kw_only=True)
class TeleopConfig:
    """`limits_file`: position limits of the joints; a path that is not absolute counts from the folder of the configuration file.

    `hand_poses`: name -> joint -> rad. `task`, `operator_name`: what episodes started from the device are filed under.
    """

    limits_file: Path
    hand_poses: dict[str, dict[str, float]]
    synergies: dict[str, SynergyConfig]
    device: Literal["keyboard", "gamepad", "pose_topic", "demonstrator", "none"] = "none"
    rate_hz: float = 20.0
    task: str = "duck"
    operator_name: str = "operator"
    bridge_stale_s: float = 0.5
    service_timeout_s: float = 5.0
    end_episode_timeout_s: float = 30.0
    """an episode is durable on disk before `recorder/end_episode` answers"""
    jog: JogConfig = field(default_factory=JogConfig)
    keyboard: KeyboardConfig = field(default_factory=KeyboardConfig)
    gamepad: GamepadConfig = field(default_factory=GamepadConfig)
    pose_topic: PoseTopicConfig = field(default_factory=PoseTopicConfig)
    demonstrator: DemonstratorConfig = field(default_factory=DemonstratorConfig)

    def __post_init__(self) -> None:
        if not 10.0 <= self.rate_hz <= 100.0:
            raise ValueError(f"rate_hz: expected 10 to 100, got {self.rate_hz}")
        for name in ("bridge_stale_s", "service_timeout_s", "end_episode_timeout_s"):
            if not 0.0 < getattr(self, name) <= 120.0:
                raise ValueError(f"{name}: expected more than 0 and at most 120 s, got {getattr(self, name)}")
        check_synergies("keyboard.keys", self.keyboard.keys, self.synergies)
        check_synergies("gamepad", self.gamepad.actions, self.synergies)

    @property
    def period_s(self) -> float:
        """Control period."""
        return 1.0 / self.rate_hz

    @property
    def source(self) -> str:
        """Name under which joint commands are sent."""
        return "demonstrator" if self.device == "demonstrator" else "teleop"

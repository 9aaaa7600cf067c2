"""No operator device: teleop runs and never asks for the robot."""

from __future__ import annotations

from sernf_teleop.operator_device import OperatorIntent, QuietDevice, RobotView


class Nobody(QuietDevice):
    """Wants nothing."""

    def poll(self, now_s: float, robot: RobotView) -> OperatorIntent:
        """Nothing is wanted."""
        return OperatorIntent()

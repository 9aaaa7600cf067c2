"""Configuration of `hw_bridge_node`: one file, checked as a whole before anything is connected."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sernf_hw_bridge.backends.mock import MockConfig, MockFault
from sernf_hw_bridge.control_config import ControlConfig


@dataclass(frozen=True, kw_only=True)
class BridgeConfig:
    """Paths that are not absolute count from the folder of the configuration file.

    `arm`, `hand`: backend names. `task`, `physics`, `seed`: the simulated world, for backend sim. `arm_fault`, `hand_fault`:
    fault injected into a mock (also while running, as ROS parameters). `timing_file`: where per-tick timings go at the end;
    empty for nowhere. `priority`: of SCHED_FIFO; 0 does not ask for real-time scheduling.
    """

    control: ControlConfig
    limits_file: Path
    workspace_file: Path
    franka_file: Path | None = None
    orca_file: Path | None = None
    arm: str = "sim"
    hand: str = "sim"
    task: str = "duck"
    physics: str = "nominal"
    seed: int = 0
    mock: MockConfig = field(default_factory=MockConfig)
    arm_fault: str = "none"
    hand_fault: str = "none"
    joint_states_rate_hz: float = 125.0
    bridge_state_rate_hz: float = 50.0
    objects_rate_hz: float = 50.0
    sim_state_rate_hz: float = 30.0
    task_state_rate_hz: float = 10.0
    priority: int = 50
    timing_file: str = ""
    timing_ticks: int = 250_000

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name.endswith("_rate_hz") and not 0.0 < value <= self.control.rate_hz:
                raise ValueError(f"{name}: expected more than 0, at most control.rate_hz {self.control.rate_hz}, got {value}")
        for name in ("arm_fault", "hand_fault"):
            parse_fault(getattr(self, name))
        if not 0 <= self.priority <= 98:
            raise ValueError(f"priority: expected 0 to 98, got {self.priority}")
        if self.seed < 0:
            raise ValueError(f"seed: expected 0 or more, got {self.seed}")
        if self.timing_ticks < 1:
            raise ValueError(f"timing_ticks: expected 1 or more, got {self.timing_ticks}")

    def every(self, rate_hz: float) -> int:
        """Number of control ticks between two publications at about `rate_hz`."""
        return max(1, round(self.control.rate_hz / rate_hz))


def parse_fault(name: str) -> MockFault:
    """The mock's fault of that name; raises ValueError."""
    try:
        return MockFault(name)
    except ValueError:
        raise ValueError(f"expected a fault of {', '.join(fault.value for fault in MockFault)}, got {name!r}") from None

"""Configuration of `policy_node`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sernf_policy.camera_watch import CameraConfig
from sernf_policy.observation_sync import StalenessConfig
from sernf_policy.policy_session import SessionConfig
from sernf_policy.weights_loader import LoaderConfig


@dataclass(frozen=True, kw_only=True)
class PolicyNodeConfig:
    """`limits_file`: a path that is not absolute counts from the folder of the configuration file.

    `weights`: path, shipped name (imitation, offline, online), or empty for the last one that is shipped for `task`. `mode`:
    taken up as soon as the weights run. `auto_load`: weights that the learner announces are loaded and swapped in.
    `swap_timeout_s`: how long checked weights may wait for a chunk boundary. `seed`: of the sampling. `priority`: of SCHED_FIFO,
    below the bridge's; 0 does not ask for real-time scheduling. `timing_file`: where per-tick timings go at the end; empty: none.
    """

    limits_file: Path
    task: str = "duck"
    rate_hz: float = 20.0
    weights: str = ""
    mode: Literal["hold", "policy", "explore", "shadow"] = "hold"
    auto_load: bool = True
    swap_timeout_s: float = 5.0
    seed: int = 0
    priority: int = 40
    staleness: StalenessConfig = field(default_factory=StalenessConfig)
    cameras: CameraConfig = field(default_factory=CameraConfig)
    session: SessionConfig = field(default_factory=SessionConfig)
    loader: LoaderConfig = field(default_factory=LoaderConfig)
    timing_file: str = ""
    timing_ticks: int = 100_000

    def __post_init__(self) -> None:
        if not 10.0 <= self.rate_hz <= 100.0:
            raise ValueError(f"rate_hz: expected 10 to 100, got {self.rate_hz}")
        if self.swap_timeout_s <= 0.0:
            raise ValueError(f"swap_timeout_s: expected a positive number of seconds, got {self.swap_timeout_s}")
        if self.seed < 0:
            raise ValueError(f"seed: expected 0 or more, got {self.seed}")
        if not 0 <= self.priority <= 98:
            raise ValueError(f"priority: expected 0 to 98, got {self.priority}")
        if self.timing_ticks < 1:
            raise ValueError(f"timing_ticks: expected 1 or more, got {self.timing_ticks}")

    @property
    def period_s(self) -> float:
        """Control period."""
        return 1.0 / self.rate_hz

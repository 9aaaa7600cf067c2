"""A graph in which a policy drives the simulated robot, for benches: brought up, driven, and its ticks evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_srvs.srv import Trigger

from sernf.bench.random_policies import TASK
from sernf.graph import Graph
from sernf.service_calls import CallError, ServiceCalls
from sernf_msgs.msg import BridgeState, JointCommand, PolicyVersion
from sernf_msgs.srv import LoadWeights, SetPolicyMode, SetSource

START_TIMEOUT_S = 120.0
NEWEST = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

Window = tuple[float, float]
"""Begin and end, monotonic s."""


def launch_arguments(folder: Path, weights: Path, rate_hz: float, **more: object) -> Mapping[str, object]:
    """Bringup with the policy and nothing else, but for what is asked for."""
    nothing = dict.fromkeys(("demonstrate", "rollouts", "learner", "teleop", "recorder", "cameras"), False)
    return {
        "robot": "sim", "task": TASK, "operator": "none", "headless": True, **nothing, "policy": True, "weights": weights,
        "control_rate_hz": rate_hz, "policy_timing_file": folder / "policy.npy", "episodes": folder / "episodes", **more,
    }  # fmt: skip


class RunningPolicy:
    """Drives the robot by services, from the thread that does not spin `node`."""

    def __init__(self, node: Node, graph: Graph) -> None:
        self.calls = ServiceCalls(node, graph.check)
        self.version: PolicyVersion | None = None
        self.bridge: BridgeState | None = None
        node.create_subscription(PolicyVersion, "policy_version", self._on_version, NEWEST)
        node.create_subscription(BridgeState, "bridge_state", self._on_bridge_state, QoSProfile(depth=50))

    def drive(self) -> None:
        """Arm, select the policy, and wait until it moves the robot. Raises RuntimeError when it does not come to that."""
        self.calls.call(Trigger, "hw_bridge/clear_fault", timeout_s=START_TIMEOUT_S)
        self.calls.call(SetSource, "hw_bridge/set_source", SetSource.Request(source=JointCommand.SOURCE_POLICY))
        if not self.calls.wait_until(lambda: self.version is not None, START_TIMEOUT_S):
            raise RuntimeError(f"the policy runs no weights within {START_TIMEOUT_S:g} s; see its log")
        self.calls.call(SetPolicyMode, "policy/set_mode", SetPolicyMode.Request(mode="policy"))
        if not self.calls.wait_until(lambda: self.is_driving, 10.0):
            raise RuntimeError("the bridge does not follow the policy within 10 s; see their logs")

    @property
    def is_driving(self) -> bool:
        """Whether the bridge follows the policy."""
        return self.bridge is not None and self.bridge.active_source == JointCommand.SOURCE_POLICY

    @property
    def running_sha256(self) -> str:
        """Of the weights that run; empty before any do."""
        return "" if self.version is None else str(self.version.sha256)

    def load(self, file: Path, sha256: str = "") -> str:
        """The reason of the policy when it refuses; empty when the weights run."""
        try:
            request = LoadWeights.Request(file=str(file), sha256=sha256)
            self.calls.call(LoadWeights, "policy/load_weights", request, timeout_s=START_TIMEOUT_S)
        except CallError as error:
            if "refused" not in str(error):
                raise
            return str(error)
        return ""

    def _on_version(self, message: PolicyVersion) -> None:
        self.version = message

    def _on_bridge_state(self, message: BridgeState) -> None:
        self.bridge = message


def read_ticks(folder: Path) -> NDArray[np.void]:
    """What the policy noted about its ticks; see `sernf_policy.policy_node`. Raises RuntimeError."""
    file = folder / "policy.npy"
    if not file.is_file():
        raise RuntimeError(f"the policy left no timing file at {file}; it did not end properly")
    rows: NDArray[np.void] = np.load(file)
    return rows


def inside(ticks: NDArray[np.void], windows: list[Window]) -> list[NDArray[np.void]]:
    """The ticks of each window."""
    due_s = ticks["due_ns"] * 1e-9
    return [ticks[(due_s >= begin) & (due_s <= end)] for begin, end in windows]


def tick_errors_ms(ticks: NDArray[np.void], period_s: float) -> NDArray[np.float64]:
    """How far from its time each tick was decided; one that was skipped counts as late as the tick that came instead."""
    due_s, start_s = ticks["due_ns"] * 1e-9, ticks["start_ns"] * 1e-9
    errors = list(start_s - due_s)
    for index in np.flatnonzero(np.diff(due_s) > 1.5 * period_s):
        skipped_s = np.arange(due_s[index] + period_s, due_s[index + 1] - 0.5 * period_s, period_s)
        errors.extend(start_s[index + 1] - skipped_s)
    return np.abs(errors) * 1e3


def missed_ticks(ticks: NDArray[np.void], period_s: float) -> int:
    """Ticks that were more than half a period late, were skipped or had no command."""
    late = int((tick_errors_ms(ticks, period_s) > 0.5e3 * period_s).sum())
    return late + int((~ticks["commanded"]).sum())

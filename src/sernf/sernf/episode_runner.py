"""Runs episodes over ROS: new scene, arm, choose the source, record, let the source work, label by the judge.

`EpisodeRunner` is used from a worker thread while another thread spins its node. A bridge fault, a silent judge or a source that
does not finish ends the episode as a failure with its cause; a missing node raises `CallError`. However an episode ends, the
source is taken away and the recording is closed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_srvs.srv import Trigger

from sernf.service_calls import CallError, Interrupted, ServiceCalls
from sernf_msgs.msg import BridgeState, JointCommand, TaskState
from sernf_msgs.srv import EndEpisode, ResetScene, SetSource, StartEpisode

LATCHED_MODES = (BridgeState.MODE_UNARMED, BridgeState.MODE_FAULT, BridgeState.MODE_STOPPED)
MOVING_RAD_S = 0.02


@dataclass(frozen=True, kw_only=True)
class EpisodeRunnerConfig:
    """`record`: as bags. `seed`: of the first scene; the next episodes count up. `episodes`: 0 runs until told to stop."""

    task: str = "duck"
    record: bool = False
    operator_name: str = "demonstrator"
    seed: int = 1
    episodes: int = 0
    pause_s: float = 1.0
    longest_episode_s: float = 40.0
    settle_s: float = 2.0
    """how long after the source has released the judge may take"""
    service_timeout_s: float = 15.0
    startup_timeout_s: float = 60.0

    def __post_init__(self) -> None:
        if self.seed < 0 or self.episodes < 0:
            raise ValueError(f"seed and episodes: expected 0 or more, got {self.seed} and {self.episodes}")
        for name in ("longest_episode_s", "settle_s", "service_timeout_s", "startup_timeout_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: expected a positive number of seconds, got {getattr(self, name)}")
        if self.pause_s < 0:
            raise ValueError(f"pause_s: expected 0 or more, got {self.pause_s}")


@dataclass(frozen=True, kw_only=True)
class EpisodeOutcome:
    """How one episode ended.

    `label`: "success", "failure" or "discard" (did not take place). `cause`: of a failure. `seconds`: simulated, until the judge
    decided. The rest is empty or 0 when the episode was not recorded.
    """

    seed: int
    label: str
    cause: str
    seconds: float
    episode_id: str = ""
    path: str = ""
    messages: int = 0
    dropped: int = 0


class EpisodeRunner:
    """Demonstrations of the simulated robot, one after the other."""

    def __init__(self, node: Node, config: EpisodeRunnerConfig, check: Callable[[], None] = lambda: None) -> None:
        """`check` is called while waiting and raises when going on makes no sense, for instance because the graph has died."""
        self.calls = ServiceCalls(node, check)
        self._config = config
        self._bridge: BridgeState | None = None
        self._task: TaskState | None = None
        self._released = False
        self.first_motion_s: float | None = None
        """`time.time()` when the robot was first seen moving"""
        reliable = QoSProfile(depth=50)
        node.create_subscription(BridgeState, "bridge_state", self._on_bridge_state, reliable)
        node.create_subscription(TaskState, "task_state", self._on_task_state, reliable)
        node.create_subscription(JointCommand, "joint_command", self._on_joint_command, reliable)

    def wait_for_graph(self) -> None:
        """Wait for the nodes that an episode needs; raises CallError that names what is missing."""
        timeout_s = self._config.startup_timeout_s
        needed: list[tuple[type, str]] = [
            (Trigger, "hw_bridge/clear_fault"),
            (SetSource, "hw_bridge/set_source"),
            (ResetScene, "sim/reset"),
            (Trigger, "teleop/demonstrate"),
        ]
        if self._config.record:
            needed.append((StartEpisode, "recorder/start_episode"))
        for service_type, name in needed:
            self.calls.wait_for_service(service_type, name, timeout_s)
        if not self.calls.wait_until(lambda: self._bridge is not None, timeout_s):
            raise CallError(f"no message on bridge_state within {timeout_s:g} s; look at the log of hw_bridge")

    def run(self, seed: int) -> EpisodeOutcome:
        """One demonstration of the scene `seed`. Raises CallError when it could not begin."""
        self._prepare(seed)
        self._start_recording(seed)
        try:
            label, cause, seconds = self._demonstrate(seed)
        except BaseException:
            self._give_back()
            with contextlib.suppress(CallError, Interrupted):
                self._end_recording("discard", "interrupted")
            raise
        self._give_back()
        recorded = self._end_recording(label, cause)
        if recorded is None:
            return EpisodeOutcome(seed=seed, label=label, cause=cause, seconds=seconds)
        return EpisodeOutcome(
            seed=seed, label=label, cause=cause, seconds=seconds,
            episode_id=recorded.episode_id, path=recorded.path, messages=recorded.messages, dropped=recorded.dropped,
        )  # fmt: skip

    def _demonstrate(self, seed: int) -> tuple[str, str, float]:
        """Label, cause of a failure, seconds."""
        try:
            self._call(Trigger, "teleop/demonstrate")
        except CallError as error:
            return "discard", str(error), 0.0
        success, cause, seconds = self._wait_for_the_end(seed)
        return "success" if success else "failure", cause, seconds

    def _end_recording(self, label: str, note: str) -> EndEpisode.Response | None:
        if not self._config.record:
            return None
        request = EndEpisode.Request(label=label, labelled_by="judge", note=note)
        return self._call(EndEpisode, "recorder/end_episode", request)

    def _call(self, service_type: type[Any], name: str, request: Any = None) -> Any:
        return self.calls.call(service_type, name, request, timeout_s=self._config.service_timeout_s)

    def _prepare(self, seed: int) -> None:
        self._call(SetSource, "hw_bridge/set_source", SetSource.Request(source="none"))
        self._call(ResetScene, "sim/reset", ResetScene.Request(seed=seed))
        if not self.calls.wait_until(lambda: self._task is not None and self._task.seed == seed, self._config.service_timeout_s):
            raise CallError(f"task_state does not speak of scene {seed} after sim/reset; is the bridge's backend the simulation?")
        if self._bridge is None or self._bridge.mode in LATCHED_MODES:
            self._call(Trigger, "hw_bridge/clear_fault")
        self._released = False
        self._call(SetSource, "hw_bridge/set_source", SetSource.Request(source=JointCommand.SOURCE_DEMONSTRATOR))

    def _start_recording(self, seed: int) -> None:
        if not self._config.record:
            return
        request = StartEpisode.Request(
            task=self._config.task, operator_name=self._config.operator_name, source=JointCommand.SOURCE_DEMONSTRATOR, seed=seed
        )
        self._call(StartEpisode, "recorder/start_episode", request)

    def _wait_for_the_end(self, seed: int) -> tuple[bool, str, float]:
        """Success, cause of a failure, seconds."""

        def over() -> bool:
            return self._released or self._judged(seed) or self._faulted()

        if not self.calls.wait_until(over, self._config.longest_episode_s):
            return False, "timeout", self._config.longest_episode_s
        if self._released and not self._judged(seed):
            self.calls.wait_until(lambda: self._judged(seed) or self._faulted(), self._config.settle_s)
        task = self._task
        elapsed_s = 0.0 if task is None else task.elapsed_s
        if task is not None and self._judged(seed):
            return task.success, task.failure, elapsed_s
        if self._faulted() and self._bridge is not None:
            return False, f"bridge: {self._bridge.fault}", elapsed_s
        return False, "not_in_goal" if task is None else task.failure or f"stopped at stage {task.stage}", elapsed_s

    def _judged(self, seed: int) -> bool:
        return self._task is not None and self._task.seed == seed and self._task.done

    def _faulted(self) -> bool:
        return self._bridge is not None and self._bridge.mode in LATCHED_MODES

    def _give_back(self) -> None:
        """Nobody commands any more, whatever happened; failures here are not news."""
        for service_type, name, request in (
            (Trigger, "teleop/cancel", None),
            (SetSource, "hw_bridge/set_source", SetSource.Request(source="none")),
        ):
            with contextlib.suppress(CallError, Interrupted):
                self._call(service_type, name, request)

    def _on_bridge_state(self, message: BridgeState) -> None:
        self._bridge = message
        if self.first_motion_s is None and any(abs(speed) > MOVING_RAD_S for speed in message.executed_velocity_rad_s):
            self.first_motion_s = time.time()

    def _on_task_state(self, message: TaskState) -> None:
        self._task = message

    def _on_joint_command(self, message: JointCommand) -> None:
        if message.release and message.source == JointCommand.SOURCE_DEMONSTRATOR:
            self._released = True

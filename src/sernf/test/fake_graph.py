"""A graph in one node: answers the services that an episode needs and lets a test decide how the episode goes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_srvs.srv import Trigger

from sernf.episode_runner import NEWEST
from sernf_msgs.msg import BridgeState, JointCommand, PolicyVersion, TaskState
from sernf_msgs.srv import EndEpisode, LoadWeights, ResetScene, SetPolicyMode, SetSource, StartEpisode


class FakeGraph:
    """Serves on `node`; `calls` is what was asked for, `attempt` runs in a thread of its own when somebody is told to act.

    `simulated`: whether there is a simulation that resets and judges.
    """

    def __init__(self, node: Node, *, simulated: bool = True) -> None:
        self.node = node
        self.calls: list[str] = []
        self.refuse: set[str] = set()
        self.attempt: Callable[[FakeGraph], None] = lambda graph: None
        self.notes: list[str] = []
        self.labelled_by: list[str] = []
        self.seeds: list[int] = []
        """of recorded episodes"""
        self._simulated = simulated
        self.seed = 0
        self._bridge_state = node.create_publisher(BridgeState, "bridge_state", QoSProfile(depth=50))
        self._task_state = node.create_publisher(TaskState, "task_state", QoSProfile(depth=50))
        self._joint_command = node.create_publisher(JointCommand, "joint_command", QoSProfile(depth=10))
        self._version = node.create_publisher(PolicyVersion, "policy_version", NEWEST)
        self.mode = BridgeState.MODE_UNARMED
        self.fault = ""
        self.task = TaskState(task="duck")
        node.create_timer(0.02, self._publish)
        for service_type, name in (
            (Trigger, "hw_bridge/clear_fault"),
            (SetSource, "hw_bridge/set_source"),
            *([(ResetScene, "sim/reset")] if simulated else []),
            (StartEpisode, "recorder/start_episode"),
            (EndEpisode, "recorder/end_episode"),
            (Trigger, "teleop/demonstrate"),
            (Trigger, "teleop/cancel"),
            (SetPolicyMode, "policy/set_mode"),
            (LoadWeights, "policy/load_weights"),
        ):
            node.create_service(service_type, name, self._answer(name))

    def release(self, source: str = JointCommand.SOURCE_DEMONSTRATOR) -> None:
        """Whoever acts says that it has finished."""
        self._joint_command.publish(JointCommand(source=source, release=True))

    def run_weights(self, version: PolicyVersion) -> None:
        """The policy has taken up weights."""
        self._version.publish(version)

    def judge(self, *, success: bool, failure: str = "") -> None:
        """The judge decides."""
        self.task = TaskState(task="duck", seed=self.seed, success=success, done=True, failure=failure, elapsed_s=4.0)

    def _publish(self) -> None:
        self._bridge_state.publish(BridgeState(mode=self.mode, fault=self.fault))
        if self._simulated:
            self._task_state.publish(self.task)

    def _answer(self, name: str) -> Callable[[Any, Any], Any]:
        def callback(request: Any, response: Any) -> Any:
            told = (getattr(request, field, "") for field in ("source", "label", "mode", "file"))
            self.calls.append(":".join(filter(None, (name, *told))))
            response.success = name not in self.refuse
            response.message = "" if response.success else "refused on purpose"
            if response.success:
                self._act(name, request, response)
            return response

        return callback

    def _act(self, name: str, request: Any, response: Any) -> None:
        if name == "sim/reset":
            self.seed = request.seed
            self.task = TaskState(task="duck", seed=request.seed)
        elif name == "hw_bridge/clear_fault":
            self.mode, self.fault = BridgeState.MODE_HOLD, ""
        elif name == "teleop/demonstrate" or (name == "policy/set_mode" and request.mode in ("policy", "explore")):
            threading.Thread(target=self.attempt, args=(self,), daemon=True).start()
        elif name == "recorder/start_episode":
            self.seeds.append(request.seed)
        elif name == "recorder/end_episode":
            self.notes.append(request.note)
            self.labelled_by.append(request.labelled_by)
            response.episode_id, response.path, response.messages = "e1", "/episodes/e1", 1234

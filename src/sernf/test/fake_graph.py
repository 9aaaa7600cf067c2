"""A graph in one node: answers the services that an episode needs and lets a test decide how the episode goes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_srvs.srv import Trigger

from sernf_msgs.msg import BridgeState, JointCommand, TaskState
from sernf_msgs.srv import EndEpisode, ResetScene, SetSource, StartEpisode


class FakeGraph:
    """Serves on `node`; `calls` is what was asked for, `demonstration` runs in a thread of its own when one is started."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.calls: list[str] = []
        self.refuse: set[str] = set()
        self.demonstration: Callable[[FakeGraph], None] = lambda graph: None
        self.seed = 0
        self._bridge_state = node.create_publisher(BridgeState, "bridge_state", QoSProfile(depth=50))
        self._task_state = node.create_publisher(TaskState, "task_state", QoSProfile(depth=50))
        self._joint_command = node.create_publisher(JointCommand, "joint_command", QoSProfile(depth=10))
        self.mode = BridgeState.MODE_UNARMED
        self.fault = ""
        self.task = TaskState(task="duck")
        node.create_timer(0.02, self._publish)
        for service_type, name in (
            (Trigger, "hw_bridge/clear_fault"),
            (SetSource, "hw_bridge/set_source"),
            (ResetScene, "sim/reset"),
            (StartEpisode, "recorder/start_episode"),
            (EndEpisode, "recorder/end_episode"),
            (Trigger, "teleop/demonstrate"),
            (Trigger, "teleop/cancel"),
        ):
            node.create_service(service_type, name, self._answer(name))

    def release(self) -> None:
        """The demonstrator says that it has finished."""
        self._joint_command.publish(JointCommand(source=JointCommand.SOURCE_DEMONSTRATOR, release=True))

    def judge(self, *, success: bool, failure: str = "") -> None:
        """The judge decides."""
        self.task = TaskState(task="duck", seed=self.seed, success=success, done=True, failure=failure, elapsed_s=4.0)

    def _publish(self) -> None:
        self._bridge_state.publish(BridgeState(mode=self.mode, fault=self.fault))
        self._task_state.publish(self.task)

    def _answer(self, name: str) -> Callable[[Any, Any], Any]:
        def callback(request: Any, response: Any) -> Any:
            self.calls.append(":".join(filter(None, (name, getattr(request, "source", ""), getattr(request, "label", "")))))
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
        elif name == "teleop/demonstrate":
            threading.Thread(target=self.demonstration, args=(self,), daemon=True).start()
        elif name == "recorder/end_episode":
            response.episode_id, response.path, response.messages = "e1", "/episodes/e1", 1234

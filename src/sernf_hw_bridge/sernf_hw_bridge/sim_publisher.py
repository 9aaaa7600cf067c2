"""What only a simulated world can show: its full state, object poses, the judge's opinion; and `sim/reset`.

Each kind goes out at its own rate, at ticks of its own, so that no control tick carries more than one or two of them.
"""

from __future__ import annotations

import array
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from sernf_hw_bridge.backends.sim import SharedWorld
from sernf_hw_bridge.bridge_config import BridgeConfig
from sernf_hw_bridge.bridge_messages import ROBOT_FRAME, set_time
from sernf_hw_bridge.control_loop import ControlLoop
from sernf_msgs.msg import SimState, TaskState
from sernf_msgs.srv import ResetScene

RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
OBJECTS_PHASE, TASK_PHASE, SIM_STATE_PHASE = 1, 2, 3
"""Ticks by which the publications are shifted against `joint_states` and each other."""


class SimPublisher:
    """Publishes for `node` what `shared` shows."""

    def __init__(self, node: Node, shared: SharedWorld, config: BridgeConfig, loop: ControlLoop) -> None:
        self._shared = shared
        self._loop = loop
        self._objects_every = config.every(config.objects_rate_hz)
        self._sim_state_every = config.every(config.sim_state_rate_hz)
        self._task_every = config.every(config.task_state_rate_hz)
        task = shared.world.task
        self._sim_state = node.create_publisher(SimState, "sim/state", NEWEST)
        self._task_state = node.create_publisher(TaskState, "task_state", RELIABLE)
        self._objects = {name: node.create_publisher(PoseStamped, f"objects/{name}/pose", RELIABLE) for name in task.objects}
        service = node.create_service(ResetScene, "sim/reset", self._on_reset)
        self._logger = node.get_logger()
        self._sim_state_message = SimState(task=task.name)
        self._task_message = TaskState(task=task.name)
        self._pose_message = PoseStamped()
        for message in (self._sim_state_message, self._task_message, self._pose_message):
            message.header.frame_id = ROBOT_FRAME
        self._published_task = ("", False, False)
        publishers = [self._sim_state, self._task_state, *self._objects.values()]
        self._destroy: list[Callable[[], object]] = [partial(node.destroy_service, service)]
        self._destroy += [partial(node.destroy_publisher, publisher) for publisher in publishers]

    def destroy(self) -> None:
        """Leave the graph."""
        while self._destroy:
            self._destroy.pop()()

    def publish(self, tick: int, stamp_ns: int) -> None:
        """Publish what is due at this control tick."""
        if tick % self._objects_every == OBJECTS_PHASE % self._objects_every:
            self._publish_objects(stamp_ns)
        if tick % self._sim_state_every == SIM_STATE_PHASE % self._sim_state_every:
            self._publish_sim_state(stamp_ns)
        if tick % self._objects_every == TASK_PHASE % self._objects_every:
            self._publish_task(stamp_ns, due=tick % self._task_every < self._objects_every)

    def _publish_objects(self, stamp_ns: int) -> None:
        message = self._pose_message
        set_time(message.header.stamp, stamp_ns)
        point, rotation = message.pose.position, message.pose.orientation
        for name, (position_m, quaternion) in self._shared.world.object_poses().items():
            point.x, point.y, point.z = position_m.tolist()
            rotation.w, rotation.x, rotation.y, rotation.z = quaternion.tolist()
            self._objects[name].publish(message)

    def _publish_sim_state(self, stamp_ns: int) -> None:
        state = self._shared.world.full_state()
        message = self._sim_state_message
        set_time(message.header.stamp, stamp_ns)
        message.seed, message.time_s = state.seed, state.time_s
        message.qpos = array.array("d", np.ascontiguousarray(state.qpos).tobytes())
        message.mocap = array.array("d", np.ascontiguousarray(state.mocap).tobytes())
        self._sim_state.publish(message)

    def _publish_task(self, stamp_ns: int, *, due: bool) -> None:
        world = self._shared.world
        status = world.judge()
        seen = (status.stage, status.success, status.done)
        if not due and seen == self._published_task:
            return
        self._published_task = seen
        message = self._task_message
        set_time(message.header.stamp, stamp_ns)
        message.stage, message.success, message.done, message.failure = status.stage, status.success, status.done, status.failure
        message.elapsed_s, message.seed = status.elapsed_s, world.seed
        measures = world.task.measures()
        message.measure_names, message.measures = list(measures), array.array("d", measures.values())
        self._task_state.publish(message)

    def _on_reset(self, request: ResetScene.Request, response: ResetScene.Response) -> ResetScene.Response:
        self._shared.reset(request.seed)
        self._loop.reseed(time.monotonic())
        response.success, response.message = True, f"scene {request.seed}; the robot is at its start pose"
        self._logger.info(response.message)
        return response

"""The camera node over real topics: pictures with the state's stamp, silence without states, recovery after bad ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from sernf_msgs.msg import SimState
from sernf_sim.physics import Physics
from sernf_sim.sim_camera_node import LATEST, SimCameraNode
from sernf_sim.world import SimWorld

PATIENCE_S = 20.0


class Rig:
    """The node under test and a peer that plays the simulation and collects pictures."""

    def __init__(self) -> None:
        self.node = SimCameraNode()
        self.node.set_parameters([Parameter("rate_hz", value=50.0)])
        assert self.node.autostart()
        self.peer = Node("camera_test_peer")
        self.states = self.peer.create_publisher(SimState, "sim/state", LATEST)
        self.pictures: dict[str, list[Image]] = {"front": [], "wrist": []}
        for name, received in self.pictures.items():
            self.peer.create_subscription(Image, f"camera/{name}/image_raw", received.append, LATEST)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._executor.add_node(self.peer)
        self._world = SimWorld("duck", Physics(), 0)

    def send(self, **changes: object) -> None:
        """Publish the world's state with `changes`."""
        state = self._world.full_state()
        message = SimState(task=state.task, seed=state.seed, time_s=state.time_s, qpos=state.qpos, mocap=state.mocap)
        message.header.stamp.sec = 123
        for name, value in changes.items():
            setattr(message, name, value)
        self.states.publish(message)

    def run_until(self, condition: Callable[[], bool], seconds: float = PATIENCE_S) -> bool:
        end_s = time.monotonic() + seconds
        while not condition() and time.monotonic() < end_s:
            self._executor.spin_once(timeout_sec=0.02)
        return condition()

    def send_until(self, condition: Callable[[], bool], **changes: object) -> bool:
        """Publish again and again, as a simulation does, until `condition` holds."""

        def tried() -> bool:
            self.send(**changes)
            return condition()

        return self.run_until(tried)

    def close(self) -> None:
        self._executor.shutdown(timeout_sec=5.0)
        self.node.stop()
        self.node.teardown()
        self.node.destroy_node()
        self.peer.destroy_node()


@pytest.fixture
def rig() -> Iterator[Rig]:
    rclpy.init()
    made = Rig()
    yield made
    made.close()
    rclpy.try_shutdown()


def test_publishes_both_cameras_with_the_state_s_stamp(rig: Rig) -> None:
    assert rig.send_until(lambda: all(rig.pictures.values()))
    for name, received in rig.pictures.items():
        image = received[0]
        assert (image.width, image.height, image.encoding, image.step) == (128, 128, "rgb8", 384)
        assert len(image.data) == 128 * 128 * 3
        assert image.header.stamp.sec == 123
        assert image.header.frame_id == f"camera_{name}"


def test_draws_each_state_once(rig: Rig) -> None:
    assert rig.send_until(lambda: bool(rig.pictures["front"]))
    rig.run_until(lambda: False, seconds=0.5)
    settled = len(rig.pictures["front"])
    rig.run_until(lambda: False, seconds=0.5)
    assert len(rig.pictures["front"]) == settled


def test_without_states_it_says_so(rig: Rig) -> None:
    rig.run_until(lambda: False, seconds=0.3)
    assert not any(rig.pictures.values())
    level, message, _ = rig.node._report()
    assert level == 1
    assert "sim/state" in message


def test_survives_states_that_cannot_be_drawn(rig: Rig) -> None:
    for bad in ({"task": "sponge"}, {"qpos": [0.0, 1.0]}, {"qpos": [float("nan")] * 31}, {"mocap": [0.0]}):
        failures = rig.node._failures
        assert rig.send_until(lambda failures=failures: rig.node._failures > failures, **bad)
        assert rig.node._report()[0] == 2
    assert rig.send_until(lambda: bool(rig.pictures["wrist"]))
    assert rig.node._report()[0] == 0

"""A policy with cameras as a real process: it follows what it sees, and holds with a reason when a camera goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from live_graph import process
from policy_graph import START_TIMEOUT_S, PolicyGraph, policy, policy_graph
from rclpy.qos import QoSProfile, ReliabilityPolicy
from robot_policies import BLIND, robot_layout, save_robot_policy
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from cv_bridge import CvBridge
from sernf_msgs.msg import BridgeState
from sernf_policy.camera_watch import camera_topic
from sernf_policy.layout import CameraView

NAMES = ("front", "wrist")
SIZE_PX = (64, 48)
VIEWS = tuple(CameraView(name=name, source_px=SIZE_PX, size_px=(32, 24), features=8) for name in NAMES)
PERIOD_S = 0.1
AS_DRIVERS_DO = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
NS_PER_S = 1_000_000_000


class Cameras:
    """Two cameras at 10 Hz, from a timer of the test's node, which do what is asked of them."""

    def __init__(self, graph: PolicyGraph) -> None:
        self._graph, self._bridge, self._rng = graph, CvBridge(), np.random.default_rng(0)
        self._publishers = {name: graph.node.create_publisher(Image, camera_topic(name), AS_DRIVERS_DO) for name in NAMES}
        self._frozen: dict[str, np.ndarray] = {}
        self.count = 0
        self.work()
        graph.node.create_timer(PERIOD_S, self._show)

    def work(self) -> None:
        """As they should."""
        self.are_on, self.size_px, self.encoding, self.late_s, self.freezes = True, SIZE_PX, "rgb8", 0.0, False

    def _show(self) -> None:
        if not self.are_on:
            return
        stamp_ns = self._graph.node.get_clock().now().nanoseconds - round(self.late_s * NS_PER_S)
        for name, publisher in self._publishers.items():
            picture = self._picture(name)
            header = Header(frame_id=name)
            header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, NS_PER_S)
            publisher.publish(self._bridge.cv2_to_imgmsg(picture, self.encoding, header))
        self.count += 1

    def _picture(self, name: str) -> np.ndarray:
        width, height = self.size_px
        shape = (height, width) if self.encoding == "mono8" else (height, width, 3)
        if not self.freezes or name not in self._frozen:
            self._frozen[name] = self._rng.integers(0, 256, shape, dtype=np.uint8)
        return self._frozen[name]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "seeing"
    layout = robot_layout(observation=(*BLIND, "image/front", "image/wrist"), cameras=VIEWS)
    save_robot_policy(file, layout=layout)
    return file.with_suffix(".safetensors")


@pytest.fixture(scope="module")
def running(weights: Path) -> Iterator[PolicyGraph]:
    with policy_graph() as graph, policy(weights=weights) as started:
        graph.until(lambda: bool(graph.versions) or started.poll() is not None, START_TIMEOUT_S)
        assert started.poll() is None, "the policy ended at once, see its log above"
        yield graph


@pytest.fixture(scope="module")
def shown(running: PolicyGraph) -> Cameras:
    return Cameras(running)


@pytest.fixture
def graph(running: PolicyGraph) -> Iterator[PolicyGraph]:
    yield running
    assert running.set_mode("hold").success


@pytest.fixture
def cameras(shown: Cameras, graph: PolicyGraph) -> Iterator[Cameras]:
    """They work, and the policy has seen that."""
    shown.work()
    begun = shown.count
    graph.until(lambda: shown.count > begun + 3)
    yield shown
    shown.work()


def test_with_both_cameras_it_acts(graph: PolicyGraph, cameras: Cameras) -> None:
    graph.drive()
    begun = len(graph.chunks)
    graph.until(lambda: len(graph.chunks) > begun + 3 and graph.level == 0)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"are_on": False}, "camera/front/image_raw: the newest picture is "),
        ({"freezes": True}, "times in a row: it is frozen"),
        ({"late_s": 0.5}, "camera/front/image_raw: the newest picture is "),
        ({"size_px": (128, 96)}, "expected pictures of 64 x 48, got 128 x 96"),
    ],
)
def test_a_camera_that_goes_wrong_stops_the_policy_until_it_is_right_again(
    graph: PolicyGraph, cameras: Cameras, fault: dict[str, object], reason: str
) -> None:
    graph.drive()
    for name, value in fault.items():
        setattr(cameras, name, value)
    graph.until(lambda: graph.mode == BridgeState.MODE_HOLD)
    graph.until(lambda: reason in graph.values.get("missing", ""))
    assert graph.set_mode("policy").success, "asking again does not help"
    sent = len(graph.commands)
    graph.until(lambda: reason in graph.message)
    assert len(graph.commands) == sent
    cameras.work()
    graph.until(lambda: graph.active == "policy")
    assert graph.largest_step_rad < 0.1


def test_another_encoding_stops_the_policy_until_somebody_says_that_it_is_meant(graph: PolicyGraph, cameras: Cameras) -> None:
    graph.drive()
    cameras.encoding = "bgr8"
    graph.until(lambda: graph.mode == BridgeState.MODE_HOLD)
    graph.until(lambda: "expected rgb8 as before, got bgr8" in graph.values.get("missing", ""))
    assert graph.set_mode("policy").success
    graph.until(lambda: graph.active == "policy")


def test_an_encoding_without_colours_is_not_accepted(graph: PolicyGraph, cameras: Cameras) -> None:
    graph.drive()
    cameras.encoding = "mono8"
    graph.until(lambda: graph.mode == BridgeState.MODE_HOLD)
    reason = "expected pictures as rgb8 or bgr8, got mono8"
    graph.until(lambda: reason in graph.values.get("missing", ""))
    assert graph.set_mode("policy").success
    sent = len(graph.commands)
    graph.until(lambda: reason in graph.message)
    assert len(graph.commands) == sent
    cameras.encoding = "rgb8"
    graph.until(lambda: graph.active == "policy")


def test_a_recorded_video_does_for_a_camera(graph: PolicyGraph, cameras: Cameras, tmp_path: Path) -> None:
    cameras.are_on = False
    rng = np.random.default_rng(1)
    for name in NAMES:
        writer = cv2.VideoWriter(str(tmp_path / f"{name}.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, SIZE_PX)
        for _ in range(20):
            writer.write(rng.integers(0, 256, (*SIZE_PX[::-1], 3), dtype=np.uint8))
        writer.release()
    videos = ", ".join(str(tmp_path / f"{name}.avi") for name in NAMES)
    with process("sernf_sim.video_camera_node", f"cameras:=[{', '.join(NAMES)}]", f"videos:=[{videos}]"):
        graph.arm("policy")
        graph.until(lambda: graph.set_mode("policy").success and graph.active == "policy", START_TIMEOUT_S)
        begun = len(graph.chunks)
        graph.until(lambda: len(graph.chunks) > begun + 5)

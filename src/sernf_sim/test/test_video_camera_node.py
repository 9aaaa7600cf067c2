"""A recorded video as a camera: all frames, in a circle, all cameras at once; what is wrong is said at the start."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from cv_bridge import CvBridge
from sernf_sim.video_camera_node import LATEST, VideoCameraConfig, VideoCameraNode, read_video, write_video

LEVELS = (40, 120, 200)
PATIENCE_S = 20.0


def recorded(file: Path) -> Path:
    write_video(file, [np.full((48, 64, 3), level, dtype=np.uint8) for level in LEVELS], 10.0)
    return file


def test_frames_come_round_and_round_with_one_stamp_for_all_cameras(tmp_path: Path) -> None:
    rclpy.init()
    node, peer, executor = VideoCameraNode(), Node("peer"), SingleThreadedExecutor()
    try:
        seen: dict[str, list[Image]] = {"front": [], "wrist": []}
        for name, received in seen.items():
            peer.create_subscription(Image, f"camera/{name}/image_raw", received.append, LATEST)
        videos = [str(recorded(tmp_path / f"{name}.avi")) for name in seen]
        node.set_parameters(
            [Parameter("cameras", value=list(seen)), Parameter("videos", value=videos), Parameter("rate_hz", value=30.0)]
        )
        assert node.autostart()
        executor.add_node(node)
        executor.add_node(peer)
        end_s = time.monotonic() + PATIENCE_S
        while min(map(len, seen.values())) < 12 and time.monotonic() < end_s:
            executor.spin_once(timeout_sec=0.02)
        bridge = CvBridge()
        shown = [round(float(bridge.imgmsg_to_cv2(image, "rgb8").mean()) / 40) * 40 for image in seen["front"]]
        assert set(shown) == set(LEVELS)
        stamps = [{(image.header.stamp.sec, image.header.stamp.nanosec) for image in images} for images in seen.values()]
        assert stamps[0] & stamps[1]
        node.stop()
        node.teardown()
    finally:
        executor.shutdown(timeout_sec=5.0)
        node.destroy_node()
        peer.destroy_node()
        rclpy.try_shutdown()


def test_a_file_that_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.avi").write_bytes(b"nonsense")
    for file in (tmp_path / "a.avi", tmp_path / "missing.avi"):
        with pytest.raises(ValueError, match="expected a video that OpenCV can read"):
            read_video(file)


def test_every_camera_needs_a_video() -> None:
    with pytest.raises(ValueError, match="expected one file for each of the cameras"):
        VideoCameraConfig(cameras=("front", "wrist"), videos=("a.avi",))

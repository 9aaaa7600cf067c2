"""Node `video_camera`: recorded videos published as cameras would, for trying a policy that sees without a camera.

Publishes `camera/<name>/image_raw` (bgr8, as many drivers do), all cameras at the same time with the same stamp, again from the
beginning when a video ends. `videos`: what OpenCV can read, one for each of `cameras`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from cv_bridge import CvBridge
from sernf_node import SernfNode, run_node

LATEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
MOST_FRAMES = 10_000

Frame = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class VideoCameraConfig:
    """`rate_hz`: pictures a second, whatever the videos were recorded with."""

    cameras: tuple[str, ...] = ("front",)
    videos: tuple[str, ...] = ()
    rate_hz: float = 10.0

    def __post_init__(self) -> None:
        if not self.cameras or len(self.cameras) != len(self.videos):
            raise ValueError(f"videos: expected one file for each of the cameras {list(self.cameras)}, got {list(self.videos)}")
        if not 0.1 <= self.rate_hz <= 120.0:
            raise ValueError(f"rate_hz: expected 0.1 to 120, got {self.rate_hz}")


class VideoCameraNode(SernfNode[VideoCameraConfig]):
    """See the module's text."""

    def __init__(self) -> None:
        super().__init__("video_camera", VideoCameraConfig)

    def setup(self) -> None:
        """Read the videos whole. Raises ValueError for one that cannot be read."""
        self._bridge, self._count = CvBridge(), 0
        self._frames = {name: read_video(Path(file)) for name, file in zip(self.config.cameras, self.config.videos, strict=True)}
        self._image_publishers = {name: self.create_publisher(Image, f"camera/{name}/image_raw", LATEST) for name in self._frames}

    def start(self) -> None:
        """Begin to publish."""
        self._timer = self.create_timer(1.0 / self.config.rate_hz, self._show)

    def stop(self) -> None:
        """No more pictures."""
        self.destroy_timer(self._timer)

    def teardown(self) -> None:
        """Leave the graph."""
        for publisher in getattr(self, "_image_publishers", {}).values():
            self.destroy_publisher(publisher)
        self._image_publishers = {}

    def _show(self) -> None:
        stamp = self.get_clock().now().to_msg()
        for name, publisher in self._image_publishers.items():
            frames = self._frames[name]
            header = Header(stamp=stamp, frame_id=f"camera_{name}")
            publisher.publish(self._bridge.cv2_to_imgmsg(frames[self._count % len(frames)], "bgr8", header))
        self._count += 1


def read_video(file: Path) -> list[Frame]:
    """Frames (h, w, 3) BGR. Raises ValueError when there are none, or more than are kept in memory."""
    capture = cv2.VideoCapture(str(file))
    try:
        frames = []
        while (read := capture.read())[0]:
            frames.append(np.asarray(read[1], dtype=np.uint8))
            if len(frames) > MOST_FRAMES:
                raise ValueError(f"{file}: expected at most {MOST_FRAMES} frames, which are kept in memory; cut the video")
    finally:
        capture.release()
    if not frames:
        raise ValueError(f"{file}: expected a video that OpenCV can read, found none")
    return frames


def write_video(file: Path, frames: list[Frame], rate_hz: float) -> None:
    """Motion JPEG (`.avi`) of `frames` (h, w, 3) BGR. Raises ValueError when it cannot be written."""
    height, width, _ = frames[0].shape
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), rate_hz, (width, height))
    if not writer.isOpened():
        raise ValueError(f"{file}: cannot be written as a video")
    for frame in frames:
        writer.write(frame)
    writer.release()


def main(args: list[str] | None = None) -> None:
    """Entry point; `args` as on a command line."""
    run_node(VideoCameraNode, args=args)


if __name__ == "__main__":
    main()

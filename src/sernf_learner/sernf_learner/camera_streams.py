"""What cameras saw in a recorded episode, decoded once and cropped and resized to what the policy sees of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

from cv_bridge import CvBridge, CvBridgeError
from sernf_policy.layout import CameraView
from sernf_policy.pictures import Picture, PictureError, seen_part
from sernf_teleop.episode_files import EpisodeError
from sernf_teleop.episodes import EpisodeInfo, open_bag

Times = NDArray[np.int64]
RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"


@dataclass(frozen=True)
class CameraStream:
    """`picture` (n, h, w, 3) uint8 RGB, the part that the policy sees; `stamp_ns` (n,), increasing: when it had come, for that is
    from when on a policy would have known it.
    """

    stamp_ns: Times
    picture: Picture


def read_cameras(info: EpisodeInfo, views: Sequence[CameraView]) -> Mapping[str, CameraStream]:
    """Pictures of each view's camera. Raises EpisodeError for a camera that is missing or has other pictures than expected."""
    return {view.name: _read(info, view) for view in views}


def _read(info: EpisodeInfo, view: CameraView) -> CameraStream:
    prefix = f"{info.namespace.rstrip('/')}/camera/{view.name}/image_raw"
    topics = [name for name in (prefix, f"{prefix}/compressed") if name in info.topics and info.topics[name].messages]
    if not topics:
        raise EpisodeError(
            f"expected pictures of the camera {view.name} on {prefix}, got none; record with cameras: ./sernf demos --cameras"
        )
    bridge, stamps, pictures = CvBridge(), list[int](), list[Picture]()
    try:
        with open_bag(info) as bag:
            for message in bag.messages(topics[:1]):
                decoded = bag.types.deserialize_cdr(message.data, message.msgtype)
                stamps.append(message.log_time_ns)
                pictures.append(seen_part(_rgb(bridge, decoded, message.msgtype), view))
    except (PictureError, CvBridgeError) as error:
        raise EpisodeError(f"{topics[0]}: {error}") from error
    order = np.argsort(stamps, kind="stable")
    return CameraStream(np.array(stamps, dtype=np.int64)[order], np.stack(pictures)[order])


def _rgb(bridge: CvBridge, decoded: object, msgtype: str) -> Picture:
    """(H, W, 3) RGB of a message as rosbags decodes it. Raises CvBridgeError."""
    if msgtype == COMPRESSED:
        compressed = CompressedImage(format=decoded.format)  # type: ignore[attr-defined]
        compressed.data = bytes(decoded.data)  # type: ignore[attr-defined]
        return np.asarray(bridge.compressed_imgmsg_to_cv2(compressed, "rgb8"))
    image = Image()
    for name in ("height", "width", "encoding", "is_bigendian", "step"):
        setattr(image, name, getattr(decoded, name))
    image.data = bytes(decoded.data)  # type: ignore[attr-defined]
    return np.asarray(bridge.imgmsg_to_cv2(image, "rgb8"))

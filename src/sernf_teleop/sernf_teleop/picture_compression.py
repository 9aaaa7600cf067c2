"""Pictures of an episode are compressed on their way to the disk, in the thread that writes it."""

from __future__ import annotations

from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image

from cv_bridge import CvBridge, CvBridgeError


class CompressionError(ValueError):
    """A picture that cannot be compressed."""


class PictureCompressor:
    """`codec`: jpeg loses a little, png nothing. Not for use from several threads at once."""

    def __init__(self, codec: str) -> None:
        self._codec, self._bridge = codec, CvBridge()

    def compress(self, data: bytes) -> bytes:
        """A serialised Image as a serialised CompressedImage. Raises CompressionError."""
        try:
            image = deserialize_message(data, Image)
            compressed = self._bridge.cv2_to_compressed_imgmsg(self._bridge.imgmsg_to_cv2(image, "bgr8"), self._codec)
        except (CvBridgeError, RuntimeError) as error:
            raise CompressionError(str(error)) from error
        compressed.header = image.header
        compressed.format = f"{image.encoding}; {self._codec} compressed bgr8"
        return bytes(serialize_message(compressed))

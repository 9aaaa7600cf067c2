"""CvBridge: images between ROS messages and arrays as OpenCV uses them.

Arrays are (height, width) for one channel, else (height, width, channels), row-major, in the order of the encoding's channels.
"""

from __future__ import annotations

import sys
from typing import Any

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from .conversion import Array, cvtColor2
from .encodings import PixelType, parse_encoding, pixel_type_of, pixel_type_of_cv_type
from .errors import CvBridgeError

PASSTHROUGH = "passthrough"
_DECODED_COLOURS = {1: "mono", 3: "bgr", 4: "bgra"}


class CvBridge:
    """Converts images both ways. Holds no state; every method raises CvBridgeError (a TypeError) when it cannot convert."""

    def imgmsg_to_cv2(self, img_msg: Image, desired_encoding: str = PASSTHROUGH) -> Array:
        """Array of an image message, C-contiguous and in native byte order.

        desired_encoding: encoding to convert to; 'passthrough' keeps the message's own

        Without conversion, row padding or foreign byte order the array shares the memory of ``img_msg.data``: copy it before
        changing either. Otherwise it is a copy.
        """
        image = _pixels(img_msg, parse_encoding(img_msg.encoding))
        return image if desired_encoding == PASSTHROUGH else cvtColor2(image, img_msg.encoding, desired_encoding)

    def cv2_to_imgmsg(self, cvim: Array, encoding: str = PASSTHROUGH, header: Header | None = None) -> Image:
        """Image message of an array (height, width) or (height, width, channels); its data are copied once.

        encoding: name of what the array holds, not converted; 'passthrough' writes the type code, such as 8UC3
        header:   header of the message; an empty one without
        """
        shape = _checked_array(cvim).shape
        pixel = pixel_type_of(cvim.dtype, 1 if cvim.ndim == 2 else shape[2])
        if encoding == PASSTHROUGH:
            encoding = pixel.code
        elif parse_encoding(encoding).code != pixel.code:
            raise CvBridgeError(f"encoding {encoding} expects an image of type {parse_encoding(encoding).code}, got {pixel.code}")
        msg = Image(height=shape[0], width=shape[1], encoding=encoding, step=shape[1] * pixel.channels * pixel.dtype.itemsize)
        msg.is_bigendian = int(not cvim.dtype.isnative) if sys.byteorder == "little" else int(cvim.dtype.isnative)
        if header is not None:
            msg.header = header
        msg.data.frombytes(np.ascontiguousarray(cvim).reshape(-1).view(np.uint8))
        return msg

    def compressed_imgmsg_to_cv2(self, cmprs_img_msg: CompressedImage, desired_encoding: str = PASSTHROUGH) -> Array:
        """Array of a compressed image: mono, BGR or BGRA of 8 or 16 bits, as stored; or converted to ``desired_encoding``."""
        size = len(cmprs_img_msg.data)
        try:
            image = cv2.imdecode(np.frombuffer(cmprs_img_msg.data, np.uint8), cv2.IMREAD_UNCHANGED) if size else None
        except cv2.error as error:
            raise CvBridgeError(f"cannot decode {size} bytes of format {cmprs_img_msg.format!r}: {error}") from error
        if image is None:
            raise CvBridgeError(f"cannot decode {size} bytes of format {cmprs_img_msg.format!r}: no image that OpenCV can read")
        decoded: Array = image
        if desired_encoding == PASSTHROUGH:
            return decoded
        return cvtColor2(decoded, _decoded_encoding(decoded), desired_encoding)

    def cv2_to_compressed_imgmsg(self, cvim: Array, dst_format: str = "jpg") -> CompressedImage:
        """Compressed image of an array in OpenCV's order (mono, BGR, BGRA). ``dst_format``: file ending, such as jpg or png."""
        try:
            done, data = cv2.imencode(f".{dst_format}", _checked_array(cvim))
        except cv2.error as error:
            raise CvBridgeError(f"cannot encode a {cvim.dtype} image of shape {cvim.shape} as {dst_format}: {error}") from error
        if not done:
            raise CvBridgeError(f"cannot encode a {cvim.dtype} image of shape {cvim.shape} as {dst_format}")
        msg = CompressedImage(format=dst_format)
        msg.data.frombytes(data)
        return msg

    def dtype_with_channels_to_cvtype2(self, dtype: Any, n_channels: int) -> str:
        """Type code of an element type, such as "8UC3" for uint8 and 3."""
        return pixel_type_of(np.dtype(dtype), n_channels).code

    def cvtype2_to_dtype_with_channels(self, cvtype: int) -> tuple[str, int]:
        """Name of the element type and number of channels of an OpenCV type number, such as ("uint8", 3) for cv2.CV_8UC3."""
        return _dtype_with_channels(pixel_type_of_cv_type(cvtype))

    def encoding_to_cvtype2(self, encoding: str) -> int:
        """OpenCV type number of an encoding, such as cv2.CV_8UC3 for "bgr8"."""
        return getCvType(encoding)

    def encoding_to_dtype_with_channels(self, encoding: str) -> tuple[str, int]:
        """Name of the element type and number of channels of an encoding, such as ("uint8", 3) for "bgr8"."""
        return _dtype_with_channels(parse_encoding(encoding))


def getCvType(encoding: str) -> int:
    """OpenCV type number of an encoding, such as cv2.CV_8UC3 for "bgr8"; raises CvBridgeError for an unknown one."""
    return parse_encoding(encoding).cv_type


def _dtype_with_channels(pixel: PixelType) -> tuple[str, int]:
    return pixel.dtype.name, pixel.channels


def _checked_array(cvim: Any) -> Array:
    if not isinstance(cvim, np.ndarray):
        raise TypeError(f"expected an image as numpy.ndarray, got {type(cvim).__name__}; convert with numpy.asarray")
    if cvim.ndim not in (2, 3):
        raise CvBridgeError(f"expected an image (height, width) or (height, width, channels), got shape {cvim.shape}")
    return cvim


def _pixels(msg: Image, pixel: PixelType) -> Array:
    dtype = pixel.dtype.newbyteorder(">" if msg.is_bigendian else "<")
    row_bytes = msg.width * pixel.channels * dtype.itemsize
    if msg.step < row_bytes:
        raise CvBridgeError(f"expected step >= {row_bytes} bytes for {msg.width} pixels of {msg.encoding}, got {msg.step}")
    expected = msg.step * (msg.height - 1) + row_bytes if msg.height else 0  # the last row may come without its padding
    if len(msg.data) < expected:
        raise CvBridgeError(
            f"expected at least {expected} bytes of data for {msg.width}x{msg.height} {msg.encoding} with step {msg.step}, "
            f"got {len(msg.data)}"
        )
    shape: tuple[int, ...] = (msg.height, msg.width, pixel.channels)
    strides: tuple[int, ...] = (msg.step, pixel.channels * dtype.itemsize, dtype.itemsize)
    if pixel.channels == 1:
        shape, strides = shape[:2], strides[:2]
    data = bytes(msg.data) if isinstance(msg.data, list) else msg.data
    return np.ascontiguousarray(np.ndarray(shape, dtype, buffer=data, strides=strides), dtype=pixel.dtype)


def _decoded_encoding(image: Array) -> str:
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels in _DECODED_COLOURS and image.dtype in (np.uint8, np.uint16):
        return f"{_DECODED_COLOURS[channels]}{8 * image.dtype.itemsize}"
    return pixel_type_of(image.dtype, channels).code

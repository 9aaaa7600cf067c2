"""Image encodings of sensor_msgs: element type, channels and colour model of each name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from .errors import CvBridgeError

DTYPES = {
    "8U": "uint8", "8S": "int8", "16U": "uint16", "16S": "int16", "32S": "int32", "32F": "float32", "64F": "float64",
}  # fmt: skip
_DEPTH_NAMES = {dtype: depth for depth, dtype in DTYPES.items()}
_CV_DEPTHS: dict[str, int] = {depth: getattr(cv2, f"CV_{depth}") for depth in DTYPES}
_CHANNEL_STEP: int = cv2.CV_8UC2 - cv2.CV_8UC1  # OpenCV 5 packs types in another way than OpenCV 4
_MAX_CHANNELS = 512  # of OpenCV

_TYPE_CODE = re.compile(r"(8U|8S|16U|16S|32S|32F|64F)(?:C([1-9][0-9]*))?")
_COLOUR = re.compile(r"(mono|rgba|bgra|rgb|bgr|bayer_(?:rggb|bggr|gbrg|grbg))(8|16)")
_CHANNELS = {"mono": 1, "rgb": 3, "bgr": 3, "rgba": 4, "bgra": 4, "uyvy": 2, "yuyv": 2}
_YUV_NAMES = {"yuv422": "uyvy", "uyvy": "uyvy", "yuv422_yuy2": "yuyv", "yuyv": "yuyv"}


@dataclass(frozen=True, kw_only=True)
class PixelType:
    """What an encoding means: ``depth`` such as "8U", number of channels, and ``colour`` such as "bgr" or None for type codes."""

    depth: str
    channels: int
    colour: str | None = None

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Element type in native byte order."""
        return np.dtype(DTYPES[self.depth])

    @property
    def code(self) -> str:
        """OpenCV type code, such as "8UC3"."""
        return f"{self.depth}C{self.channels}"

    @property
    def cv_type(self) -> int:
        """OpenCV type number of the installed OpenCV."""
        return _CV_DEPTHS[self.depth] + (self.channels - 1) * _CHANNEL_STEP


@cache
def parse_encoding(encoding: str) -> PixelType:
    """Meaning of an encoding name; raises CvBridgeError for an unknown one."""
    if match := _COLOUR.fullmatch(encoding):
        colour, bits = match.groups()
        return PixelType(depth=f"{bits}U", channels=_CHANNELS.get(colour, 1), colour=colour)
    if encoding in _YUV_NAMES:
        return PixelType(depth="8U", channels=2, colour=_YUV_NAMES[encoding])
    match = _TYPE_CODE.fullmatch(encoding)
    if match and int(match[2] or 1) <= _MAX_CHANNELS:
        return PixelType(depth=match[1], channels=int(match[2] or 1))
    raise CvBridgeError(
        f"unknown image encoding {encoding!r}: expected mono, rgb, bgr, rgba, bgra or bayer_<pattern> with 8 or 16, "
        "yuv422, yuv422_yuy2, or a type code such as 8UC3 or 32FC1"
    )


def pixel_type_of(dtype: np.dtype[np.generic], channels: int) -> PixelType:
    """Type code of an array's elements; raises CvBridgeError for element types that image messages lack, such as int64."""
    depth = _DEPTH_NAMES.get(dtype.name)
    if depth is None:
        raise CvBridgeError(
            f"no image encoding holds {dtype.name}: expected one of {', '.join(_DEPTH_NAMES)}; convert with astype"
        )
    if not 1 <= channels <= _MAX_CHANNELS:
        raise CvBridgeError(f"expected 1 to {_MAX_CHANNELS} channels, got {channels}")
    return PixelType(depth=depth, channels=channels)


def pixel_type_of_cv_type(cv_type: int) -> PixelType:
    """Inverse of ``PixelType.cv_type``; raises CvBridgeError for a number of another element type."""
    for depth, number in _CV_DEPTHS.items():
        if number == cv_type % _CHANNEL_STEP and 0 <= cv_type < _MAX_CHANNELS * _CHANNEL_STEP:
            return PixelType(depth=depth, channels=cv_type // _CHANNEL_STEP + 1)
    raise CvBridgeError(f"{cv_type} is no OpenCV type of 8-, 16-, 32-bit integers or 32-, 64-bit floats")

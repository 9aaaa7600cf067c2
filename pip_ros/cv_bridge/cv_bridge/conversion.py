"""Conversions between encodings: colour model first, then element type."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from .encodings import PixelType, parse_encoding
from .errors import CvBridgeError

Array = np.ndarray[Any, np.dtype[Any]]

_OUTPUT_COLOURS = {"mono": "GRAY", "rgb": "RGB", "bgr": "BGR", "rgba": "RGBA", "bgra": "BGRA"}
_YUV_FORMATS = {"uyvy": "UYVY", "yuyv": "YUY2"}


def cvtColor2(image: Array, encoding_in: str, encoding_out: str) -> Array:
    """Convert ``image`` (h, w) or (h, w, channels) from one encoding to another; the image itself when they are the same.

    Type codes carry no colour: they convert only among themselves and from colours, with equal numbers of channels. Between 8
    and 16 bits values are scaled by 257 (255 becomes 65535); other changes of the element type keep the value, rounded and
    limited to the new type's range, NaN becoming 0. Raises CvBridgeError where no conversion exists.
    """
    if encoding_in == encoding_out:
        return image
    source, target = parse_encoding(encoding_in), parse_encoding(encoding_out)
    if source.colour is None and target.colour is not None:
        raise CvBridgeError(
            f"cannot convert {encoding_in} to {encoding_out}: {encoding_in} says nothing about colour; "
            "publish with a colour encoding such as bgr8, or ask for 'passthrough'"
        )
    if source.colour is None or target.colour is None:
        if source.channels != target.channels:
            raise CvBridgeError(
                f"cannot convert {encoding_in} to {encoding_out}: expected {source.channels} channels, got {target.channels}"
            )
    elif source.colour != target.colour:
        image = _recolour(image, source, target, f"cannot convert {encoding_in} to {encoding_out}")
    return _change_depth(image, target.dtype)


def _recolour(image: Array, source: PixelType, target: PixelType, refusal: str) -> Array:
    code = _colour_code(str(source.colour), str(target.colour))
    if code is None:
        raise CvBridgeError(f"{refusal}: expected mono, rgb or bgr (except from bayer also rgba, bgra) as the result")
    try:
        converted: Array = cv2.cvtColor(image, code)
    except cv2.error as error:
        raise CvBridgeError(f"{refusal}: an image of shape {image.shape} and type {image.dtype} was refused: {error}") from error
    return converted


def _colour_code(source: str, target: str) -> int | None:
    """Number of the OpenCV conversion, or None where cv_bridge has none."""
    result = _OUTPUT_COLOURS.get(target)
    if result is None:
        return None
    if source in _YUV_FORMATS:
        name = f"COLOR_YUV2{result}_{_YUV_FORMATS[source]}"
    elif source.startswith("bayer_"):
        if target in ("rgba", "bgra"):
            return None
        name = f"COLOR_Bayer{source.removeprefix('bayer_').upper()}2{result}"
    else:
        name = f"COLOR_{_OUTPUT_COLOURS[source]}2{result}"
    return int(getattr(cv2, name))


def _change_depth(image: Array, dtype: np.dtype[np.generic]) -> Array:
    if image.dtype == dtype:
        return image
    if image.dtype == np.uint8 and dtype == np.uint16:
        return np.multiply(image, 257, dtype=np.uint16)
    if dtype.kind == "f":
        return image.astype(dtype)
    scale = {(1, 2): 257.0, (2, 1): 1 / 257.0}.get((image.dtype.itemsize, dtype.itemsize), 1.0)
    limits = np.iinfo(dtype)  # type: ignore[type-var]
    values = np.multiply(image, scale, dtype=np.float64)
    np.nan_to_num(values, copy=False, nan=0.0)
    return np.clip(np.rint(values, out=values), limits.min, limits.max, out=values).astype(dtype)

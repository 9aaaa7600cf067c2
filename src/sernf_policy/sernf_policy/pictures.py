"""From a camera's picture to what the policy sees of it: the same code for recorded bags, simulation and the running node."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sernf_policy.layout import CameraView

Picture = NDArray[np.uint8]


class PictureError(ValueError):
    """A picture that is not what the policy was trained on; the message says what was expected and what came."""


def seen_part(picture: Picture, view: CameraView) -> Picture:
    """Crop and resize `picture` (H, W, 3) RGB to (height, width, 3); raises PictureError for one of another size."""
    width, height = view.source_px
    if picture.shape != (height, width, 3) or picture.dtype != np.uint8:
        raise PictureError(
            f"camera {view.name}: expected pictures of {width} x {height} with three colours of 8 bits, got "
            f"{' x '.join(map(str, picture.shape[1::-1]))}, {picture.dtype}; set the camera's resolution back, or train anew"
        )
    left, top, right, bottom = view.crop
    columns, rows = (round(share * width) for share in (left, right)), (round(share * height) for share in (top, bottom))
    part = picture[slice(*rows), slice(*columns)]
    if part.shape[1::-1] == view.size_px:
        return np.ascontiguousarray(part)
    smaller = part.shape[1] >= view.size_px[0] and part.shape[0] >= view.size_px[1]
    resized = cv2.resize(part, view.size_px, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)

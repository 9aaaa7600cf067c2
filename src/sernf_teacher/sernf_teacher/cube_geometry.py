"""Where fingertips are as seen from a cube: the nearest points of capsules and box, for many of both at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SHARES = np.linspace(0.0, 1.0, 5)
"""Points of a capsule's axis that are looked at. A tip is 2 to 3 cm long, so they lie 5 to 8 mm apart."""


@dataclass(frozen=True)
class Nearest:
    """For each tip: `distance_m` (..., k) between the surfaces, negative inside; `vector_m` (..., k, 3) from the capsule's axis
    to the nearest point of the box, `on_side` (..., k): that point belongs to an upright face. In the frame of the inputs' box.
    """

    distance_m: Floats
    vector_m: Floats
    on_side: NDArray[np.bool_]


def nearest_on_box(start_m: Floats, end_m: Floats, radius_m: Floats, half_m: Floats) -> Nearest:
    """Capsule axes `start_m` to `end_m` (..., k, 3) in the box's frame, radii (k,), half-sides of cubes (...)."""
    points = start_m[..., None, :] + _SHARES[:, None] * (end_m - start_m)[..., None, :]
    half = half_m[..., None, None, None]
    over = np.abs(points) - half
    outside = np.sqrt((np.maximum(over, 0.0) ** 2).sum(-1))
    depth = outside + np.minimum(over.max(-1), 0.0)
    index = depth.argmin(-1)[..., None]
    distance = np.take_along_axis(depth, index, -1)[..., 0]
    point = np.take_along_axis(points, index[..., None], -2)[..., 0, :]
    vector = np.clip(point, -half[..., 0], half[..., 0]) - point
    beyond = np.take_along_axis(over, index[..., None], -2)[..., 0, :]
    on_side = np.maximum(beyond[..., 0], beyond[..., 1]) > beyond[..., 2]
    return Nearest(distance - radius_m, vector, on_side)


def cube_rotation(yaw_rad: Floats, tilt_rad: Floats) -> Floats:
    """Rotations (..., 3, 3) of cubes that are turned by `yaw_rad` (...) about z, then by `tilt_rad` (..., 2) about x and y.

    The joints of the teacher's cube: z first, so that the yaw is a coordinate and need not be unwrapped.
    """
    cz, sz = np.cos(yaw_rad), np.sin(yaw_rad)
    cx, sx = np.cos(tilt_rad[..., 0]), np.sin(tilt_rad[..., 0])
    cy, sy = np.cos(tilt_rad[..., 1]), np.sin(tilt_rad[..., 1])
    rows = (
        (cz * cy - sz * sx * sy, -sz * cx, cz * sy + sz * sx * cy),
        (sz * cy + cz * sx * sy, cz * cx, sz * sy - cz * sx * cy),
        (-cx * sy, sx, cx * cy),
    )
    return np.stack([np.stack(row, -1) for row in rows], -2)


def cube_quaternion(yaw_rad: Floats, tilt_rad: Floats) -> Floats:
    """The same rotations as unit quaternions (..., 4) wxyz."""
    (cz, sz), (cx, sx), (cy, sy) = ((np.cos(a / 2), np.sin(a / 2)) for a in (yaw_rad, tilt_rad[..., 0], tilt_rad[..., 1]))
    return np.stack(
        [
            cz * cx * cy - sz * sx * sy, cz * sx * cy - sz * cx * sy,
            cz * cx * sy + sz * sx * cy, cz * sx * sy + sz * cx * cy,
        ],
        -1,
    )  # fmt: skip

"""What the teacher sees: everything, also what no robot could measure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PARTS: dict[str, int] = {
    "joint_position_rad": 16, "target_minus_position_rad": 16, "joint_velocity_rad_s": 16, "cube_offset_m": 3, "cube_upright": 2,
    "cube_yaw_of_4": 2, "cube_velocity_m_s": 3, "cube_angular_velocity_rad_s": 3, "tips_from_cube_m": 15, "tips_to_surface_m": 15,
    "tip_distance_m": 5, "tip_log_force": 5, "last_action": 16, "physics": 6, "level": 1,
}  # fmt: skip
"""Name -> size, in order. `cube_upright`: x and y of its upright axis. `cube_yaw_of_4`: cosine and sine of four times the yaw,
since the cube looks the same after a quarter turn. `physics`: scales of mass, size, friction, stiffness and damping, and 50 times
the delay (s).
"""
SIZE = sum(PARTS.values())


def observation(**parts: Floats) -> NDArray[np.float32]:
    """(n, SIZE) from one array (n, size) a part; raises ValueError for parts that are missing, unknown or of another size."""
    if parts.keys() != PARTS.keys():
        raise ValueError(f"expected the parts {', '.join(PARTS)}, got {', '.join(parts)}")
    columns = []
    for name, size in PARTS.items():
        if parts[name].shape[-1] != size:
            raise ValueError(f"{name}: expected {size} columns, got {parts[name].shape}")
        columns.append(parts[name])
    return np.concatenate(columns, axis=-1).astype(np.float32)

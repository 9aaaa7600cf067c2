"""Names of the robot's joints, in the order that the project uses wherever a vector has no names beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

ARM_JOINTS: tuple[str, ...] = tuple(f"fr3_joint{index}" for index in range(1, 8))
"""The seven joints of the Franka FR3, base to flange."""

HAND_JOINTS: tuple[str, ...] = (
    "right_wrist",
    "right_thumb_mcp", "right_thumb_abd", "right_thumb_pip", "right_thumb_dip",
    "right_index_abd", "right_index_mcp", "right_index_pip",
    "right_middle_abd", "right_middle_mcp", "right_middle_pip",
    "right_ring_abd", "right_ring_mcp", "right_ring_pip",
    "right_pinky_abd", "right_pinky_mcp", "right_pinky_pip",
)  # fmt: skip
"""The 17 joints of the ORCA right hand: `right_` and the joint's name in orca_core's model v1."""

FINGER_JOINTS: tuple[str, ...] = HAND_JOINTS[1:]
"""The hand without its wrist."""

JOINTS: tuple[str, ...] = ARM_JOINTS + HAND_JOINTS
"""All 24 joints."""


def indices_of(names: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    """Indices into `names` such that `names[i]` follows `wanted`; raises ValueError that names what is missing or double."""
    position = {name: index for index, name in enumerate(names)}
    if len(position) != len(names):
        doubles = sorted({name for name in names if list(names).count(name) > 1})
        raise ValueError(f"joint names occur twice: {', '.join(doubles)}")
    missing = [name for name in wanted if name not in position]
    if missing:
        raise ValueError(f"joints missing: {', '.join(missing)}; expected {len(wanted)}, got {len(names)}")
    return np.array([position[name] for name in wanted], dtype=int)

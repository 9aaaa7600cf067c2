"""Collision shapes of the robot: capsules and boxes in body frames, metres.

The hand's are measured at its meshes, fingertips included; the arm's are fitted to its collision meshes (above the base
plate no vertex lies more than 9 mm outside). Primitives cost a fraction of meshes, and grasps hold equally well.
"""

from __future__ import annotations

from dataclasses import dataclass

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Capsule:
    """A capsule from `start_m` to `end_m`, body frame."""

    body: str
    start_m: Point
    end_m: Point
    radius_m: float


@dataclass(frozen=True)
class Box:
    """An axis-aligned box, body frame; `half_m` are half-sizes."""

    body: str
    center_m: Point
    half_m: Point


Shape = Capsule | Box


def _finger(name: str, length_m: float) -> tuple[Capsule, Capsule]:
    return (
        Capsule(f"right_{name}_pp", (0.001, 0.0, 0.003), (0.001, 0.0, length_m), 0.0098),
        Capsule(f"right_{name}_ip", (-0.0008, 0.0, 0.002), (-0.0012, 0.0, 0.0315), 0.0102),
    )


FINGER_SHAPES: tuple[Capsule, ...] = (
    *_finger("index", 0.038), *_finger("middle", 0.046), *_finger("ring", 0.046), *_finger("pinky", 0.033),
)  # fmt: skip

THUMB_SHAPES: tuple[Capsule, ...] = (
    Capsule("right_thumb_ip", (0.0008, 0.0, 0.002), (0.0008, 0.0, 0.033), 0.0098),
    Capsule("right_thumb_dp", (0.002, 0.0, 0.002), (0.002, 0.0, 0.0208), 0.0098),
)

PALM_SHAPES: tuple[Shape, ...] = (
    Capsule("right_thumb_pp", (0.002, 0.0, 0.0), (0.028, 0.0, 0.0), 0.0098),
    Box("right_palm", (0.004, 0.001, -0.005), (0.040, 0.0145, 0.034)),
    Box("right_tower", (0.0405, 0.0, 0.0345), (0.041, 0.047, 0.079)),
)

ARM_SHAPES: tuple[Capsule, ...] = (
    Capsule("fr3_link0", (-0.075, 0.0, 0.055), (-0.005, 0.0, 0.055), 0.090),
    Capsule("fr3_link1", (0.0, -0.035, 0.006), (0.0, 0.0, -0.167), 0.060),
    Capsule("fr3_link1", (0.0, -0.097, 0.002), (0.0, -0.087, -0.017), 0.047),
    Capsule("fr3_link2", (0.0, 0.0, 0.035), (0.0, 0.0, 0.064), 0.067),
    Capsule("fr3_link2", (0.0, -0.167, 0.0), (0.0, -0.060, 0.010), 0.061),
    Capsule("fr3_link3", (0.0, 0.0, -0.111), (0.020, 0.010, -0.020), 0.055),
    Capsule("fr3_link3", (0.080, 0.030, 0.0), (0.076, 0.052, 0.0), 0.067),
    Capsule("fr3_link4", (-0.005, 0.004, 0.043), (-0.001, 0.0, 0.045), 0.068),
    Capsule("fr3_link4", (-0.082, 0.108, 0.0), (-0.065, 0.055, 0.0), 0.057),
    Capsule("fr3_link5", (0.0, 0.0, -0.240), (0.0, 0.048, -0.176), 0.056),
    Capsule("fr3_link5", (0.0, 0.045, -0.160), (0.0, 0.060, -0.050), 0.056),
    Capsule("fr3_link5", (0.0, 0.045, 0.0), (0.0, 0.092, -0.011), 0.058),
    Capsule("fr3_link6", (0.088, -0.036, 0.0), (0.082, 0.046, 0.0), 0.046),
    Capsule("fr3_link6", (0.0, 0.0, 0.007), (0.030, 0.007, 0.014), 0.052),
    Capsule("fr3_link7", (0.024, 0.067, 0.082), (0.064, 0.042, 0.083), 0.020),
    Capsule("fr3_link7", (0.014, 0.010, 0.076), (-0.006, -0.005, 0.075), 0.047),
)

HAND_SHAPES: tuple[Shape, ...] = (*FINGER_SHAPES, *THUMB_SHAPES, *PALM_SHAPES)

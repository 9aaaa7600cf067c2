"""Hand synergies: a few named strokes, each between two hand poses, instead of 17 single joints.

A stroke moves its joints together from wherever they are, so nothing jumps; joints that it does not name stay. Hand poses and
strokes come from config/teleop.yaml and are checked against the joint limits when they are loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sernf_robot.config import ConfigError
from sernf_robot.joints import JOINTS

Array = NDArray[np.float64]

SMALLEST_STROKE_RAD = 0.2
"""A joint that is equal in both poses still needs a speed to arrive from elsewhere."""


@dataclass(frozen=True, kw_only=True)
class SynergyConfig:
    """One stroke: value 0 is `from_pose`, value 1 is `to_pose`. It moves the joints that `to_pose` names."""

    from_pose: str
    to_pose: str


@dataclass(frozen=True)
class _Stroke:
    joints: NDArray[np.intp]
    start_rad: Array
    end_rad: Array
    length_rad: Array


class HandSynergies:
    """Moves hand joint targets along configured strokes."""

    def __init__(
        self,
        hand_poses: Mapping[str, Mapping[str, float]],
        synergies: Mapping[str, SynergyConfig],
        lower_rad: Array,
        upper_rad: Array,
    ) -> None:
        """`lower_rad`, `upper_rad`: (24,). Raises ConfigError on unknown joints or poses, and on poses outside the limits."""
        for pose, joints in hand_poses.items():
            for joint, value in joints.items():
                _check_joint(pose, joint, value, lower_rad, upper_rad)
        self._strokes = {name: _stroke(name, config, hand_poses) for name, config in synergies.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """Configured strokes."""
        return tuple(self._strokes)

    def move(self, position_rad: Array, name: str, rate_1_s: float, period_s: float) -> Array:
        """Joint targets (24,) after one period at `rate_1_s` strokes per second, positive towards value 1.

        Raises KeyError for an unknown stroke.
        """
        stroke = self._strokes[name]
        end = stroke.end_rad if rate_1_s > 0.0 else stroke.start_rad
        return _approach(position_rad, stroke, end, abs(rate_1_s) * period_s)

    def go_to(self, position_rad: Array, name: str, value: float, max_rate_1_s: float, period_s: float) -> Array:
        """Joint targets (24,) one period later, towards `value` (0..1) of the stroke, at most `max_rate_1_s` strokes a second."""
        stroke = self._strokes[name]
        share = min(1.0, max(0.0, value))
        goal = stroke.start_rad + share * (stroke.end_rad - stroke.start_rad)
        return _approach(position_rad, stroke, goal, max_rate_1_s * period_s)


def _approach(position_rad: Array, stroke: _Stroke, goal_rad: Array, strokes: float) -> Array:
    target = position_rad.copy()
    current = position_rad[stroke.joints]
    step = strokes * stroke.length_rad
    target[stroke.joints] = current + np.clip(goal_rad - current, -step, step)
    return target


def _stroke(name: str, config: SynergyConfig, hand_poses: Mapping[str, Mapping[str, float]]) -> _Stroke:
    for pose in (config.from_pose, config.to_pose):
        if pose not in hand_poses:
            raise ConfigError(f"synergies.{name}: unknown hand pose '{pose}'; known: {', '.join(sorted(hand_poses)) or 'none'}")
    start, end = hand_poses[config.from_pose], hand_poses[config.to_pose]
    missing = [joint for joint in end if joint not in start]
    if missing:
        raise ConfigError(
            f"synergies.{name}: hand pose '{config.from_pose}' lacks {', '.join(missing)}, which '{config.to_pose}' moves: add"
        )
    start_rad, end_rad = np.array([start[joint] for joint in end]), np.array(list(end.values()))
    return _Stroke(
        joints=np.array([JOINTS.index(joint) for joint in end], dtype=np.intp),
        start_rad=start_rad,
        end_rad=end_rad,
        length_rad=np.maximum(np.abs(end_rad - start_rad), SMALLEST_STROKE_RAD),
    )


def _check_joint(pose: str, joint: str, value: float, lower_rad: Array, upper_rad: Array) -> None:
    if joint not in JOINTS or joint.startswith("fr3_"):
        raise ConfigError(f"hand_poses.{pose}: unknown hand joint '{joint}'; names are those of sernf_robot.joints.HAND_JOINTS")
    index = JOINTS.index(joint)
    if not lower_rad[index] <= value <= upper_rad[index]:
        raise ConfigError(
            f"hand_poses.{pose}.{joint}: expected {lower_rad[index]:.3f} to {upper_rad[index]:.3f} rad (its limits), got {value}"
        )

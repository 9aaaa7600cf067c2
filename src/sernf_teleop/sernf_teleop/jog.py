"""Jogging: hand-frame motion to joint targets by damped differential inverse kinematics.

The solution keeps the direction that the operator asked for or slows down; it never turns into another motion. Close to a
singularity the damping grows and the motion fades; a joint at its limit is locked and the others take over as far as they can.
Without request there is no motion. Pure and deterministic: equal inputs give equal outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sernf_robot.joints import ARM_JOINTS, indices_of
from sernf_robot.kinematics import rotation_vector

Array = NDArray[np.float64]

ARM = len(ARM_JOINTS)
LENGTH_M = 0.3
"""Radius at which one radian counts as much as the metres it moves: makes linear and angular parts comparable."""


class HandKinematics(Protocol):
    """The part of sernf_robot.kinematics.Kinematics that jogging needs."""

    def hand_pose(self, position_rad: Array) -> tuple[Array, Array]:
        """(24,) joint positions to position (3,) m and rotation (3, 3) of the hand frame in `fr3_link0`."""
        ...

    def jacobian(self, position_rad: Array) -> Array:
        """(24,) joint positions to the hand frame's geometric Jacobian (6, 7), base axes, linear rows first."""
        ...


@dataclass(frozen=True, kw_only=True)
class JogConfig:
    """Speeds that an operator can ask for, and how the arm behaves close to what it cannot do."""

    max_linear_m_s: float = 0.15
    max_angular_rad_s: float = 0.8
    max_joint_speed_rad_s: float = 1.0
    limit_margin_rad: float = 0.03
    damping: float = 0.08
    singular_value: float = 0.08
    """smallest singular value (m/rad) below which damping sets in"""
    max_direction_error_rad: float = 0.5
    """motion fades to zero when it would deviate this much from the request"""
    pose_gain: float = 0.6
    """share of the remaining way to an absolute hand pose that is asked for in one period"""
    posture_gain_1_s: float = 0.5
    """pull of the elbow towards `posture_rad` while the hand moves"""
    posture_rad: tuple[float, ...] = (0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785)
    max_lead_rad: float = 0.3
    """how far targets may run ahead of what the bridge executes"""

    def __post_init__(self) -> None:
        for name in ("max_linear_m_s", "max_angular_rad_s", "max_joint_speed_rad_s", "singular_value", "damping", "max_lead_rad"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"jog.{name}: expected a positive number, got {getattr(self, name)}")
        for name in ("limit_margin_rad", "posture_gain_1_s"):
            if not getattr(self, name) >= 0.0:
                raise ValueError(f"jog.{name}: expected zero or more, got {getattr(self, name)}")
        if not 0.0 < self.pose_gain <= 1.0:
            raise ValueError(f"jog.pose_gain: expected a number in (0, 1], got {self.pose_gain}")
        if not 0.0 < self.max_direction_error_rad < np.pi / 2:
            raise ValueError(f"jog.max_direction_error_rad: expected between 0 and 1.57, got {self.max_direction_error_rad}")
        if len(self.posture_rad) != ARM:
            raise ValueError(f"jog.posture_rad: expected {ARM} values, got {len(self.posture_rad)}")


@dataclass(frozen=True, kw_only=True)
class JogStep:
    """Next joint targets, and what stood in the way."""

    position_rad: Array
    """(24,)"""
    followed: float
    """share of the requested motion that is made, 0..1; 1 without a request"""
    obstacles: tuple[str, ...]
    """'singularity', 'limit:JOINT'"""


class Jogger:
    """Moves joint targets so that the hand frame follows a twist or approaches a pose."""

    def __init__(self, kinematics: HandKinematics, lower_rad: Array, upper_rad: Array, config: JogConfig) -> None:
        """`lower_rad`, `upper_rad`: (7,) or more, the arm's limits first."""
        self._kinematics = kinematics
        self._lower = np.asarray(lower_rad, dtype=float)[:ARM] + config.limit_margin_rad
        self._upper = np.asarray(upper_rad, dtype=float)[:ARM] - config.limit_margin_rad
        self._posture = np.array(config.posture_rad)
        self._config = config

    def towards(self, position_rad: Array, hand_position_m: Array, hand_rotation: Array, period_s: float) -> JogStep:
        """One step from joint targets `position_rad` (24,) towards a hand pose in the base frame, at limited speed."""
        position, rotation = self._kinematics.hand_pose(position_rad)
        way = np.concatenate([hand_position_m - position, rotation_vector(hand_rotation @ rotation.T)])
        if np.linalg.norm(way) < 1e-7:
            return JogStep(position_rad=position_rad.copy(), followed=1.0, obstacles=())
        return self.follow(position_rad, way * self._config.pose_gain / period_s, period_s)

    def follow_hand_frame(self, position_rad: Array, twist: Array, period_s: float) -> JogStep:
        """Like `follow`, with the twist given along the axes of the hand frame."""
        _, rotation = self._kinematics.hand_pose(position_rad)
        return self.follow(position_rad, np.concatenate([rotation @ twist[:3], rotation @ twist[3:]]), period_s)

    def follow(self, position_rad: Array, twist: Array, period_s: float) -> JogStep:
        """One step from joint targets `position_rad` (24,) along `twist` (6,): m/s and rad/s of the hand frame, base axes.

        Linear and angular speed are limited first. Raises ValueError when an input is not finite.
        """
        if not (np.isfinite(position_rad).all() and np.isfinite(twist).all()):
            raise ValueError(f"expected finite joint targets and twist, got {position_rad} and {twist}")
        wanted = self._limited(twist)
        speed = float(np.linalg.norm(wanted))
        if speed < 1e-9:
            return JogStep(position_rad=position_rad.copy(), followed=1.0, obstacles=())
        jacobian = self._jacobian(position_rad)
        velocity, locked, damped = self._solve(jacobian, wanted, position_rad[:ARM], period_s)
        made = jacobian @ velocity
        velocity = velocity * self._fade(wanted, made)
        fastest = float(np.abs(velocity).max())
        if fastest > self._config.max_joint_speed_rad_s:
            velocity = velocity * (self._config.max_joint_speed_rad_s / fastest)
        target = position_rad.copy()
        target[:ARM] += velocity * period_s
        followed = float(np.clip(jacobian @ velocity @ wanted / speed**2, 0.0, 1.0))
        obstacles = tuple(f"limit:{ARM_JOINTS[joint]}" for joint in sorted(locked))
        return JogStep(
            position_rad=target, followed=followed, obstacles=obstacles + (("singularity",) if damped and followed < 0.8 else ())
        )

    def _limited(self, twist: Array) -> Array:
        """Twist within the speed limits, angular part weighed by LENGTH_M."""
        linear, angular = np.array(twist[:3], dtype=float), np.array(twist[3:], dtype=float)
        linear *= min(1.0, self._config.max_linear_m_s / max(float(np.linalg.norm(linear)), 1e-12))
        angular *= min(1.0, self._config.max_angular_rad_s / max(float(np.linalg.norm(angular)), 1e-12))
        return np.concatenate([linear, LENGTH_M * angular])

    def _jacobian(self, position_rad: Array) -> Array:
        """(6, 7): hand frame's motion per arm joint, angular rows weighed by LENGTH_M."""
        jacobian = self._kinematics.jacobian(position_rad).copy()
        jacobian[3:] *= LENGTH_M
        return jacobian

    def _solve(self, jacobian: Array, wanted: Array, position_rad: Array, period_s: float) -> tuple[Array, set[int], bool]:
        """Joint velocities (7,), joints locked at a limit, and whether damping was needed."""
        locked: set[int] = set()
        while True:
            free = [joint for joint in range(ARM) if joint not in locked]
            velocity = np.zeros(ARM)
            if not free:
                return velocity, locked, False
            part, damped = self._damped(jacobian[:, free], wanted, self._posture[free] - position_rad[free])
            velocity[free] = part
            after = position_rad + velocity * period_s
            excess = np.maximum(after - self._upper, self._lower - after)
            outwards = np.where(after > position_rad, after > self._upper, after < self._lower) & (velocity != 0.0)
            if not outwards.any():
                return velocity, locked, damped
            locked.add(int(np.argmax(np.where(outwards, excess, -np.inf))))

    def _damped(self, jacobian: Array, wanted: Array, to_posture_rad: Array) -> tuple[Array, bool]:
        """Damped least squares (Nakamura and Hanafusa 1986) with a posture term in the null space."""
        left, values, right = np.linalg.svd(jacobian, full_matrices=False)
        smallest, threshold = float(values[-1]) if len(values) == 6 else 0.0, self._config.singular_value
        damped = smallest < threshold
        damping = self._config.damping * (1.0 - smallest / threshold) if damped else 0.0
        inverse = values / np.maximum(values**2 + damping**2, 1e-12)
        velocity = right.T @ (inverse * (left.T @ wanted))
        activity = min(1.0, float(np.linalg.norm(wanted)) / self._config.max_linear_m_s)
        pull = self._config.posture_gain_1_s * activity * to_posture_rad
        rows = right[values > 1e-6]
        return velocity + pull - rows.T @ (rows @ pull), damped

    def _fade(self, wanted: Array, made: Array) -> float:
        """1 when the motion made has the wanted direction, 0 when it deviates by `max_direction_error_rad` or more."""
        size = float(np.linalg.norm(made))
        along = float(made @ wanted) / float(np.linalg.norm(wanted))
        if size < 1e-9 or along <= 0.0:
            return 0.0
        angle = float(np.arccos(min(1.0, along / size)))
        return max(0.0, 1.0 - angle / self._config.max_direction_error_rad)


def keep_within(target_rad: Array, executed_rad: Array, max_lead_rad: float) -> Array:
    """Targets pulled back to at most `max_lead_rad` from what is executed, so that they do not wind up behind a blocked robot."""
    return np.asarray(executed_rad + np.clip(target_rad - executed_rad, -max_lead_rad, max_lead_rad))


def clamp_to_limits(target_rad: Array, current_rad: Array, lower_rad: Array, upper_rad: Array) -> Array:
    """Targets inside the limits; a joint that stands outside already may stay or come back, never go further out."""
    return np.clip(target_rad, np.minimum(lower_rad, current_rad), np.maximum(upper_rad, current_rad))


def joint_vector(names: Sequence[str], values: Sequence[float], wanted: Sequence[str]) -> Array:
    """`values` in the order of `wanted`; raises ValueError when a name is missing, double, or the lengths differ."""
    if len(names) != len(values):
        raise ValueError(f"expected as many positions as names, got {len(values)} and {len(names)}")
    vector: Array = np.asarray(values, dtype=np.float64)[indices_of(names, wanted)]
    return vector

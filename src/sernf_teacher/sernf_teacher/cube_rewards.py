"""What the teacher is paid for: named terms times a table of weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
INDEX = 1
"""Of the index finger among the tips, which is used least and reminded most."""


@dataclass(frozen=True, kw_only=True)
class RewardWeights:
    """Factors of the terms of `reward_terms`; see there."""

    spin: float = 1.5
    overspeed: float = -0.3
    alive: float = 0.05
    fingertips: float = 0.1
    wrong_touch: float = -0.1
    wind: float = 0.3
    index_far: float = -6.0
    others_far: float = -2.0
    falling: float = -4.0
    away: float = -40.0
    sag: float = -5.0
    tilt: float = -1.0
    torque: float = -0.006
    work: float = -0.01
    force: float = -0.01
    action: float = -0.003
    jerk: float = -0.003
    drop: float = -3.0


@dataclass(frozen=True)
class Moment:
    """What a step did, n copies: `spin_rad_s` (n,), `offset_m` (n, 3), `velocity_m_s` (n, 3), `tilt_rad` (n,), `distance_m`,
    `force_n`, `on_side`, `winding_rad_s` (n, 5) of the tips, `other_n` (n,), `torque_nm`, `joint_velocity_rad_s`, `action`,
    `last_action` (n, 16), `dropped` (n,).
    """

    spin_rad_s: Floats
    offset_m: Floats
    velocity_m_s: Floats
    tilt_rad: Floats
    distance_m: Floats
    force_n: Floats
    on_side: Flags
    winding_rad_s: Floats
    other_n: Floats
    torque_nm: Floats
    joint_velocity_rad_s: Floats
    action: Floats
    last_action: Floats
    dropped: Flags

    def touching(self, threshold_n: float) -> Flags:
        """Which tips press on a side (n, 5)."""
        return (self.force_n > threshold_n) & self.on_side


NEAR_M, FAR_M = 0.002, 0.012
STRONG_N = 3.0


def reward_terms(
    moment: Moment, *, nearness: float, speed_rad_s: float, gentleness: float, caution: float, touch_n: float
) -> dict[str, Floats]:
    """Terms (n,) by name.

    `spin`: rotation, which counts only as far as two further fingertips hold the cube besides the first; turning back always
    counts. `wind`: tips in the air that go back against the rotation to take hold again, less those that go with it.
    `force`: newtons above STRONG_N; `gentleness` is a factor on it and on `jerk`, `caution` on `drop`.
    `wrong_touch`: tips on top or below, and anything of the hand but fingertips.
    """
    touching = moment.touching(touch_n)
    near = np.clip(1.0 - (moment.distance_m - NEAR_M) / (FAR_M - NEAR_M), 0.0, 1.0) * moment.on_side
    holding = nearness * near + (1.0 - nearness) * touching
    gate = np.clip((holding.sum(-1) - 1.0) / 2.0, 0.0, 1.0)
    spin = np.clip(moment.spin_rad_s, -speed_rad_s, speed_rad_s)
    wrong = ((moment.force_n > touch_n) & ~moment.on_side).sum(-1) + 2.0 * (moment.other_n > touch_n)
    in_air = ~touching & (moment.distance_m < 0.03)
    far = np.maximum(moment.distance_m - 0.008, 0.0)
    away = np.linalg.norm(moment.offset_m, axis=-1)
    return {
        "spin": spin * np.where(spin > 0.0, gate, 1.0),
        "overspeed": np.maximum(moment.spin_rad_s - speed_rad_s - 0.3, 0.0),
        "alive": np.ones(len(spin)),
        "fingertips": np.minimum(holding.sum(-1), 4.0),
        "wrong_touch": wrong.astype(float),
        "wind": (np.clip(-moment.winding_rad_s, -2.0, 2.0) * in_air).mean(-1),
        "index_far": far[:, INDEX],
        "others_far": far.sum(-1) - far[:, INDEX],
        "falling": np.maximum(-moment.velocity_m_s[:, 2], 0.0),
        "away": np.maximum(away - 0.005, 0.0),
        "sag": np.maximum(-moment.offset_m[:, 2] - 0.003, 0.0),
        "tilt": moment.tilt_rad,
        "torque": (moment.torque_nm**2).sum(-1),
        "work": np.abs(moment.torque_nm * moment.joint_velocity_rad_s).sum(-1),
        "force": gentleness * np.maximum(moment.force_n - STRONG_N, 0.0).sum(-1),
        "action": (moment.action**2).sum(-1),
        "jerk": gentleness * ((moment.action - moment.last_action) ** 2).sum(-1),
        "drop": caution * moment.dropped,
    }

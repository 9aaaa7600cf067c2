"""What differs from one copy of the simulated hand to the next: one table, and what is drawn from it.

Ranges are uniform. A `strength` below 1 shrinks them towards nominal, one above 1 widens them: a curriculum goes from 0 to beyond
what is measured.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Randomisation:
    """The table. `*_scale`: factors on the nominal value, drawn at each reset. Noise: standard deviations, drawn at each step.

    `bias`: standard deviation, drawn at each reset. `delay_s`: of commands. `push_n_s`: impulse on the cube, in any horizontal or
    vertical direction, `push_hz` times a second on average.
    """

    mass_scale: Range = (0.7, 1.4)
    size_scale: Range = (0.97, 1.03)
    friction_scale: Range = (0.7, 1.3)
    stiffness_scale: Range = (0.75, 1.2)
    damping_scale: Range = (0.8, 1.3)
    delay_s: Range = (0.0, 0.02)
    joint_noise_rad: float = 0.002
    joint_bias_rad: float = 0.01
    cube_position_noise_m: float = 0.001
    cube_position_bias_m: float = 0.002
    cube_rotation_noise_rad: float = 0.01
    push_n_s: float = 0.003
    push_hz: float = 0.5

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            low, high = value if isinstance(value, tuple) else (value, value)
            if not 0.0 <= low <= high:
                raise ValueError(f"{field.name}: expected 0 <= lower <= upper, got {value}")
            if field.name.endswith("_scale") and low == 0.0:
                raise ValueError(f"{field.name}: expected more than 0, got {value}")

    def draw(self, rng: np.random.Generator, count: int, strength: float) -> Draw:
        """One draw for each of `count` copies."""
        scales = {
            name: 1.0 + strength * (rng.uniform(low, high, size=count) - 1.0)
            for name in ("mass_scale", "size_scale", "friction_scale", "stiffness_scale", "damping_scale")
            for low, high in [getattr(self, name)]
        }
        return Draw(
            **scales,
            delay_s=strength * rng.uniform(*self.delay_s, size=count),
            joint_bias_rad=strength * self.joint_bias_rad * rng.standard_normal((count, 16)),
            cube_bias_m=strength * self.cube_position_bias_m * rng.standard_normal((count, 3)),
        )


@dataclass(frozen=True)
class Draw:
    """What was drawn, one row a copy."""

    mass_scale: Floats
    size_scale: Floats
    friction_scale: Floats
    stiffness_scale: Floats
    damping_scale: Floats
    delay_s: Floats
    joint_bias_rad: Floats
    cube_bias_m: Floats

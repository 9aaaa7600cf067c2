"""Sets of physics: what the simulated world is made of, and how well it can be seen.

`nominal` is the simulation that policies and demonstrators know. `twin` is deliberately different and stands in for reality
wherever "real" results are wanted. Values lie in config/physics/*.yaml; the dataclass owns names, defaults and checks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sernf_robot.config import load_config
from sernf_robot.config_files import config_path


@dataclass(frozen=True, kw_only=True)
class Physics:
    """One set of physics. Scales multiply the model's own values; standard deviations are those of normal distributions.

    `object_position_bias_m` is drawn once per reset (a badly calibrated camera), noise anew for every estimate.
    """

    friction_scale: float = 1.0
    object_mass_scale: float = 1.0
    arm_gain_scale: float = 1.0
    hand_gain_scale: float = 1.0
    hand_damping_scale: float = 1.0
    command_delay_s: float = 0.0
    joint_position_noise_rad: float = 0.0
    joint_velocity_noise_rad_s: float = 0.0
    object_position_noise_m: float = 0.0
    object_position_bias_m: float = 0.0
    object_rotation_noise_rad: float = 0.0
    object_delay_s: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name.endswith("_scale"):
                if not 0.1 <= value <= 10.0:
                    raise ValueError(f"{name}: expected 0.1 to 10, got {value}")
            elif not 0.0 <= value <= 1.0:
                raise ValueError(f"{name}: expected 0 to 1, got {value}")


def load_physics(name_or_path: str | Path) -> Physics:
    """Read a set by name ("nominal", "twin") or from a YAML file; raises sernf_robot.config.ConfigError."""
    text = str(name_or_path)
    path = Path(text) if text.endswith((".yaml", ".yml")) else config_path(f"physics/{text}.yaml")
    physics: Physics = load_config(Physics, path)
    return physics

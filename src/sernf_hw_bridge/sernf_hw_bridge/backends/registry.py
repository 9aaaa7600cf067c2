"""Backends by name. Vendor SDKs and the simulation are imported only when they are chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sernf_hw_bridge.backends.mock import MockBackend, MockConfig
from sernf_hw_bridge.backends.protocol import Backend
from sernf_hw_bridge.trajectories import Array
from sernf_robot.config import load_config
from sernf_robot.joints import ARM_JOINTS, HAND_JOINTS

if TYPE_CHECKING:
    from sernf_hw_bridge.backends.sim import SharedWorld

PartName = Literal["arm", "hand"]
PART_JOINTS: dict[str, tuple[str, ...]] = {"arm": ARM_JOINTS, "hand": HAND_JOINTS}


@dataclass(frozen=True, kw_only=True)
class BackendOptions:
    """What the backends need. `home_position_rad`: joint -> rad, where the mock starts. Files: the vendor backends' own settings.

    `world` makes or returns the one simulated world that arm and hand share.
    """

    home_position_rad: dict[str, float]
    mock: MockConfig
    world: Callable[[], SharedWorld]
    franka_file: Path | None = None
    orca_file: Path | None = None


def create_backend(name: str, part: PartName, options: BackendOptions) -> Backend:
    """Backend `name` (sim, mock, franka, orca) for `part`; nothing is connected. Raises ValueError when they do not fit."""
    joints = PART_JOINTS[part]
    if name == "mock":
        start: Array = _positions(joints, options.home_position_rad)
        return MockBackend(joints, start, options.mock)
    if name == "sim":
        from sernf_hw_bridge.backends.sim import SimBackend

        return SimBackend(joints, options.world())
    if name == "franka" and part == "arm":
        from sernf_hw_bridge.backends.franka import FrankaBackend, FrankaConfig

        return FrankaBackend(load_config(FrankaConfig, _required(options.franka_file, "franka_file")))
    if name == "orca" and part == "hand":
        from sernf_hw_bridge.backends.orca import OrcaBackend, OrcaConfig

        return OrcaBackend(load_config(OrcaConfig, _required(options.orca_file, "orca_file")))
    vendor = "franka" if part == "arm" else "orca"
    raise ValueError(f"{part}: expected backend sim, mock or {vendor}, got {name!r}")


def _positions(joints: tuple[str, ...], position_rad: dict[str, float]) -> Array:
    import numpy as np

    return np.array([position_rad[name] for name in joints])


def _required(path: Path | None, key: str) -> Path:
    if path is None:
        raise ValueError(f"{key}: expected the settings file of the chosen backend, got none; give its path")
    return path

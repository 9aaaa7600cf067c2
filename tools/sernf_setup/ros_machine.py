"""Is ROS 2 already here? Then the set-up uses it and leaves the wheels alone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sernf_setup.errors import SetupError

_SUPPORTED = ("kilted", "jazzy")
_ASK = "import rclpy, sys; print(rclpy.__file__); print(sys.version_info[1])"


@dataclass(frozen=True, kw_only=True)
class RosMachine:
    """A sourced ROS 2: `distribution` and the `prefixes` that it was sourced from, in their order."""

    distribution: str
    prefixes: tuple[str, ...]


def find(python: str, root: Path, environment: Mapping[str, str]) -> RosMachine | None:
    """The sourced ROS 2 that `python` can import; None on a machine without, or inside the environment of a clone with wheels.

    Raises SetupError when one is sourced but is none that works here.
    """
    distribution = environment.get("ROS_DISTRO", "")
    prefixes = tuple(entry for entry in environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if entry)
    foreign = tuple(prefix for prefix in prefixes if not Path(prefix).is_relative_to(root))
    from_wheels = any((Path(prefix) / "pyvenv.cfg").exists() for prefix in prefixes)
    if not distribution or not foreign or from_wheels:
        return None
    try:
        answer = subprocess.run(
            [python, "-c", _ASK], env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60.0
        )
    except subprocess.TimeoutExpired as error:
        raise SetupError(
            f"the sourced ROS 2 {distribution} to import", f"{python} hangs on `import rclpy`", "open a shell without it"
        ) from error
    if answer.returncode != 0:
        raise SetupError(
            f"{python} to import rclpy of the sourced ROS 2 {distribution}",
            answer.stderr.strip().splitlines()[-1] if answer.stderr.strip() else "it fails without a word",
            "name the Python of this ROS 2 (SERNF_PYTHON=/usr/bin/python3), or use a shell in which ROS 2 is not sourced",
        )
    if distribution not in _SUPPORTED:
        raise SetupError(
            f"ROS 2 {' or '.join(_SUPPORTED)}", f"ROS_DISTRO={distribution}", "source one of these, or none, and run again"
        )
    return RosMachine(distribution=distribution, prefixes=foreign)

"""Where the configuration files lie: in the source tree, in an installed package, or where an environment variable says."""

from __future__ import annotations

import os
from pathlib import Path

from sernf_robot.config import ConfigError

FOLDER_VARIABLE = "SERNF_CONFIG_DIR"


def config_path(name: str) -> Path:
    """Path of a configuration file such as "limits.yaml" or "physics/twin.yaml"; raises ConfigError that says where it looked.

    Looked for in the folder named by `SERNF_CONFIG_DIR` (and then only there), in `config/` of the source tree around this file,
    and in `share/sernf/config` of every prefix in `AMENT_PREFIX_PATH`.
    """
    override = os.environ.get(FOLDER_VARIABLE)
    if override:
        folders = [Path(override)]
    else:
        folders = [parent / "config" for parent in Path(__file__).resolve().parents if (parent / "config/limits.yaml").is_file()]
        prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
        folders += [Path(prefix) / "share/sernf/config" for prefix in prefixes if prefix]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    looked = ", ".join(map(str, folders)) or "no folder at all"
    raise ConfigError(f"{name}: expected this configuration file, looked in {looked}; set {FOLDER_VARIABLE} to its folder")

"""The environment in which everything runs, computed once from the built workspace and kept in a file."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sernf_setup.child import Child
from sernf_setup.layout import Layout
from sernf_setup.stamps import write_atomically

LISTS = (
    "PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "COLCON_PREFIX_PATH", "PKG_CONFIG_PATH",
)  # fmt: skip
_LEAVE_OUT = frozenset({"PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"})


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Changes to a user's environment: list entries put in front, variables set, variables set unless the user did."""

    key: str
    front: dict[str, list[str]]
    fixed: dict[str, str]
    default: dict[str, str]

    def applied_to(self, user: Mapping[str, str]) -> dict[str, str]:
        result = dict(user)
        result.pop("PYTHONHOME", None)
        for name, entries in self.front.items():
            kept = [entry for entry in user.get(name, "").split(os.pathsep) if entry and entry not in entries]
            result[name] = os.pathsep.join([*entries, *kept])
        return {**self.default, **result, **self.fixed}

    def as_shell(self) -> str:
        """For `source <(./sernf env)` in bash or zsh."""
        lines = [f"export {name}={shlex.quote(value)}" for name, value in self.fixed.items()]
        lines += [f'export {name}="${{{name}:-{value}}}"' for name, value in self.default.items()]
        lines += [
            f'export {name}={shlex.quote(os.pathsep.join(entries))}"${{{name}:+:${name}}}"'
            for name, entries in self.front.items()
        ]
        return "\n".join(lines)

    def save(self, path: Path) -> None:
        write_atomically(path, json.dumps(asdict(self), indent=1))


def load(path: Path, key: str) -> Environment | None:
    """The kept environment, if it was made for `key`."""
    try:
        kept = Environment(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return kept if kept.key == key else None


def of_wheels(layout: Layout) -> dict[str, str]:
    """What the ROS wheels need, before the workspace is built.

    The last variable tells the wheels' start-up hook that the library path is set, which saves every Python a second start.
    """
    libraries = [layout.venv / "lib", *sorted(layout.site_packages().glob("ros_*.libs"))]
    return {
        "VIRTUAL_ENV": str(layout.venv),
        "PATH": str(layout.venv / "bin"),
        "AMENT_PREFIX_PATH": str(layout.venv),
        "CMAKE_PREFIX_PATH": str(layout.venv),
        "LD_LIBRARY_PATH": os.pathsep.join(str(folder) for folder in libraries),
        "ROS_VERSION": "2",
        "ROS_PYTHON_VERSION": "3",
        "ROS_DISTRO": "kilted",
        "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1",
    }


def of_venv(layout: Layout) -> dict[str, str]:
    """On a machine with ROS 2: its own variables come from the user's environment."""
    return {"VIRTUAL_ENV": str(layout.venv), "PATH": str(layout.venv / "bin")}


def for_build(base: Mapping[str, str], user: Mapping[str, str]) -> dict[str, str]:
    """The environment of colcon: `base` in front of the user's variables."""
    result = {**user, **base}
    for name in LISTS:
        if base.get(name) and user.get(name):
            result[name] = os.pathsep.join([base[name], user[name]])
    if "_ROS_WHEELS_BOOTSTRAP_COMPLETE" in base:
        for name in ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH"):
            result[name] = base[name]
        for name in ("COLCON_PREFIX_PATH", "PYTHONPATH", "PYTHONHOME"):
            result.pop(name, None)
    return result


def capture(layout: Layout, base: Mapping[str, str], child: Child, key: str) -> Environment:
    """Source the workspace's setup.bash in a bare shell and keep what it changed."""
    bash = shutil.which("bash") or "/bin/bash"
    start = {"PATH": os.defpath, "HOME": str(layout.root)}
    bare = {**start, **base, "PATH": os.pathsep.join([base["PATH"], start["PATH"]])}
    script = 'source "$1/install/local_setup.bash" >/dev/null; env -0'
    output = replace(child, environment=bare).run("environment", [bash, "-c", script, "bash", str(layout.root)], cwd=layout.root)
    pairs = dict(pair.split("=", 1) for pair in output.split("\0") if "=" in pair)
    system = set(start["PATH"].split(os.pathsep))
    front = {name: list(dict.fromkeys(filter(None, pairs[name].split(os.pathsep)))) for name in LISTS if pairs.get(name)}
    front["PATH"] = [entry for entry in front["PATH"] if entry not in system]
    fixed = {name: value for name, value in pairs.items() if name not in (*LISTS, *_LEAVE_OUT, *start)}
    default = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    return Environment(key=key, front=front, fixed=fixed, default=default)

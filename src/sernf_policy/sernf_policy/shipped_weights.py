"""Where the weights lie that come with the project: `weights/TASK/STAGE.safetensors`, each with its JSON beside it.

Looked for in the source tree and in `share/sernf_policy` of every prefix in `AMENT_PREFIX_PATH`.
"""

from __future__ import annotations

import os
from pathlib import Path

from sernf_policy.checkpoint_files import JSON_SUFFIX, WEIGHTS_SUFFIX

STAGES = ("imitation", "offline", "online")
"""Each begins with the one before; the last that is there is the best."""


class ShippedWeightsError(RuntimeError):
    """No such weights; the message lists what there is."""


def shipped_weights(task: str) -> dict[str, Path]:
    """Name -> file of the weights that are shipped for `task`, stages first; the source tree wins."""
    found: dict[str, Path] = {}
    for folder in _folders(task):
        for file in sorted(folder.glob(f"*{WEIGHTS_SUFFIX}")):
            found.setdefault(file.name.removesuffix(WEIGHTS_SUFFIX), file)
    order = {name: number for number, name in enumerate(STAGES)}
    return dict(sorted(found.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))


def weights_path(wanted: str, task: str) -> Path:
    """The file meant by `wanted`: a path, a shipped name, or empty for the last shipped stage. Raises ShippedWeightsError."""
    shipped = shipped_weights(task)
    if wanted in shipped:
        return shipped[wanted]
    if not wanted:
        stages = [shipped[stage] for stage in STAGES if stage in shipped]
        if stages:
            return stages[-1]
        raise ShippedWeightsError(f"no weights are shipped for task {task}; {_what_to_do()}")
    path = Path(wanted).expanduser().absolute()
    if path.is_file() or path.with_name(path.name + WEIGHTS_SUFFIX).is_file():
        return path
    names = ", ".join(shipped) or "none"
    is_path = os.sep in wanted or wanted.endswith((WEIGHTS_SUFFIX, JSON_SUFFIX))
    instead = _what_to_do() if is_path else f"shipped for task {task}: {names}; {_what_to_do()}"
    raise ShippedWeightsError(f"{wanted}: expected a weights file or a shipped name, there is no file {path}; {instead}")


def _what_to_do() -> str:
    return "train some with learner/train, or give a .safetensors file"


def _folders(task: str) -> list[Path]:
    tree = [Path(__file__).resolve().parents[1] / "weights" / task]
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    return tree + [Path(prefix) / "share/sernf_policy/weights" / task for prefix in prefixes if prefix]

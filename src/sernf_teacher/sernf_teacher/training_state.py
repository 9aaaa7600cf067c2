"""A training's state on the disk: nested dictionaries of arrays, tensors, numbers and lists; reading it runs no code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

_ARRAY = "array:"
"""Marks keys whose values were numpy arrays."""


def save_state(file: Path, state: dict[str, Any]) -> None:
    """Replace `file`; a crash leaves the old one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(file.name + ".new")
    with temporary.open("wb") as stream:
        torch.save(_packed(state), stream)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)


def load_state(file: Path) -> dict[str, Any]:
    """What was saved. Raises OSError and what torch says of a damaged file."""
    state: dict[str, Any] = _unpacked(torch.load(file, map_location="cpu", weights_only=True))
    return state


def _packed(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            (_ARRAY + name if isinstance(item, np.ndarray) else name): (
                torch.from_numpy(np.ascontiguousarray(item)) if isinstance(item, np.ndarray) else _packed(item)
            )
            for name, item in value.items()
        }
    return value


def _unpacked(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            (name.removeprefix(_ARRAY) if isinstance(name, str) else name): (
                item.numpy().copy() if isinstance(name, str) and name.startswith(_ARRAY) else _unpacked(item)
            )
            for name, item in value.items()
        }
    return value

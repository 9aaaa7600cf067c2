"""The teacher's weights as data: NAME.safetensors with the networks, NAME.json with what they are and the weights' hash."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as tensors_to_bytes

from sernf_policy.checkpoint_files import CheckpointError, both_files, read_pair, write_pair
from sernf_teacher.cube_model import JOINTS
from sernf_teacher.cube_observation import PARTS, SIZE
from sernf_teacher.ppo import ActorCritic

FORMAT = 1
SHIPPED = Path(__file__).parent / "weights" / "cube"
LARGEST_HIDDEN = 4096


class Teacher:
    """A trained teacher that acts without exploring."""

    def __init__(self, networks: ActorCritic, info: dict[str, Any]) -> None:
        self.info = info
        self._networks = networks.eval()

    @torch.no_grad()
    def act(self, observation: NDArray[np.float32]) -> NDArray[np.float64]:
        """Actions (n, 16) for observations (n, SIZE)."""
        return self._networks.act(torch.from_numpy(observation)).numpy().astype(np.float64)


def save_teacher(path: Path, networks: ActorCritic, *, level: float, samples: int, seed: int) -> dict[str, Any]:
    """Write both files; a crash leaves the old pair or the new one. Returns the JSON's content."""
    weights = tensors_to_bytes({name: tensor.contiguous() for name, tensor in networks.state_dict().items()})
    hidden = [layer.out_features for layer in networks.actor if isinstance(layer, torch.nn.Linear)][:-1]
    info = {
        "format": FORMAT, "task": "cube", "stage": "teacher", "sha256": hashlib.sha256(weights).hexdigest(), "hidden": hidden,
        "observation": PARTS, "level": level, "samples": samples, "seed": seed,
    }  # fmt: skip
    weights_file, json_file = both_files(path)
    write_pair(weights_file, weights, json_file, json.dumps(info, indent=1) + "\n")
    return info


def read_stage(path: Path) -> str:
    """What the JSON of weights says about their stage; empty when it does not. Raises CheckpointError when there is none."""
    _, json_file = both_files(path)
    try:
        info = json.loads(json_file.read_text(encoding="utf8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{json_file}: expected the description of weights, got: {error}") from error
    return str(info.get("stage", "")) if isinstance(info, dict) else ""


def load_teacher(path: Path) -> Teacher:
    """Read NAME.safetensors and NAME.json; raises CheckpointError for what is missing, damaged or of another observation."""
    weights_file, json_file = both_files(path)
    text, weights = read_pair(weights_file, json_file)
    try:
        info = json.loads(text)
        hidden = tuple(int(size) for size in info["hidden"])
        fits = info["format"] == FORMAT and info["observation"] == PARTS and all(0 < size <= LARGEST_HIDDEN for size in hidden)
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{json_file}: expected the description of a cube teacher, got something else ({error})") from error
    if not fits:
        raise CheckpointError(f"{json_file}: expected format {FORMAT} and this version's observation, got another; train anew")
    if hashlib.sha256(weights).hexdigest() != info["sha256"]:
        raise CheckpointError(f"{weights_file}: expected SHA-256 {info['sha256']}, got another; copy both again")
    networks = ActorCritic(SIZE, JOINTS, hidden)
    try:
        networks.load_state_dict(tensors_from_bytes(weights))
    except (SafetensorError, RuntimeError) as error:
        raise CheckpointError(f"{weights_file}: does not hold the networks that {json_file.name} describes: {error}") from error
    return Teacher(networks, info)

"""Checkpoints: weights as data, never as code, in two files side by side.

NAME.safetensors holds the tensors of the policy, of the critic if there is one, and of a held-out batch with the log-likelihoods
that the policy must give to it. NAME.json says what they are: layout, units, sizes, how to act, where they come from. The hash of
the weights stands in the JSON and the JSON's in the weights, so neither can change alone. The same content gives the same bytes.

Reading never runs code from the files and checks everything before anything is built; what does not fit raises `CheckpointError`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor, nn

from sernf_policy.acting import ActingConfig
from sernf_policy.checkpoint_files import CheckpointError, both_files, header_of, read_pair, write_pair
from sernf_policy.critic import ChunkCritic, CriticConfig
from sernf_policy.layout import PolicyLayout
from sernf_policy.likelihood_monitor import LikelihoodThresholds, calibrate
from sernf_policy.policy import ChunkPolicy, PolicyConfig
from sernf_robot.config import ConfigError, from_mapping

FORMAT = 1
"""Goes up when files that older code wrote would be misread."""
UNITS = {"joint": "rad", "position": "m", "rotation": "matrix columns", "frame": "fr3_link0", "log_prob": "nats per rad^D"}
DESCRIPTION_HASH = "description_sha256"
"""Key in the header of the weights' file: hash of the JSON without what depends on the weights' file."""
POLICY, CRITIC, HELD_OUT = "policy.", "critic.", "held_out."


@dataclass(frozen=True)
class HeldOut:
    """Data that no training saw: `vector` (n, o), `chunk` (n, H, A) rad, and the policy's `log_prob` (n,), nats per rad^D."""

    vector: Tensor
    chunk: Tensor
    log_prob: Tensor

    @classmethod
    def of(cls, policy: ChunkPolicy, vector: Tensor, chunk: Tensor) -> HeldOut:
        """Rows with the log-likelihoods that `policy`, as it is now, gives to them."""
        was_training = policy.training
        policy.eval()
        with torch.no_grad():
            log_prob = policy.log_prob({"vector": vector}, chunk)
        policy.train(was_training)
        return cls(vector.detach().clone(), chunk.detach().clone(), log_prob)

    def thresholds(self, policy: ChunkPolicy) -> LikelihoodThresholds:
        """Bounds for the likelihood monitor, from these rows; better the more there are. Raises ValueError for none."""
        distance = policy.encoder.standardiser.distance(self.vector).amax(-1)
        return calibrate(self.log_prob.numpy(), distance.numpy(), policy.layout.chunk_size)

    def rows(self, count: int) -> HeldOut:
        """At most `count` rows, spread evenly."""
        index = torch.linspace(0, len(self.log_prob) - 1, min(count, len(self.log_prob))).round().long()
        return HeldOut(self.vector[index], self.chunk[index], self.log_prob[index])


@dataclass(frozen=True, kw_only=True)
class CheckpointInfo:
    """Content of NAME.json. Hashes are SHA-256 in hex; `parent_sha256`: of the weights that training began with, empty for none.

    `data_sha256`: of the data set. `metrics`: what training and evaluation measured. `likelihood`: None when not calibrated.
    `sha256` and `weights_bytes`: of NAME.safetensors. `version`: for people.
    """

    format: int
    version: str
    stage: str
    sha256: str
    weights_bytes: int
    layout: PolicyLayout
    policy: PolicyConfig
    critic: CriticConfig | None
    acting: ActingConfig
    parent_sha256: str = ""
    data_sha256: str = ""
    seed: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    likelihood: LikelihoodThresholds | None = None
    units: dict[str, str] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)

    @property
    def task(self) -> str:
        """What the policy does."""
        return self.layout.task


@dataclass
class Checkpoint:
    """What a checkpoint holds; modules are in evaluation mode, on the processor."""

    policy: ChunkPolicy
    critic: ChunkCritic | None
    acting: ActingConfig
    info: CheckpointInfo
    held_out: HeldOut | None


def save_checkpoint(
    path: Path,
    *,
    policy: ChunkPolicy,
    critic: ChunkCritic | None = None,
    acting: ActingConfig,
    stage: str,
    parent_sha256: str = "",
    data_sha256: str = "",
    seed: int = 0,
    metrics: Mapping[str, float] | None = None,
    likelihood: LikelihoodThresholds | None = None,
    held_out: HeldOut | None = None,
) -> CheckpointInfo:
    """Write both files; a crash leaves the old pair or the new one, and when this returns the new one survives a power cut.

    Raises CheckpointError, before anything is written, for what `load_checkpoint` would refuse, and OSError.
    """
    weights_file, json_file = both_files(path)
    content: dict[str, Any] = {
        "format": FORMAT,
        "stage": stage,
        "layout": dataclasses.asdict(policy.layout),
        "policy": dataclasses.asdict(policy.config),
        "critic": None if critic is None else dataclasses.asdict(critic.config),
        "acting": dataclasses.asdict(acting),
        "parent_sha256": parent_sha256,
        "data_sha256": data_sha256,
        "seed": seed,
        "metrics": {name: float(value) for name, value in (metrics or {}).items()},
        "likelihood": None if likelihood is None else dataclasses.asdict(likelihood),
        "units": UNITS,
        "packages": {"torch": torch.__version__, "numpy": np.__version__, "safetensors": safetensors.__version__},
    }
    tensors = _tensors(policy, critic, held_out)
    try:
        description = _description_hash(content)
    except ValueError as error:
        raise CheckpointError(f"{json_file}: expected finite numbers in metrics, got {content['metrics']}") from error
    weights = tensors_to_bytes(tensors, metadata={DESCRIPTION_HASH: description})
    content["sha256"] = hashlib.sha256(weights).hexdigest()
    content["weights_bytes"] = len(weights)
    content["version"] = _version(policy.layout.task, stage, content["sha256"])
    info = _info(content, json_file)
    _build(info, tensors, weights_file)
    write_pair(weights_file, weights, json_file, json.dumps(content, indent=1, allow_nan=False) + "\n")
    return info


def load_checkpoint(path: Path, *, expected_sha256: str = "", joint_names: tuple[str, ...] = ()) -> Checkpoint:
    """Read NAME.safetensors and NAME.json; `path` is either of them.

    `expected_sha256`: the weights that were announced. `joint_names`: those of the robot that is to be moved, in any order.
    Raises CheckpointError, which names the file, for what is missing, damaged, of an unknown format or unfit.
    """
    weights_file, json_file = both_files(path)
    text, weights = read_pair(weights_file, json_file)
    content = _content(text, json_file)
    info = _info(content, json_file)
    sha256 = hashlib.sha256(weights).hexdigest()
    if len(weights) != info.weights_bytes:
        raise CheckpointError(
            f"{weights_file}: expected {info.weights_bytes} bytes, got {len(weights)}; the file is truncated or not the one that "
            f"{json_file.name} describes: copy both again"
        )
    if sha256 != info.sha256:
        raise CheckpointError(f"{weights_file}: expected SHA-256 {info.sha256}, got {sha256}; it is damaged: copy both again")
    if expected_sha256 and sha256 != expected_sha256:
        raise CheckpointError(
            f"{weights_file}: expected SHA-256 {expected_sha256} as announced, got {sha256}; other weights lie there now"
        )
    try:
        tensors = tensors_from_bytes(weights)
    except SafetensorError as error:
        raise CheckpointError(f"{weights_file}: not a safetensors file: {error}") from error
    if header_of(weights).get(DESCRIPTION_HASH) != _description_hash(content):
        raise CheckpointError(
            f"{json_file}: expected what was saved with {weights_file.name}, got something else; it was changed: save anew"
        )
    if joint_names:
        try:
            info.layout.check_joints(joint_names)
        except ValueError as error:
            raise CheckpointError(f"{json_file}: {error}") from error
    return _build(info, tensors, weights_file)


def _tensors(policy: ChunkPolicy, critic: ChunkCritic | None, held_out: HeldOut | None) -> dict[str, Tensor]:
    parts: list[tuple[str, Mapping[str, Tensor]]] = [(POLICY, policy.state_dict())]
    if critic is not None:
        parts.append((CRITIC, critic.state_dict()))
    if held_out is not None:
        parts.append((HELD_OUT, vars(held_out)))
    return {prefix + name: tensor.detach().cpu().contiguous().clone() for prefix, part in parts for name, tensor in part.items()}


def _content(text: bytes, json_file: Path) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise CheckpointError(f"{json_file}: not valid JSON: {error}; copy both files again") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{json_file}: expected a mapping, got {type(content).__name__}")
    if content.get("format") != FORMAT:
        raise CheckpointError(
            f"{json_file}: expected checkpoint format {FORMAT}, got {content.get('format', 'none')}; "
            "another version of sernf wrote it"
        )
    return content


def _info(content: Mapping[str, Any], json_file: Path) -> CheckpointInfo:
    try:
        info = from_mapping(CheckpointInfo, content, where=str(json_file))
        info.acting.player.check_horizon(info.layout.horizon)
    except ConfigError as error:
        raise CheckpointError(str(error)) from error
    except ValueError as error:
        raise CheckpointError(f"{json_file}: {error}") from error
    wrong = [f"{name} in {info.units.get(name, 'nothing')}" for name, unit in UNITS.items() if info.units.get(name) != unit]
    if wrong:
        expected = ", ".join(f"{name} in {unit}" for name, unit in UNITS.items())
        raise CheckpointError(f"{json_file}: units: expected {expected}; got {', '.join(wrong)}")
    version = _version(info.task, info.stage, info.sha256)
    if info.version != version:
        raise CheckpointError(f"{json_file}: version: expected {version}, got {info.version}")
    return info


def _version(task: str, stage: str, sha256: str) -> str:
    return f"{task}-{stage}-{sha256[:8]}"


def _description_hash(content: Mapping[str, Any]) -> str:
    described = {key: value for key, value in content.items() if key not in ("sha256", "weights_bytes", "version")}
    return hashlib.sha256(json.dumps(described, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _build(info: CheckpointInfo, tensors: Mapping[str, Tensor], weights_file: Path) -> Checkpoint:
    with torch.random.fork_rng(devices=[]):
        policy = ChunkPolicy(info.layout, info.policy)
        critic = None if info.critic is None else ChunkCritic(info.layout, info.critic)
    expected = {POLICY + name: tensor for name, tensor in policy.state_dict().items()}
    if critic is not None:
        expected |= {CRITIC + name: tensor for name, tensor in critic.state_dict().items()}
    held_out = any(name.startswith(HELD_OUT) for name in tensors)
    if held_out:
        rows = len(tensors.get(HELD_OUT + "log_prob", ()))
        layout = info.layout
        chunk_shape = (rows, layout.horizon, layout.action_size)
        shapes = {"vector": (rows, layout.observation_size), "chunk": chunk_shape, "log_prob": (rows,)}
        expected |= {HELD_OUT + name: torch.empty(shape) for name, shape in shapes.items()}
    _check_tensors(tensors, expected, weights_file)
    _assign(policy, tensors, POLICY)
    if critic is not None:
        _assign(critic, tensors, CRITIC)
    batch = HeldOut(*(tensors[HELD_OUT + name].clone() for name in ("vector", "chunk", "log_prob"))) if held_out else None
    return Checkpoint(policy, critic, info.acting, info, batch)


def _check_tensors(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], weights_file: Path) -> None:
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors:
            raise CheckpointError(f"{weights_file}: {name}: expected {_kind(expected[name])}, got nothing")
        if name not in expected:
            raise CheckpointError(f"{weights_file}: {name}: expected no such tensor, got {_kind(tensors[name])}")
        if tensors[name].shape != expected[name].shape or tensors[name].dtype != expected[name].dtype:
            raise CheckpointError(f"{weights_file}: {name}: expected {_kind(expected[name])}, got {_kind(tensors[name])}")
        if tensors[name].is_floating_point() and not bool(torch.isfinite(tensors[name]).all()):
            raise CheckpointError(f"{weights_file}: {name}: expected finite numbers, got NaN or infinity; training has diverged")


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"


def _assign(module: nn.Module, tensors: Mapping[str, Tensor], prefix: str) -> None:
    module.load_state_dict({name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)})
    module.eval()

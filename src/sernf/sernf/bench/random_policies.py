"""Weights for benches: policies of the shipped size that move the robot a little, and files that must be refused."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from sernf_policy.acting import ActingConfig
from sernf_policy.checkpoint import CheckpointInfo, HeldOut, save_checkpoint
from sernf_policy.checkpoint_files import both_files, header_of
from sernf_policy.critic import ChunkCritic, CriticConfig
from sernf_policy.layout import DUCK_OBSERVATION, PolicyLayout
from sernf_policy.likelihood_monitor import LikelihoodThresholds
from sernf_policy.policy import ChunkPolicy, PolicyConfig
from sernf_robot.joints import ARM_JOINTS, JOINTS
from sernf_sim.tasks import make_task

TASK = "duck"
CANDIDATES = 16
STEP_RAD = 0.001
"""How far a joint moves in a step: the robot trembles, and no limit is near for minutes."""
SPREAD_RAD = 0.02
FIT_ROWS, HELD_OUT_ROWS = 256, 32
HEAD_STD = 0.02
TOO_MANY_CANDIDATES = 1024


@dataclass(frozen=True, kw_only=True)
class BadWeights:
    """Weights that must be refused. `sha256`: to ask for."""

    kind: str
    file: Path
    sha256: str = ""


def policy_layout(rate_hz: float) -> PolicyLayout:
    """The duck's, acting at `rate_hz`."""
    return PolicyLayout(task=TASK, observation=DUCK_OBSERVATION, step_period_s=1.0 / rate_hz)


def save_random_policy(
    path: Path,
    layout: PolicyLayout,
    *,
    seed: int,
    candidates: int = CANDIDATES,
    step_rad: float = STEP_RAD,
    likelihood: LikelihoodThresholds | None = None,
    acting: ActingConfig | None = None,
) -> CheckpointInfo:
    """A policy and a critic of the default sizes; they pass every check unless asked not to. Another seed: other weights."""
    torch.manual_seed(seed)
    policy, critic = ChunkPolicy(layout, PolicyConfig()), ChunkCritic(layout, CriticConfig())
    for parameter in policy.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=HEAD_STD)
    policy.fit_normaliser(*_data(layout, FIT_ROWS, step_rad))
    critic.copy_normalisation(policy.encoder.standardiser, policy.normaliser)
    return save_checkpoint(
        path,
        policy=policy.eval(),
        critic=critic.eval(),
        acting=acting or ActingConfig(candidates=candidates),
        stage="imitation",
        seed=seed,
        likelihood=likelihood,
        held_out=HeldOut.of(policy, *_data(layout, HELD_OUT_ROWS, step_rad)),
    )


def _data(layout: PolicyLayout, rows: int, step_rad: float) -> tuple[Tensor, Tensor]:
    """Vectors (n, o) at rest near the task's start pose, and chunks (n, H, A) that go away from there steadily."""
    start = dict(zip(JOINTS, make_task(TASK).start_position_rad.tolist(), strict=True))
    pose = torch.tensor([start[name] for name in layout.joint_names])
    vectors = 0.3 * torch.randn(rows, layout.observation_size)
    commanded = pose + SPREAD_RAD * torch.randn(rows, layout.action_size)
    for term in ("joint_position", "commanded_position"):
        vectors[:, layout.slice_of(term)] = commanded
    steps = step_rad * torch.randn(rows, 1, layout.action_size).expand(-1, layout.horizon, -1)
    return vectors, commanded[:, None] + steps.cumsum(1)


def save_bad_weights(folder: Path, good: Path, rate_hz: float) -> list[BadWeights]:
    """One of each kind. `good`: weights that the damaged ones are made from."""
    layout = policy_layout(rate_hz)
    other_joints = dataclasses.replace(layout, joint_names=ARM_JOINTS)
    other_rate = policy_layout(rate_hz / 2.0)
    impossible = LikelihoodThresholds(typical_nats=99.0, unlikely_nats=98.0, far=1.0, windows=1)
    makers: dict[str, Callable[[Path], object]] = {
        "not_finite": lambda path: _spoil_numbers(path, good),
        "truncated": lambda path: _truncate(path, good),
        "description_missing": lambda path: shutil.copy(both_files(good)[0], both_files(path)[0]),
        "wrong_hash": lambda path: _copy(path, good),
        "wrong_layout": lambda path: save_random_policy(path, other_joints, seed=101),
        "other_rate": lambda path: save_random_policy(path, other_rate, seed=102),
        "too_slow": lambda path: save_random_policy(path, layout, seed=103, candidates=TOO_MANY_CANDIDATES),
        "unlikely": lambda path: save_random_policy(path, layout, seed=104, likelihood=impossible),
        "outside_limits": lambda path: save_random_policy(path, layout, seed=105, step_rad=1.0),
    }
    bad = []
    for kind, make in makers.items():
        path = folder / kind
        make(path)
        bad.append(BadWeights(kind=kind, file=both_files(path)[0], sha256="0" * 64 if kind == "wrong_hash" else ""))
    return bad


def _copy(path: Path, good: Path) -> None:
    for source, target in zip(both_files(good), both_files(path), strict=True):
        shutil.copy(source, target)


def _truncate(path: Path, good: Path) -> None:
    _copy(path, good)
    file = both_files(path)[0]
    file.write_bytes(file.read_bytes()[: -(1 << 16)])


def _spoil_numbers(path: Path, good: Path) -> None:
    """One NaN, and hashes that are right again."""
    weights_file, json_file = both_files(good)
    data, content = weights_file.read_bytes(), json.loads(json_file.read_text())
    tensors = load(data)
    next(tensor for tensor in tensors.values() if tensor.is_floating_point()).view(-1)[0] = float("nan")
    spoilt = save(tensors, metadata=header_of(data))
    content["sha256"] = hashlib.sha256(spoilt).hexdigest()
    content["version"] = f"{content['layout']['task']}-{content['stage']}-{content['sha256'][:8]}"
    weights_file, json_file = both_files(path)
    weights_file.write_bytes(spoilt)
    json_file.write_text(json.dumps(content))

"""Weights that are ready to run in the control process: a planner without torch, and what there is to say about them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sernf_policy.acting import ActingConfig
from sernf_policy.chunk_player import PlayerConfig
from sernf_policy.engine import CompiledEngine, Graphs, Planner
from sernf_policy.layout import PolicyLayout
from sernf_policy.likelihood_monitor import LikelihoodThresholds
from sernf_robot.config import from_mapping


@dataclass(frozen=True, kw_only=True)
class WeightsDescription:
    """What a control process needs to know about a checkpoint; goes between processes as JSON."""

    file: str
    version: str
    sha256: str
    stage: str
    parent_sha256: str
    layout: PolicyLayout
    acting: ActingConfig
    has_critic: bool
    likelihood: LikelihoodThresholds | None = None

    def as_mapping(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def of_mapping(cls, content: Mapping[str, Any]) -> WeightsDescription:
        """Inverse of `as_mapping`; raises ConfigError."""
        return from_mapping(cls, content, where="weights")


@dataclass(frozen=True)
class LoadedWeights:
    """`to_layout`: robot's joints in the policy's order; `to_robot`: the other way round."""

    description: WeightsDescription
    planner: Planner
    to_layout: NDArray[np.intp]
    to_robot: NDArray[np.intp]

    @classmethod
    def build(cls, description: WeightsDescription, graphs: Graphs, joint_names: Sequence[str], *, threads: int) -> LoadedWeights:
        """Start ONNX Runtime for a robot with `joint_names`; raises LayoutError and RuntimeError."""
        layout = description.layout
        layout.check_joints(tuple(joint_names))
        planner = Planner(layout, description.acting, CompiledEngine(graphs, threads=threads), has_critic=graphs.has_critic)
        to_layout = np.array([list(joint_names).index(name) for name in layout.joint_names], dtype=np.intp)
        return cls(description, planner, to_layout, np.argsort(to_layout))

    @property
    def layout(self) -> PolicyLayout:
        """What it sees and moves."""
        return self.description.layout

    @property
    def player(self) -> PlayerConfig:
        """How its chunks are played."""
        return self.description.acting.player

    @property
    def version(self) -> str:
        """For people."""
        return self.description.version

    @property
    def sha256(self) -> str:
        """Of the weights' file."""
        return self.description.sha256

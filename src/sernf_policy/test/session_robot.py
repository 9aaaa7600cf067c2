"""A policy session on a made-up robot: what test_policy_session.py is about, step by step."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from robot_policies import HOME, PLAYER, robot_layout

from sernf_policy.acting import ActingConfig
from sernf_policy.engine import PlannedChunk
from sernf_policy.inference_worker import Answer
from sernf_policy.layout import PolicyLayout
from sernf_policy.likelihood_monitor import Evidence, ExecutedChunk, LikelihoodThresholds
from sernf_policy.loaded_weights import LoadedWeights, WeightsDescription
from sernf_policy.observation_sync import BridgeReading, ObservationSync, StalenessConfig
from sernf_policy.policy_session import Decision, Mode, PolicySession, SessionConfig
from sernf_robot.joints import JOINTS

PERIOD_S = 0.05
START_S = 1000.0
TO_LAYOUT = np.arange(len(JOINTS))[::-1]


class FakePlanner:
    """Chunks that step by 0.001 rad from the commanded position."""

    def __init__(self, layout: PolicyLayout) -> None:
        self.layout = layout
        self.vectors: list[Any] = []
        self.explored: list[bool] = []
        self.executed: list[ExecutedChunk | None] = []
        self.failure: Exception | None = None
        self.nats, self.value = 1.0, 0.0
        self.looked: list[Mapping[str, Any]] = []

    def look(self, _vector: Any, pictures: Mapping[str, Any]) -> None:
        self.looked.append(pictures)

    def plan(self, vector: Any, _rng: object, *, exploring: bool) -> PlannedChunk:
        if self.failure is not None:
            raise self.failure
        self.vectors.append(vector)
        self.explored.append(exploring)
        commanded = vector[self.layout.slice_of("commanded_position")].astype(float)
        steps = 0.001 * np.arange(self.layout.horizon)[:, None] + self.value
        return PlannedChunk(position_rad=commanded + steps, log_prob=240.0, q_value=math.nan, candidates=1, inference_s=0.001)

    def forget(self) -> None:
        self.explored.clear()

    def evidence(self, _vector: Any, _planned: PlannedChunk, executed: ExecutedChunk | None) -> Evidence:
        self.executed.append(executed)
        return Evidence(sampled_nats=self.nats)


class FakeWorker:
    """Computes when told to, in this thread."""

    def __init__(self) -> None:
        self.asked: tuple[int, Callable[[], Any]] | None = None
        self.answer: Answer[Any] | None = None
        self.is_slow = False

    @property
    def is_busy(self) -> bool:
        return self.asked is not None or self.answer is not None

    def submit(self, number: int, compute: Callable[[], Any]) -> None:
        assert not self.is_busy
        self.asked = (number, compute)
        if not self.is_slow:
            self.finish()

    def finish(self) -> None:
        assert self.asked is not None
        number, compute = self.asked
        self.asked = None
        try:
            self.answer = Answer(number, compute())
        except RuntimeError as error:
            self.answer = Answer(number, None, error)

    def poll(self) -> Answer[Any] | None:
        answer, self.answer = self.answer, None
        return answer


def make_weights(name: str = "a", likelihood: LikelihoodThresholds | None = None, **layout: Any) -> LoadedWeights:
    description = WeightsDescription(
        file=f"/{name}.safetensors", version=name, sha256=f"sha-{name}", stage="imitation", parent_sha256="",
        layout=robot_layout(**layout), acting=ActingConfig(player=PLAYER), has_critic=False, likelihood=likelihood,
    )  # fmt: skip
    planner: Any = FakePlanner(description.layout)
    return LoadedWeights(description, planner, TO_LAYOUT, np.argsort(TO_LAYOUT))


class Robot:
    """A session on a bridge that follows commands at once."""

    def __init__(self, weights: LoadedWeights | None = None) -> None:
        self.sync = ObservationSync(StalenessConfig())
        self.worker = FakeWorker()
        worker: Any = self.worker
        self.session = PolicySession(worker, self.sync, SessionConfig(), np.random.default_rng(0))
        self.tick = 0
        self.bridge = BridgeReading(
            stamp_ns=0, mode="hold", fault="", reason="", selected_source="policy", active_source="none",
            requested_rad=np.full(len(JOINTS), np.nan), executed_rad=HOME, command_stamp_ns=0, clipped=False,
        )  # fmt: skip
        self.follows = True
        self.blind = False
        if weights is not None:
            self.session.offer(weights)
            self.step()

    @property
    def planner(self) -> FakePlanner:
        planner: Any = self.session.weights and self.session.weights.planner
        return planner

    def change(self, **changes: object) -> None:
        self.bridge = dataclasses.replace(self.bridge, **changes)  # type: ignore[arg-type]

    def step(self) -> Decision:
        """One control period: the bridge speaks, the session decides, the bridge follows."""
        self.tick += 1
        now_s = START_S + self.tick * PERIOD_S
        now_ns = round(now_s * 1e9)
        if not self.blind:
            self.sync.set_joints(now_ns, HOME, now_ns)
        self.change(stamp_ns=now_ns)
        self.sync.set_bridge(self.bridge, now_ns)
        decision = self.session.decide(self.tick, now_s, now_ns)
        self.session.prepare(self.tick, now_s)
        if decision.command is not None and self.follows:
            target = decision.command.position_rad
            self.change(mode="track", active_source="policy", requested_rad=target, executed_rad=target, command_stamp_ns=now_ns)
        if decision.release:
            self.change(mode="hold", active_source="none")
        return decision

    def steps(self, count: int) -> list[Decision]:
        return [self.step() for _ in range(count)]

    def run(self, count: int = 4) -> list[Decision]:
        """Mode policy, and its first ticks."""
        self.session.set_mode(Mode.POLICY)
        return self.steps(count)


def commands(decisions: list[Decision]) -> list[Any]:
    return [decision.command for decision in decisions if decision.command is not None]

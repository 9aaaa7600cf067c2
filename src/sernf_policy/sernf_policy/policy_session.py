"""The running policy without ROS: modes, chunks, who may command, and the change of weights at a chunk boundary.

Each control tick is two calls: `decide` gives the command, and `prepare` afterwards hands the next observation to the inference
thread, so that no command waits for it. Whenever the robot may have moved without the policy (somebody took over, the bridge
holds, the scene is new, an input was missing) every chunk is forgotten, and the next one starts at what is in effect then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from sernf_policy.chunk_player import ChunkPlayer, PlayerConfig
from sernf_policy.engine import PlannedChunk
from sernf_policy.handover import Handover
from sernf_policy.inference_worker import Answer, InferenceWorker
from sernf_policy.likelihood_monitor import Evidence, ExecutedChunk, ExecutedChunks, LikelihoodMonitor, Trust
from sernf_policy.loaded_weights import LoadedWeights
from sernf_policy.observation import Array32, Memory, ObservationBuilder
from sernf_policy.observation_sync import ObservationSync
from sernf_policy.pictures import Picture
from sernf_robot.kinematics import Kinematics

Array = NDArray[np.float64]
KEPT_CHUNKS = 8
"""Chunks whose weights are remembered; at most three are in the player."""


class Mode(str, Enum):
    """HOLD: nothing. POLICY: computes and commands. EXPLORE: the same, trying things out to learn from. SHADOW: computes and
    shows, commands nothing.
    """

    HOLD = "hold"
    POLICY = "policy"
    EXPLORE = "explore"
    SHADOW = "shadow"

    @property
    def commands(self) -> bool:
        """Whether the robot moves in it."""
        return self in (Mode.POLICY, Mode.EXPLORE)


class SessionError(RuntimeError):
    """A request that cannot be fulfilled; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class SessionConfig:
    """`inference_timeout_s`: a chunk that has not come by then is given up. `follow_timeout_s`: the bridge must follow."""

    inference_timeout_s: float = 0.5
    follow_timeout_s: float = 0.5

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0.0 < value <= 10.0:
                raise ValueError(f"{name}: expected more than 0 and at most 10 s, got {value}")


@dataclass(frozen=True, kw_only=True)
class StepCommand:
    """Targets (A,) rad in the robot's order, and where they come from. `pictures_stamp_ns`: of what cameras showed then, or 0."""

    position_rad: Array
    chunk_id: int
    step_in_chunk: int
    sha256: str
    pictures_stamp_ns: int = 0


@dataclass(frozen=True, kw_only=True)
class NewChunk:
    """A chunk that has come: `position_rad` (H, A) in the robot's order, from the observation stamped `stamp_ns`."""

    chunk_id: int
    stamp_ns: int
    position_rad: Array
    planned: PlannedChunk
    weights: LoadedWeights


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a tick comes to. `chunk`: to be shown. `adopted`: weights that run from now on. `release`: no more commands come."""

    command: StepCommand | None = None
    chunk: NewChunk | None = None
    adopted: LoadedWeights | None = None
    release: bool = False


@dataclass
class Counts:
    """Since the start. `restarts`: chunks were forgotten while commanding, because the robot went another way."""

    ticks: int = 0
    commands: int = 0
    chunks: int = 0
    failures: int = 0
    timeouts: int = 0
    restarts: int = 0


@dataclass(frozen=True)
class Computed:
    """What the inference thread gives: a chunk, and what the monitor wants to know about it."""

    planned: PlannedChunk
    evidence: Evidence


def compute(
    weights: LoadedWeights, vector: Array32, pictures: Mapping[str, Picture], rng: np.random.Generator,
    executed: ExecutedChunk | None, *, exploring: bool,
) -> Computed:  # fmt: skip
    """In the inference thread, to which `vector` belongs until this returns."""
    weights.planner.look(vector, pictures)
    planned = weights.planner.plan(vector, rng, exploring=exploring)
    return Computed(planned, weights.planner.evidence(vector, planned, executed))


@dataclass(frozen=True)
class _Asked:
    """A chunk that is being computed, or was."""

    number: int
    tick: int
    stamp_ns: int
    pictures_stamp_ns: int
    asked_s: float
    weights: LoadedWeights


class PolicySession:
    """One policy on one robot; every call from the control thread."""

    def __init__(
        self,
        worker: InferenceWorker[Computed],
        sync: ObservationSync,
        config: SessionConfig,
        rng: np.random.Generator,
        kinematics: Kinematics | None = None,
    ) -> None:
        self._worker, self._sync, self._config, self._rng = worker, sync, config, rng
        self._kinematics = kinematics or Kinematics()
        self._handover = Handover(config.follow_timeout_s)
        self._player = ChunkPlayer(PlayerConfig())
        self._asked: _Asked | None = None
        self._wanted = self._sees = False
        self._memory = Memory(0)
        self._asked_for: dict[int, _Asked] = {}
        self._monitor, self._executed = LikelihoodMonitor(None), ExecutedChunks(1)
        self.mode = Mode.HOLD
        self.weights: LoadedWeights | None = None
        self.candidate: LoadedWeights | None = None
        self.missing = ""
        """input that is missing or stale although the mode asks for it; empty when all is there"""
        self.not_ours = ""
        """why the bridge would not follow; empty when it would, and in modes that command nothing"""
        self.trouble = ""
        """what last went wrong with a chunk"""
        self.alarm = ""
        """why the likelihood monitor has taken the policy out of command and asks a person to take over"""
        self.evidence: Evidence | None = None
        """what the monitor was last told"""
        self.counts = Counts()
        self.seam_jump_rad = 0.0
        """largest since somebody last looked and set it to 0"""

    def set_mode(self, mode: Mode) -> bool:
        """Change the mode and forget every chunk; True when the bridge has to be told by a release. Raises SessionError."""
        if mode is not Mode.HOLD and self.weights is None:
            raise SessionError(f"expected weights before mode {mode.value}, there are none; load some with policy/load_weights")
        self._forget()
        self._monitor.reset()
        if self.weights is not None:
            self.weights.planner.forget()
        if mode is not Mode.HOLD:
            self._sync.cameras.accept_encodings()
        self.mode = mode
        self.trouble = self.alarm = ""
        return not mode.commands and self._handover.release(self._sync.bridge)

    def offer(self, weights: LoadedWeights) -> None:
        """Weights that are to run from the next chunk boundary on."""
        self.candidate = weights

    @property
    def trust(self) -> Trust:
        """What the likelihood monitor says."""
        return self._monitor.trust

    @property
    def doubt(self) -> str:
        """Why it does not trust the policy; empty while it does."""
        return self._monitor.reason

    def queue_depth(self, tick: int) -> int:
        """Targets that are left."""
        return self._player.steps_left(tick)

    def decide(self, tick: int, now_s: float, now_ns: int) -> Decision:
        """The command for `tick`; `now_s` monotonic, `now_ns` by the stamps' clock."""
        self.counts.ticks += 1
        self._wanted = self._sees = False
        chunk = self._take_answer(now_s)
        self._look_for_obstacles(now_s, now_ns)
        if self.mode is Mode.HOLD or self.missing or self.not_ours:
            self._forget()
            return Decision(adopted=self._adopt(now_ns))
        if self.mode.commands and self._monitor.trust is Trust.TAKEOVER:
            return self._ask_for_takeover(chunk)
        assert self.weights is not None
        self._sees = True
        self._executed.executed(tick - 1, self._sync.commanded(self.weights.to_layout))
        self._wanted = self._player.wants_chunk(tick)
        adopted = self._adopt(now_ns) if self._wanted else None
        played = self._player.step(tick)
        if played is None:
            return Decision(chunk=chunk, adopted=adopted)
        self.seam_jump_rad = max(self.seam_jump_rad, played.seam_jump_rad)
        if self.mode is Mode.SHADOW:
            return Decision(chunk=chunk, adopted=adopted)
        self._handover.commanded(self._sync.jumps, now_s)
        self.counts.commands += 1
        asked = self._asked_for[played.chunk_id]
        command = StepCommand(
            position_rad=played.position_rad,
            chunk_id=played.chunk_id,
            step_in_chunk=played.step_in_chunk,
            sha256=asked.weights.sha256,
            pictures_stamp_ns=asked.pictures_stamp_ns,
        )
        return Decision(command=command, chunk=chunk, adopted=adopted)

    def prepare(self, tick: int, now_s: float) -> None:
        """After the command of `tick` has been sent: remember what is seen, and ask for the next chunk if one is wanted."""
        weights = self.weights
        if not self._sees or weights is None:
            return
        layout = weights.layout
        snapshot = self._memory.with_earlier(self._sync.snapshot(weights.to_layout, layout.objects, layout.cameras))
        if not self._wanted:
            return
        if self._worker.is_busy:
            self._player.withdraw()
            self.trouble = "the computation of a chunk hangs"
            return
        vector = self._builder.vector(snapshot)
        self.counts.chunks += 1
        self._executed.observed(tick, vector)
        executed = self._executed.take()
        exploring, cameras = self.mode is Mode.EXPLORE, self._sync.cameras
        pictures = cameras.pictures
        self._asked = _Asked(self.counts.chunks, tick, self._sync.joints_stamp_ns, cameras.stamp_ns, now_s, weights)
        self._worker.submit(
            self._asked.number, lambda: compute(weights, vector, pictures, self._rng, executed, exploring=exploring)
        )

    def _look_for_obstacles(self, now_s: float, now_ns: int) -> None:
        self.missing = self.not_ours = ""
        if self.mode is Mode.HOLD or self.weights is None:
            return
        self.missing = self._obstacle(now_ns, self.weights)
        bridge = self._sync.bridge
        if self.missing or self.mode is Mode.SHADOW or bridge is None:
            return
        self.not_ours = self._handover.obstacle(bridge)
        if self.not_ours:
            self._monitor.reset()
        lost = "" if self.not_ours else self._handover.lost(bridge, self._sync.jumps, now_s)
        if lost:
            self.trouble = f"{lost}; started again from there"
            self.counts.restarts += 1
            self._forget()

    def _obstacle(self, now_ns: int, weights: LoadedWeights) -> str:
        return self._sync.obstacle(now_ns, weights.layout.objects, weights.layout.cameras)

    def _take_answer(self, now_s: float) -> NewChunk | None:
        answer, asked = self._worker.poll(), self._asked
        if asked is None:
            return None
        if answer is not None and answer.number == asked.number:
            self._asked = None
            return self._accept(asked, answer)
        if now_s - asked.asked_s > self._config.inference_timeout_s:
            self.counts.timeouts += 1
            self._give_up(f"no chunk within {self._config.inference_timeout_s:g} s")
        return None

    def _accept(self, asked: _Asked, answer: Answer[Computed]) -> NewChunk | None:
        computed, layout = answer.result, asked.weights.layout
        if computed is None:
            self.counts.failures += 1
            self._give_up(f"the computation of a chunk failed: {answer.error!r}")
            return None
        planned, self.evidence = computed.planned, computed.evidence
        shape = (layout.horizon, layout.action_size)
        if planned.position_rad.shape != shape or not np.isfinite(planned.position_rad).all():
            self.counts.failures += 1
            self._give_up(f"expected a chunk of {shape} finite numbers, got another: load other weights")
            return None
        self._monitor.judge(computed.evidence)
        position_rad: Array = planned.position_rad[:, asked.weights.to_robot]
        self._player.offer(position_rad, asked.tick, asked.number)
        self._asked_for[asked.number] = asked
        self._asked_for.pop(asked.number - KEPT_CHUNKS, None)
        return NewChunk(
            chunk_id=asked.number, stamp_ns=asked.stamp_ns, position_rad=position_rad, planned=planned, weights=asked.weights
        )

    def _ask_for_takeover(self, chunk: NewChunk | None) -> Decision:
        alarm = f"take over: {self._monitor.reason}; mode hold until policy/set_mode"
        release = self.set_mode(Mode.HOLD)
        self.alarm = alarm
        return Decision(chunk=chunk, release=release)

    def _give_up(self, trouble: str) -> None:
        """The chunk that was asked for does not come; another may be asked for."""
        self.trouble = trouble
        self._asked = None
        self._player.withdraw()

    def _forget(self) -> None:
        """Whatever was planned does not count any more, nor does the answer that may still come."""
        self._asked = None
        self._player.reset()
        self._executed.forget()
        self._memory.forget()
        self._handover.end()

    def _adopt(self, now_ns: int) -> LoadedWeights | None:
        """Change to the candidate, if there is one and it can see what it needs."""
        candidate = self.candidate
        if candidate is None or (self.mode is not Mode.HOLD and self._obstacle(now_ns, candidate)):
            return None
        self.candidate = None
        self.weights = candidate
        self._builder = ObservationBuilder(candidate.layout, self._kinematics)
        self._memory = Memory(candidate.layout.memory)
        self._player.config = candidate.player
        self._monitor = LikelihoodMonitor(candidate.description.likelihood)
        self._executed = ExecutedChunks(candidate.layout.horizon)
        return candidate

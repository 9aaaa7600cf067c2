"""The policy as it runs on the robot, without torch: compiled graphs, and one chunk at a time from them.

ONNX Runtime computes encoder, flow, normaliser and critic in one call, on `threads` threads that sleep when there is nothing to
do. Where it is missing `MISSING` says why. Nothing here reads a file, and none is left behind.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sernf_policy.acting import ActingConfig, best_candidate
from sernf_policy.layout import IMAGE, PolicyLayout
from sernf_policy.likelihood_monitor import Evidence, ExecutedChunk
from sernf_policy.pictures import Picture, seen_part

try:
    import onnxruntime

    MISSING = ""
except ImportError as error:
    MISSING = str(error)

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]
ERRORS_ONLY = 3


@dataclass(frozen=True, kw_only=True)
class PlannedChunk:
    """`position_rad` (H, A), its exact `log_prob` (nats per rad^D), the critic's `q_value` (NaN without one).

    `candidates`: how many it was chosen from. `inference_s`: how long all this took.
    """

    position_rad: Array
    log_prob: float
    q_value: float
    candidates: int
    inference_s: float


@dataclass(frozen=True)
class Decoded:
    """Of N latents: `chunk` (N, H, A) rad, `log_prob` (N,), `q_value` (N,) or None without a critic."""

    chunk: Array32
    log_prob: Array32
    q_value: Array32 | None


@dataclass(frozen=True)
class Judged:
    """Of B observations and chunks: `log_prob` (B,) nats per rad^D, and the observations' `distance` (B, o) from the data."""

    log_prob: Array32
    distance: Array32


class Engine(Protocol):
    """Computes with the weights."""

    def decode(self, vector: Array32, latent: Array32) -> Decoded:
        """Observation (1, o) and latents (N, D)."""
        ...

    def judge(self, vector: Array32, chunk: Array32) -> Judged:
        """Observations (B, o) and chunks (B, H, A) rad."""
        ...

    def see(self, pictures: Mapping[str, Picture]) -> dict[str, Array32]:
        """Camera -> (h, w, 3), the part that is seen, to camera -> features (F,)."""
        ...


@dataclass(frozen=True)
class Graphs:
    """A policy as ONNX: `sampling` (with the critic, if there is one) and `likelihood`, see `sernf_policy.inference_graph`;
    `eyes` by camera, see `sernf_policy.vision_graph`.
    """

    sampling: bytes
    likelihood: bytes
    has_critic: bool
    eyes: Mapping[str, bytes] = field(default_factory=dict)


class CompiledEngine:
    """ONNX Runtime; raises RuntimeError where it is not installed."""

    def __init__(self, graphs: Graphs, *, threads: int) -> None:
        if MISSING:
            raise RuntimeError(f"expected ONNX Runtime, got: {MISSING}; install onnxruntime as in requirements.txt")
        self._sampling = session(graphs.sampling, threads)
        self._likelihood = session(graphs.likelihood, threads)
        self._has_critic = graphs.has_critic
        self._eyes = {name: session(graph, threads) for name, graph in graphs.eyes.items()}

    def decode(self, vector: Array32, latent: Array32) -> Decoded:
        """Observation (1, o) and latents (N, D)."""
        chunk, log_prob, *rest = self._sampling.run(None, {"vector": vector, "latent": latent})
        return Decoded(chunk, log_prob, rest[0] if self._has_critic else None)

    def judge(self, vector: Array32, chunk: Array32) -> Judged:
        """Observations (B, o) and chunks (B, H, A) rad."""
        return Judged(*self._likelihood.run(None, {"vector": vector, "chunk": chunk}))

    def see(self, pictures: Mapping[str, Picture]) -> dict[str, Array32]:
        """Camera -> (h, w, 3), the part that is seen, to camera -> features (F,)."""
        return {name: self._eyes[name].run(None, {"picture": picture[None]})[0][0] for name, picture in pictures.items()}


class Planner:
    """Plans chunks. Not for use from several threads at once."""

    def __init__(self, layout: PolicyLayout, acting: ActingConfig, engine: Engine, *, has_critic: bool) -> None:
        self.layout, self.acting, self.has_critic = layout, acting, has_critic
        self._engine = engine
        # A layout works its sizes out from its terms each time it is asked.
        self._observation_size, self._chunk_size = layout.observation_size, layout.chunk_size
        self._image_parts = {view.name: layout.slice_of(f"{IMAGE}/{view.name}") for view in layout.cameras}
        self._looked_at: Mapping[str, Picture] | None = None
        self._features: Mapping[str, Array32] = {}
        self.forget()

    def forget(self) -> None:
        """What comes does not go on from what was explored before: it begins at the flow's middle and strays from there."""
        self._last = np.zeros(self._chunk_size, dtype=np.float32)

    def plan(self, vector: Array32, rng: np.random.Generator, *, exploring: bool = False) -> PlannedChunk:
        """The chunk to play after the observation `vector` (o,). Raises ValueError for a wrong size or what is not finite."""
        began = time.perf_counter()
        if vector.shape != (self._observation_size,) or not np.isfinite(vector).all():
            raise ValueError(
                f"expected {self._observation_size} finite numbers of observation, got {vector.shape} with "
                f"{np.count_nonzero(~np.isfinite(vector))} that are not"
            )
        acting = self.acting
        count = acting.candidates if self.has_critic else 1
        spread = acting.exploring_temperature if exploring and acting.exploring_temperature > 0.0 else acting.temperature
        latent = rng.standard_normal((count, self._chunk_size), dtype=np.float32) * np.float32(spread)
        if exploring and acting.persistence > 0.0:
            # An autoregressive process whose spread stays at the temperature (pink noise explores better than white, ICLR 2023).
            latent = latent * np.float32(math.sqrt(1.0 - acting.persistence**2)) + np.float32(acting.persistence) * self._last
        decoded = self._engine.decode(vector[None].astype(np.float32, copy=False), latent)
        best, q_value = 0, math.nan
        if decoded.q_value is not None:
            best = best_candidate(decoded.log_prob, decoded.q_value, acting.density_quantile)
            q_value = float(decoded.q_value[best])
        self._last = latent[best]
        return PlannedChunk(
            position_rad=decoded.chunk[best].astype(np.float64),
            log_prob=float(decoded.log_prob[best]),
            q_value=q_value,
            candidates=count,
            inference_s=time.perf_counter() - began,
        )

    def see(self, pictures: Mapping[str, Picture]) -> dict[str, Array32]:
        """Camera -> (h, w, 3), the part that is seen, to camera -> features (F,): once for each picture, not for each chunk."""
        return self._engine.see(pictures)

    def look(self, vector: Array32, pictures: Mapping[str, Picture]) -> None:
        """Put into the observation `vector` (o,) what the eyes make of whole pictures. Raises PictureError."""
        if not self.layout.cameras:
            return
        if pictures is not self._looked_at:
            self._features = self.see({view.name: seen_part(pictures[view.name], view) for view in self.layout.cameras})
            self._looked_at = pictures
        for name, features in self._features.items():
            vector[self._image_parts[name]] = features

    def log_prob(self, vectors: Array32, chunks: Array | Array32) -> Array:
        """Exact log-likelihood (B,), nats per rad^D, of `chunks` (B, H, A) rad after observations `vectors` (B, o)."""
        return self._judge(vectors, chunks).log_prob.astype(np.float64)

    def evidence(self, vector: Array32, planned: PlannedChunk, executed: ExecutedChunk | None) -> Evidence:
        """For the monitor: about `planned` after the observation `vector` (o,), and about what was done after an earlier one."""
        vectors, chunks = [vector], [planned.position_rad]
        if executed is not None:
            vectors.append(executed.vector)
            chunks.append(executed.position_rad)
        judged = self._judge(np.stack(vectors), np.stack(chunks))
        farthest = int(judged.distance[0].argmax())
        return Evidence(
            sampled_nats=planned.log_prob / self._chunk_size,
            executed_nats=math.nan if executed is None else float(judged.log_prob[1]) / self._chunk_size,
            distance=float(judged.distance[0, farthest]),
            farthest=self.layout.term_at(farthest),
        )

    def _judge(self, vectors: Array32, chunks: Array | Array32) -> Judged:
        return self._engine.judge(np.ascontiguousarray(vectors, np.float32), np.ascontiguousarray(chunks, np.float32))


def session(graph: bytes, threads: int) -> Any:
    """ONNX Runtime for `graph`, on so many threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    # Threads that wait must not burn the time of the control loop.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

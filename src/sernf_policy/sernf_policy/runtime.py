"""The policy as it runs on the robot: compiled for inference, one chunk at a time, with its exact likelihood.

ONNX Runtime computes encoder, flow, normaliser and critic in one call, on `threads` threads that sleep when there is nothing to
do. What was compiled is compared with the torch modules at construction; CompileError where they differ. Without ONNX Runtime the
torch modules run themselves, several times slower, and a warning says so. Nothing here reads a file, and none is left behind.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from sernf_policy.acting import ActingConfig, best_candidate
from sernf_policy.checkpoint import Checkpoint
from sernf_policy.critic import ChunkCritic
from sernf_policy.policy import ChunkPolicy

try:
    import onnxruntime

    from sernf_policy.inference_graph import likelihood_graph, sampling_graph

    MISSING = ""
except ImportError as error:
    MISSING = str(error)

log = logging.getLogger(__name__)

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]

CHUNK_TOLERANCE_RAD = 1e-4
LOG_PROB_TOLERANCE_NATS = 1e-3
"""For each number of a chunk; single precision leaves a few times 1e-6."""
Q_TOLERANCE = 1e-3
ERRORS_ONLY = 3


class CompileError(RuntimeError):
    """What was compiled does not compute what the policy computes."""


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


class Engine(Protocol):
    """Computes with the weights."""

    def decode(self, vector: Array32, latent: Array32) -> Decoded:
        """Observation (1, o) and latents (N, D)."""
        ...

    def log_prob(self, vector: Array32, chunk: Array32) -> Array32:
        """Observations (B, o) and chunks (B, H, A) rad -> (B,) nats per rad^D."""
        ...


class EagerEngine:
    """The torch modules themselves."""

    def __init__(self, policy: ChunkPolicy, critic: ChunkCritic | None) -> None:
        self._policy, self._critic = policy, critic

    @torch.no_grad()
    def decode(self, vector: Array32, latent: Array32) -> Decoded:
        """Observation (1, o) and latents (N, D)."""
        observation = {"vector": torch.from_numpy(vector)}
        code = self._policy.encoder(observation).expand(len(latent), -1)
        commanded = self._policy.commanded(observation).expand(len(latent), -1)
        chunk, log_prob = self._policy.decode(torch.from_numpy(latent), code, commanded)
        if self._critic is None:
            return Decoded(chunk.numpy(), log_prob.numpy(), None)
        q_value = self._critic(observation["vector"].expand(len(latent), -1), chunk).mean(0)
        return Decoded(chunk.numpy(), log_prob.numpy(), q_value.numpy())

    @torch.no_grad()
    def log_prob(self, vector: Array32, chunk: Array32) -> Array32:
        """Observations (B, o) and chunks (B, H, A) rad -> (B,)."""
        log_prob: Array32 = self._policy.log_prob({"vector": torch.from_numpy(vector)}, torch.from_numpy(chunk)).numpy()
        return log_prob


class CompiledEngine:
    """ONNX Runtime; raises CompileError."""

    def __init__(self, policy: ChunkPolicy, critic: ChunkCritic | None, *, candidates: int, threads: int) -> None:
        self._sampling = _session(sampling_graph(policy, critic, candidates), threads)
        self._likelihood = _session(likelihood_graph(policy), threads)
        self._has_critic = critic is not None

    def decode(self, vector: Array32, latent: Array32) -> Decoded:
        """Observation (1, o) and latents (N, D)."""
        chunk, log_prob, *rest = self._sampling.run(None, {"vector": vector, "latent": latent})
        return Decoded(chunk, log_prob, rest[0] if self._has_critic else None)

    def log_prob(self, vector: Array32, chunk: Array32) -> Array32:
        """Observations (B, o) and chunks (B, H, A) rad -> (B,)."""
        log_prob: Array32 = self._likelihood.run(None, {"vector": vector, "chunk": chunk})[0]
        return log_prob


class PolicyRuntime:
    """Plans chunks with one checkpoint. Not for use from several threads at once; ready to use when constructed."""

    def __init__(self, checkpoint: Checkpoint, *, threads: int = 1, acting: ActingConfig | None = None) -> None:
        """`acting`: instead of the checkpoint's own. Raises CompileError."""
        self.info = checkpoint.info
        self.layout = checkpoint.policy.layout
        self.acting = acting or checkpoint.acting
        self.has_critic = checkpoint.critic is not None
        self.compiled = not MISSING
        eager = EagerEngine(checkpoint.policy, checkpoint.critic)
        self._engine: Engine = eager
        if MISSING:
            log.warning("the policy runs uncompiled and several times slower: %s; install onnx and onnxruntime", MISSING)
        else:
            self._engine = CompiledEngine(
                checkpoint.policy, checkpoint.critic, candidates=self.acting.candidates, threads=threads
            )
            _compare(self._engine, eager, checkpoint.policy, self.acting.candidates)

    def plan(self, vector: Array32, rng: np.random.Generator) -> PlannedChunk:
        """The chunk to play after the observation `vector` (o,). Raises ValueError for a wrong size or what is not finite."""
        began = time.perf_counter()
        if vector.shape != (self.layout.observation_size,) or not np.isfinite(vector).all():
            raise ValueError(
                f"expected {self.layout.observation_size} finite numbers of observation, got {vector.shape} with "
                f"{np.count_nonzero(~np.isfinite(vector))} that are not"
            )
        acting = self.acting
        count = acting.candidates if self.has_critic else 1
        latent = rng.standard_normal((count, self.layout.chunk_size), dtype=np.float32) * np.float32(acting.temperature)
        decoded = self._engine.decode(vector[None].astype(np.float32, copy=False), latent)
        best, q_value = 0, math.nan
        if decoded.q_value is not None:
            best = best_candidate(decoded.log_prob, decoded.q_value, acting.density_quantile)
            q_value = float(decoded.q_value[best])
        return PlannedChunk(
            position_rad=decoded.chunk[best].astype(np.float64),
            log_prob=float(decoded.log_prob[best]),
            q_value=q_value,
            candidates=count,
            inference_s=time.perf_counter() - began,
        )

    def log_prob(self, vectors: Array32, chunks: Array | Array32) -> Array:
        """Exact log-likelihood (B,), nats per rad^D, of `chunks` (B, H, A) rad after observations `vectors` (B, o)."""
        answer = self._engine.log_prob(np.ascontiguousarray(vectors, np.float32), np.ascontiguousarray(chunks, np.float32))
        return answer.astype(np.float64)


def _session(graph: bytes, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    # Threads that wait must not burn the time of the control loop.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _compare(compiled: Engine, eager: Engine, policy: ChunkPolicy, candidates: int) -> None:
    """Raises CompileError where the two differ on observations and latents that are drawn anew but always the same."""
    rng = np.random.default_rng(0)
    standardiser, layout = policy.encoder.standardiser, policy.layout
    noise = rng.standard_normal((1, layout.observation_size))
    vector = (standardiser.mean.numpy() + standardiser.std.numpy() * noise).astype(np.float32)
    latent = rng.standard_normal((candidates, layout.chunk_size), dtype=np.float32)
    got, expected = compiled.decode(vector, latent), eager.decode(vector, latent)
    vectors = np.repeat(vector, candidates, axis=0)
    likelihoods = compiled.log_prob(vectors, expected.chunk), eager.log_prob(vectors, expected.chunk)
    per_number = LOG_PROB_TOLERANCE_NATS * layout.chunk_size
    pairs = [
        ("chunk", got.chunk, expected.chunk, CHUNK_TOLERANCE_RAD),
        ("log-likelihood of a sample", got.log_prob, expected.log_prob, per_number),
        ("log-likelihood", *likelihoods, per_number),
    ]
    if got.q_value is not None and expected.q_value is not None:
        pairs.append(("q_value", got.q_value, expected.q_value, Q_TOLERANCE * (1.0 + float(np.abs(expected.q_value).max()))))
    for name, one, other, tolerance in pairs:
        difference = float(np.abs(one - other).max())
        # Not `>`: what is not a number differs too.
        if not difference <= tolerance:
            raise CompileError(
                f"{name}: expected the compiled policy within {tolerance:g} of the policy, got a difference of {difference:g}; "
                "the weights are too extreme for single precision, or inference_graph.py does not know a change of the modules"
            )

"""From a checkpoint to the policy that runs: its modules as graphs, compared with the modules themselves.

Without ONNX and its runtime the torch modules run themselves, several times slower, and a warning says so.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import ArrayLike

from sernf_policy import engine
from sernf_policy.acting import ActingConfig
from sernf_policy.checkpoint import Checkpoint
from sernf_policy.critic import ChunkCritic
from sernf_policy.engine import Array32, CompiledEngine, Decoded, Engine, Graphs, Judged, PlannedChunk, Planner
from sernf_policy.pictures import Picture
from sernf_policy.policy import ChunkPolicy

try:
    from sernf_policy.inference_graph import likelihood_graph, sampling_graph
    from sernf_policy.vision_graph import eyes_graphs

    MISSING = engine.MISSING
except ImportError as error:
    MISSING = str(error)

log = logging.getLogger(__name__)

__all__ = ["CompileError", "EagerEngine", "PlannedChunk", "PolicyRuntime"]

CHUNK_TOLERANCE_RAD = 1e-4
LIKELIHOOD_TOLERANCE = 1e-3
"""Of `likelihood_difference`. Single precision leaves 1e-6, and up to 1e-4 where the policy is saturated."""
Q_TOLERANCE = 1e-3
DISTANCE_TOLERANCE = 1e-3
FEATURE_TOLERANCE = 1e-3


class CompileError(RuntimeError):
    """What was compiled does not compute what the policy computes."""


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
    def judge(self, vector: Array32, chunk: Array32) -> Judged:
        """Observations (B, o) and chunks (B, H, A) rad."""
        observation = {"vector": torch.from_numpy(vector)}
        log_prob = self._policy.log_prob(observation, torch.from_numpy(chunk))
        return Judged(log_prob.numpy(), self._policy.encoder.standardiser.distance(observation["vector"]).numpy())

    @torch.no_grad()
    def see(self, pictures: Mapping[str, Picture]) -> dict[str, Array32]:
        """Camera -> (h, w, 3), the part that is seen, to camera -> features (F,)."""
        seen = self._policy.eyes({name: torch.from_numpy(picture[None]) for name, picture in pictures.items()})
        return {name: features[0].numpy() for name, features in seen.items()}


class PolicyRuntime(Planner):
    """Plans chunks with one checkpoint. Not for use from several threads at once; ready to use when constructed."""

    def __init__(self, checkpoint: Checkpoint, *, threads: int = 1, acting: ActingConfig | None = None) -> None:
        """`acting`: instead of the checkpoint's own. Raises CompileError."""
        policy, critic = checkpoint.policy, checkpoint.critic
        acting = acting or checkpoint.acting
        self.info = checkpoint.info
        self.graphs: Graphs | None = None
        """what was compiled; None without ONNX"""
        eager = EagerEngine(policy, critic)
        chosen: Engine = eager
        if MISSING:
            log.warning("the policy runs uncompiled and several times slower: %s; install onnx and onnxruntime", MISSING)
        else:
            sampling = sampling_graph(policy, critic, acting.candidates)
            self.graphs = Graphs(sampling, likelihood_graph(policy), critic is not None, eyes_graphs(policy.eyes))
            chosen = CompiledEngine(self.graphs, threads=threads)
            _compare(chosen, eager, policy, acting.candidates)
        super().__init__(policy.layout, acting, chosen, has_critic=critic is not None)

    @property
    def compiled(self) -> bool:
        """Whether ONNX Runtime computes."""
        return self.graphs is not None


def likelihood_difference(got: ArrayLike, expected: ArrayLike, numbers: int) -> float:
    """Largest difference of log-likelihoods (n,) of chunks of `numbers`, in nats a number; relative where they are large."""
    one, other = np.asarray(got, dtype=np.float64) / numbers, np.asarray(expected, dtype=np.float64) / numbers
    return float((np.abs(one - other) / (1.0 + np.abs(other))).max())


def _compare(compiled: Engine, eager: Engine, policy: ChunkPolicy, candidates: int) -> None:
    """Raises CompileError where the two differ on observations and latents that are drawn anew but always the same."""
    rng = np.random.default_rng(0)
    standardiser, layout = policy.encoder.standardiser, policy.layout
    noise = rng.standard_normal((1, layout.observation_size))
    vector = (standardiser.mean.numpy() + standardiser.std.numpy() * noise).astype(np.float32)
    latent = rng.standard_normal((candidates, layout.chunk_size), dtype=np.float32)
    got, expected = compiled.decode(vector, latent), eager.decode(vector, latent)
    vectors = np.repeat(vector, candidates, axis=0)
    judged, expected_judged = compiled.judge(vectors, expected.chunk), eager.judge(vectors, expected.chunk)
    numbers = layout.chunk_size
    found = [
        ("chunk", float(np.abs(got.chunk - expected.chunk).max()), CHUNK_TOLERANCE_RAD),
        ("log-likelihood of a sample", likelihood_difference(got.log_prob, expected.log_prob, numbers), LIKELIHOOD_TOLERANCE),
        ("log-likelihood", likelihood_difference(judged.log_prob, expected_judged.log_prob, numbers), LIKELIHOOD_TOLERANCE),
        ("distance", float(np.abs(judged.distance - expected_judged.distance).max()), DISTANCE_TOLERANCE),
    ]
    pictures = {view.name: rng.integers(0, 256, (*reversed(view.size_px), 3), dtype=np.uint8) for view in layout.cameras}
    seen, expected_seen = compiled.see(pictures), eager.see(pictures)
    found += [
        (f"features of {name}", float(np.abs(seen[name] - expected_seen[name]).max()), FEATURE_TOLERANCE) for name in pictures
    ]
    if got.q_value is not None and expected.q_value is not None:
        difference = np.abs(got.q_value - expected.q_value).max() / (1.0 + np.abs(expected.q_value).max())
        found.append(("q_value", float(difference), Q_TOLERANCE))
    for name, difference, tolerance in found:
        # Not `>`: what is not a number differs too.
        if not difference <= tolerance:
            raise CompileError(
                f"{name}: expected the compiled policy within {tolerance:g} of the policy, got a difference of {difference:g}; "
                "the weights are too extreme for single precision, or inference_graph.py does not know a change of the modules"
            )

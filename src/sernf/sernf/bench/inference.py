"""Planning one chunk on one thread: the flow with its exact likelihood, best of 16 with the critic, and peers of the same size.

All are asked in turn, a few times in a row, so that whatever else the machine does meets them alike. The first call of each row
finds the weights of the others in the cache and its own in memory, as a robot that plans four times a second does: `..._cold_ms`.
The floor is what this machine, in the same run, needs at least to read the weights once from where they fit or to do the
multiply-adds, whichever takes longer. Weights are random: time does not depend on them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto
from rich.console import Console
from torch import nn

from sernf.bench.peer_policies import DenoisingPolicy, ddim_steps, flow_matching_steps, parameters
from sernf.bench.report import Metric, Report
from sernf_learner.learning_config import task_config
from sernf_policy.acting import ActingConfig
from sernf_policy.critic import ChunkCritic, CriticConfig
from sernf_policy.engine import MISSING, CompiledEngine, Graphs, Planner, session
from sernf_policy.inference_graph import likelihood_graph, sampling_graph
from sernf_policy.layout import PolicyLayout
from sernf_policy.policy import ChunkPolicy, PolicyConfig

HORIZON = 10
CANDIDATES = 16
IN_A_ROW = 20
WARM_UP_ROUNDS = 3
ROUNDS_BETWEEN_FLOORS = 5
PRODUCT_SIZE = 512
HEAD_STD = 0.02

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]


def measure(seconds: float, console: Console) -> Report:
    """Raises RuntimeError without ONNX Runtime."""
    if MISSING:
        raise RuntimeError(f"expected ONNX Runtime, got: {MISSING}; install it as in requirements.txt")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    layout = task_config("duck", {"horizon": HORIZON}).layout("duck")
    policy, critic = ChunkPolicy(layout, PolicyConfig()).eval(), ChunkCritic(layout, CriticConfig()).eval()
    _wake(policy)
    likelihood = likelihood_graph(policy)
    single = Graphs(sampling_graph(policy, None, 1), likelihood, False)
    many = Graphs(sampling_graph(policy, critic, CANDIDATES), likelihood, True)
    peers = {
        "flow_matching_8": DenoisingPolicy(policy, flow_matching_steps(8)).eval(),
        "diffusion_ddim_10": DenoisingPolicy(policy, ddim_steps(10)).eval(),
    }
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((256, layout.observation_size)).astype(np.float32)
    calls: dict[str, Callable[[Array32], object]] = {
        "sample_logprob": _planning(layout, single, ActingConfig(), rng),
        "best_of_16": _planning(layout, many, ActingConfig(candidates=CANDIDATES), rng),
        **{name: _denoising(peer, rng) for name, peer in peers.items()},
    }
    costs = {"sample_logprob": cost(single.sampling, 1), "best_of_16": cost(many.sampling, CANDIDATES)}
    floors = {name: Floor(*costs[name]) for name in costs}
    console.print(f"measuring for {seconds:g} s: {', '.join(calls)} in turn, on one thread")
    warm_s, cold_s = _in_turn(calls, list(floors.values()), vectors, seconds)
    warm = {name: Metric.of(np.array(values) * 1e3, "ms") for name, values in warm_s.items()}
    cold = {name: Metric.of(np.array(values) * 1e3, "ms") for name, values in cold_s.items()}
    return Report(
        metrics={f"{name}_ms": warm[name] for name in costs} | {f"{name}_cold_ms": cold[name] for name in costs},
        counts={
            "parameters": parameters(policy),
            **{f"{name}_parameters": parameters(peer) for name, peer in peers.items()},
            "weight_bytes": costs["sample_logprob"][0],
            "multiply_adds": costs["sample_logprob"][1],
            "best_of_16_weight_bytes": costs["best_of_16"][0],
            "best_of_16_multiply_adds": costs["best_of_16"][1],
            "bandwidth_gb_s": floors["sample_logprob"].bytes_per_s / 1e9,
            "multiply_adds_g_s": floors["sample_logprob"].multiply_adds_per_s / 1e9,
        },
        peers={name: {"sample_ms": warm[name], "sample_cold_ms": cold[name]} for name in peers},
        floor={"ms": floors["sample_logprob"].seconds * 1e3, "best_of_16_ms": floors["best_of_16"].seconds * 1e3},
    )


class Floor:
    """The least time for `weight_bytes` and `multiply_adds` at the best rates that were seen."""

    def __init__(self, weight_bytes: int, multiply_adds: int) -> None:
        self._weight_bytes, self._multiply_adds = weight_bytes, multiply_adds
        self._weights = torch.ones(weight_bytes // 4)
        self._factor = torch.ones(PRODUCT_SIZE, PRODUCT_SIZE)
        self.bytes_per_s = self.multiply_adds_per_s = 0.0

    def measure(self) -> None:
        """Read as many bytes as there are weights, from the memory or cache where they fit; multiply two matrices."""
        read_s = min(_time_s(torch.dot, self._weights, self._weights) for _ in range(5))
        product_s = _time_s(torch.mm, self._factor, self._factor)
        self.bytes_per_s = max(self.bytes_per_s, self._weight_bytes / read_s)
        self.multiply_adds_per_s = max(self.multiply_adds_per_s, PRODUCT_SIZE**3 / product_s)

    @property
    def seconds(self) -> float:
        """The larger of the two."""
        return max(self._weight_bytes / self.bytes_per_s, self._multiply_adds / self.multiply_adds_per_s)


def cost(graph: bytes, candidates: int) -> tuple[int, int]:
    """Bytes of the weights of a sampling graph, and multiply-adds of its matrix products for so many candidates."""
    content = onnx.load_from_string(graph).graph
    shapes = {constant.name: tuple(constant.dims) for constant in content.initializer}
    of_latent = {"latent"}
    multiply_adds = 0
    for node in content.node:
        if of_latent.intersection(node.input):
            of_latent.update(node.output)
        if node.op_type == "Gemm":
            multiply_adds += int(np.prod(shapes[node.input[1]])) * (candidates if node.input[0] in of_latent else 1)
    floats = [constant for constant in content.initializer if constant.data_type == TensorProto.FLOAT]
    return sum(4 * int(np.prod(constant.dims)) for constant in floats), multiply_adds


def _planning(
    layout: PolicyLayout, graphs: Graphs, acting: ActingConfig, rng: np.random.Generator
) -> Callable[[Array32], object]:
    planner = Planner(layout, acting, CompiledEngine(graphs, threads=1), has_critic=graphs.has_critic)
    return lambda vector: planner.plan(vector, rng)


def _denoising(peer: DenoisingPolicy, rng: np.random.Generator) -> Callable[[Array32], object]:
    running, size = session(peer.graph(), threads=1), peer.layout.chunk_size

    def sample(vector: Array32) -> Array:
        latent = rng.standard_normal((1, size), dtype=np.float32)
        chunk: Array = running.run(None, {"vector": vector[None], "latent": latent})[0][0].astype(np.float64)
        return chunk

    return sample


def _in_turn(
    calls: dict[str, Callable[[Array32], object]], floors: list[Floor], vectors: Array32, seconds: float
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Durations (s) of each call: those that follow one of the same, and the first of each row. At least one row of each."""
    warm_s: dict[str, list[float]] = {name: [] for name in calls}
    cold_s: dict[str, list[float]] = {name: [] for name in calls}
    end = time.monotonic() + seconds
    number = 0
    while number <= WARM_UP_ROUNDS or time.monotonic() < end:
        if number % ROUNDS_BETWEEN_FLOORS == 0:
            for floor in floors:
                floor.measure()
        for name, call in calls.items():
            first_s, *rest_s = (_time_s(call, vectors[(number + repeat) % len(vectors)]) for repeat in range(IN_A_ROW))
            if number >= WARM_UP_ROUNDS:
                cold_s[name].append(first_s)
                warm_s[name] += rest_s
        number += 1
    return warm_s, cold_s


def _time_s(call: Callable[..., object], *arguments: object) -> float:
    began = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - began


def _wake(policy: ChunkPolicy) -> None:
    """Heads that start at zero get numbers, as if they had been trained."""
    for parameter in policy.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=HEAD_STD)

"""Chunk policies that the flow is measured beside: flow matching and diffusion, which denoise in several passes.

They have the policy's encoder and a trunk with as many parameters as its flow, are compiled by the same ONNX Runtime, and get the
same favours: the code's part of the first layer is computed once, the time's part is folded into constants. They give no
likelihood.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sernf_policy.encoder import VectorEncoder, mlp
from sernf_policy.graph_layers import encoded, linear, through, values
from sernf_policy.inference_graph import in_rad
from sernf_policy.onnx_graph import GraphBuilder
from sernf_policy.policy import ChunkPolicy

TIME_FEATURES = 32
TRUNK_LAYERS = 3

Step = tuple[float, float, float]
"""Of one pass: the time at which the network is asked, and what x and its answer are multiplied with before they are added."""


def flow_matching_steps(count: int) -> list[Step]:
    """Euler steps along the velocity from noise (time 0) to data (time 1)."""
    return [(number / count, 1.0, 1.0 / count) for number in range(count)]


def ddim_steps(count: int) -> list[Step]:
    """DDIM (arXiv 2010.02502) without added noise on a cosine schedule; the network predicts the noise."""
    times = [1.0 - number / count for number in range(count + 1)]
    kept = [math.cos(0.5 * math.pi * min(time, 0.99)) for time in times]
    noise = [math.sqrt(1.0 - share * share) for share in kept]
    steps: list[Step] = []
    for (before, after), (loud, quiet), time in zip(itertools.pairwise(kept), itertools.pairwise(noise), times):
        steps.append((time, after / before, quiet - loud * after / before))
    return steps


class DenoisingPolicy(nn.Module):
    """Asks one network several times; its parameters are as many as those of `policy`, to a few percent."""

    def __init__(self, policy: ChunkPolicy, steps: Sequence[Step]) -> None:
        super().__init__()
        config, self.layout = policy.config, policy.layout
        self.steps, self.normaliser = list(steps), policy.normaliser
        self.encoder = VectorEncoder(torch.tensor(self.layout.of_body), config.encoder_hidden, config.code_size)
        size = self.layout.chunk_size
        inputs = size + config.code_size + TIME_FEATURES
        width = matching_width(parameters(policy) - parameters(self.encoder), inputs, size)
        self.trunk = mlp((inputs, *[width] * TRUNK_LAYERS, size))

    @torch.no_grad()
    def sample(self, vector: Tensor, latent: Tensor) -> Tensor:
        """Vectors (B, o) and noise (B, D) -> chunks (B, H, A) rad."""
        code = self.encoder({"vector": vector})
        x = latent
        for time, keep, add in self.steps:
            features = time_features(torch.full((len(x),), time))
            x = keep * x + add * self.trunk(torch.cat([x, code, features], dim=-1))
        scaled = torch.tanh(x).reshape(-1, self.layout.horizon, self.layout.action_size)
        start = self.layout.slice_of("commanded_position")
        return self.normaliser.from_scaled(scaled, vector[:, start])

    def graph(self) -> bytes:
        """`vector` (1, o), `latent` (N, D) -> `chunk` (N, H, A) rad."""
        graph, layout = GraphBuilder(), self.layout
        first, *rest = self.trunk
        assert isinstance(first, nn.Linear)
        weight, size, code_size = values(first.weight), layout.chunk_size, self.encoder.code_size
        of_code = weight[:, size : size + code_size]
        code = linear(graph, encoded(graph, self.encoder, "vector"), of_code, values(first.bias))
        x = "latent"
        for time, keep, add in self.steps:
            of_time = graph.constant(weight[:, size + code_size :] @ values(time_features(torch.tensor(time))))
            hidden = graph.add("Gemm", x, graph.constant(weight[:, :size].T), graph.add("Add", code, of_time))
            answer = graph.add("Mul", through(graph, rest, hidden), graph.scalar(add))
            x = graph.add("Add", x if keep == 1.0 else graph.add("Mul", x, graph.scalar(keep)), answer)
        chunk = in_rad(graph, layout, self.normaliser, graph.add("Tanh", x), "vector")
        shaped = graph.add("Reshape", chunk, graph.constant([-1, layout.horizon, layout.action_size]))
        inputs: dict[str, tuple[int | str, ...]] = {"vector": (1, layout.observation_size), "latent": ("candidates", size)}
        return graph.model(inputs, {"chunk": shaped})


def time_features(time: Tensor) -> Tensor:
    """Sines and cosines of times (...,), (..., TIME_FEATURES)."""
    phase = time[..., None] * torch.logspace(0.0, 1.5, TIME_FEATURES // 2, device=time.device)
    return torch.cat([torch.sin(phase), torch.cos(phase)], dim=-1)


def matching_width(count: int, inputs: int, outputs: int) -> int:
    """Width of the trunk that has about `count` parameters."""

    def trunk(width: int) -> int:
        return (inputs + 1 + 2 * TRUNK_LAYERS) * width + (TRUNK_LAYERS - 1) * (width + 1) * width + (width + 1) * outputs

    return next(width for width in itertools.count(1) if trunk(width) >= count)


def parameters(module: nn.Module) -> int:
    """How many numbers are learnt."""
    return sum(parameter.numel() for parameter in module.parameters())

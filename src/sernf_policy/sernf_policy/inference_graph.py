"""The policy's modules as ONNX graphs for inference.

What does not depend on the sampled numbers is computed once for all candidates: the code, the affine map and the code's part of
every first layer. Constants are folded into weights where no clipping stands between. `sernf_policy.runtime` compares what it
compiled with the modules; a module that is not known here raises TypeError.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from sernf_policy.critic import ChunkCritic, EnsembleLinear, EnsembleNorm
from sernf_policy.flow import (
    LARGEST_AFFINE_LOG_SCALE,
    LARGEST_LOG_SCALE,
    LOG_2PI,
    ChunkFlow,
    ConditionalFlow,
    Coupling,
    Permutation,
)
from sernf_policy.graph_layers import clip, encoded, linear, norm, origin, standardised, through, values
from sernf_policy.layout import PolicyLayout
from sernf_policy.normaliser import EDGE, LARGEST_DISTANCE, SMALLEST_SPREAD, ChunkNormaliser
from sernf_policy.onnx_graph import GraphBuilder
from sernf_policy.policy import ChunkPolicy


def sampling_graph(policy: ChunkPolicy, critic: ChunkCritic | None, candidates: int) -> bytes:
    """`vector` (1, o), `latent` (N, D) -> `chunk` (N, H, A) rad, `log_prob` (N,); with a critic its members' mean `q_value` (N,).

    Any N will do; the graph is made for N = `candidates`.
    """
    graph = GraphBuilder()
    layout, normaliser = policy.layout, policy.normaliser
    vector, latent = "vector", "latent"
    whitened, log_scales = _flow(
        graph, policy.flow, latent, encoded(graph, policy.encoder, vector), to_action=True, single=candidates == 1
    )
    unbounded = linear(graph, whitened, values(normaliser.colour), values(normaliser.mean))
    scaled = clip(graph, graph.add("Tanh", unbounded), 1.0 - EDGE)
    chunk = in_rad(graph, layout, normaliser, scaled, vector)
    outputs = {
        "chunk": graph.add("Reshape", chunk, graph.constant([-1, layout.horizon, layout.action_size])),
        "log_prob": _log_prob(graph, normaliser, latent, log_scales, scaled),
    }
    if critic is not None:
        if _same_numbers(critic.normaliser, normaliser):
            edge = float(np.arctanh(1.0 - EDGE))
            outputs["q_value"] = _q_value(graph, critic, vector, clip(graph, unbounded, edge))
        else:
            outputs["q_value"] = _q_value(graph, critic, vector, _unbounded(graph, layout, critic.normaliser, chunk, vector)[0])
    return graph.model({"vector": (1, layout.observation_size), "latent": ("candidates", layout.chunk_size)}, outputs)


def likelihood_graph(policy: ChunkPolicy) -> bytes:
    """`vector` (B, o), `chunk` (B, H, A) rad -> `log_prob` (B,), `distance` (B, o) from the data, see `Standardiser.distance`."""
    graph = GraphBuilder()
    layout, normaliser = policy.layout, policy.normaliser
    flat = graph.add("Reshape", "chunk", graph.constant([-1, layout.chunk_size]))
    unbounded, scaled = _unbounded(graph, layout, normaliser, flat, "vector")
    shift = -values(normaliser.whiten) @ values(normaliser.mean)
    whitened = linear(graph, unbounded, values(normaliser.whiten), shift)
    latent, log_scales = _flow(
        graph, policy.flow, whitened, encoded(graph, policy.encoder, "vector"), to_action=False, single=False
    )
    log_prob = _log_prob(graph, normaliser, latent, log_scales, scaled)
    inputs: dict[str, tuple[int | str, ...]] = {
        "vector": ("rows", layout.observation_size),
        "chunk": ("rows", layout.horizon, layout.action_size),
    }
    standardiser = policy.encoder.standardiser
    centred = graph.add("Abs", graph.add("Sub", "vector", graph.constant(values(standardiser.mean))))
    spread = np.maximum(values(standardiser.std), SMALLEST_SPREAD)
    distance = graph.add("Mul", centred, graph.constant(1.0 / spread))
    return graph.model(inputs, {"log_prob": log_prob, "distance": distance})


def _flow(graph: GraphBuilder, flow: ChunkFlow, value: str, code: str, *, to_action: bool, single: bool) -> tuple[str, list[str]]:
    """(N, D) through the flow in one direction, and log-scales whose sum over the last axis is log |det d action / d latent|."""
    if not isinstance(flow, ConditionalFlow):
        raise TypeError(f"expected a flow that inference knows, got {type(flow).__name__}")
    of_code = _code_parts(graph, flow, code)
    affine, coupled = [], []
    for layer in reversed(flow.blocks()) if to_action else flow.blocks():
        if isinstance(layer, Permutation):
            value = _permuted(graph, value, layer.back if to_action else layer.order, single=single)
        elif isinstance(layer, Coupling):
            kept, moved = graph.split(value, (layer.kept, flow.size - layer.kept))
            shift, log_scale = _coupling(graph, layer, kept, of_code[layer])
            value = graph.add("Concat", kept, _stretched(graph, moved, shift, log_scale, to_action=to_action), axis=1)
            coupled.append(log_scale)
        else:
            shift, log_scale = _shift_and_log_scale(graph, list(layer.network), code, LARGEST_AFFINE_LOG_SCALE)
            value = _stretched(graph, value, shift, log_scale, to_action=to_action)
            affine.append(log_scale)
    return value, [graph.add("Sum", *scales) for scales in (affine, coupled) if scales]


def _stretched(graph: GraphBuilder, value: str, shift: str, log_scale: str, *, to_action: bool) -> str:
    scale = graph.add("Exp", log_scale)
    if to_action:
        return graph.add("Add", graph.add("Mul", value, scale), shift)
    return graph.add("Div", graph.add("Sub", value, shift), scale)


def _code_parts(graph: GraphBuilder, flow: ConditionalFlow, code: str) -> dict[Coupling, str]:
    """What the code adds in the first layer of each coupling: one product for all of them."""
    couplings = [layer for layer in flow.blocks() if isinstance(layer, Coupling)]
    if not couplings:
        return {}
    firsts = [_first(layer.network) for layer in couplings]
    weight = np.concatenate([values(first.weight)[:, layer.kept :] for first, layer in zip(firsts, couplings, strict=True)])
    bias = np.concatenate([values(first.bias) for first in firsts])
    parts = graph.split(linear(graph, code, weight, bias), [first.out_features for first in firsts])
    return dict(zip(couplings, parts, strict=True))


def _coupling(graph: GraphBuilder, layer: Coupling, kept: str, code_part: str) -> tuple[str, str]:
    """Shift and log-scale of the moved numbers."""
    weight = values(_first(layer.network).weight)[:, : layer.kept]
    value = graph.add("Gemm", kept, graph.constant(weight.T), code_part)
    return _shift_and_log_scale(graph, list(layer.network)[1:], value, LARGEST_LOG_SCALE)


def _shift_and_log_scale(graph: GraphBuilder, layers: list[nn.Module], value: str, bound: float) -> tuple[str, str]:
    """The two halves of what `layers` give, the second inside +-`bound`; the division before tanh is folded into the weights."""
    *before, last = layers
    assert isinstance(last, nn.Linear)
    value = through(graph, before, value)
    half = last.out_features // 2
    weight, bias = values(last.weight), values(last.bias)
    shift = linear(graph, value, weight[:half], bias[:half])
    raw = linear(graph, value, weight[half:] / bound, bias[half:] / bound)
    return shift, graph.add("Mul", graph.add("Tanh", raw), graph.scalar(bound))


def _q_value(graph: GraphBuilder, critic: ChunkCritic, vector: str, unbounded: str) -> str:
    """Mean over the members (N,) for chunks behind the critic's own atanh, (N, D)."""
    seen, members = critic.components, critic.config.members
    whiten = values(critic.normaliser.whiten)[:seen]
    whitened = clip(graph, linear(graph, unbounded, whiten, -whiten @ values(critic.normaliser.mean)), LARGEST_DISTANCE)
    first, *rest, last = critic.network
    assert isinstance(first, EnsembleLinear) and isinstance(last, EnsembleLinear)
    weight, bias = values(first.weight), values(first.bias)
    size = weight.shape[1] - seen
    of_vector = linear(
        graph, standardised(graph, critic.standardiser, vector), np.concatenate(list(weight[:, :size]), axis=1).T, bias.ravel()
    )
    hidden = []
    for member, part in enumerate(graph.split(of_vector, [weight.shape[2]] * members)):
        value = graph.add("Gemm", whitened, graph.constant(weight[member, size:]), part)
        for layer in rest:
            if isinstance(layer, EnsembleLinear):
                value = linear(graph, value, values(layer.weight)[member].T, values(layer.bias)[member, 0])
            elif isinstance(layer, EnsembleNorm):
                value = norm(graph, value, values(layer.weight)[member, 0], values(layer.bias)[member, 0])
            else:
                value = through(graph, [layer], value)
        hidden.append(value)
    together = graph.add("Concat", *hidden, axis=1) if members > 1 else hidden[0]
    mean = linear(graph, together, values(last.weight).reshape(1, -1) / members, values(last.bias).mean().reshape(1))
    return graph.add("Squeeze", mean, graph.constant([1]))


def in_rad(graph: GraphBuilder, layout: PolicyLayout, normaliser: ChunkNormaliser, scaled: str, vector: str) -> str:
    """Scaled (N, D) to rad, counted from the commanded position."""
    low, high = values(normaliser.low).ravel(), values(normaliser.high).ravel()
    middle = graph.add("Add", origin(graph, layout, normaliser.horizon, vector), graph.constant(0.5 * (high + low)))
    return graph.add("Add", graph.add("Mul", scaled, graph.constant(0.5 * (high - low))), middle)


def _unbounded(
    graph: GraphBuilder, layout: PolicyLayout, normaliser: ChunkNormaliser, chunk: str, vector: str
) -> tuple[str, str]:
    """Chunk (B, D) rad behind atanh, and before it: as many first steps of it as the normaliser is for."""
    low, high = values(normaliser.low).ravel(), values(normaliser.high).ravel()
    first = graph.split(chunk, [size for size in (low.size, layout.chunk_size - low.size) if size])[0]
    moves = graph.add("Sub", first, origin(graph, layout, normaliser.horizon, vector))
    scaled = graph.add("Mul", graph.add("Sub", moves, graph.constant(0.5 * (high + low))), graph.constant(2.0 / (high - low)))
    scaled = clip(graph, scaled, 1.0 - EDGE)
    return graph.add("Atanh", scaled), scaled


def _log_prob(graph: GraphBuilder, normaliser: ChunkNormaliser, latent: str, log_scales: list[str], scaled: str) -> str:
    """Density of the base, minus what the flow and tanh stretch, (N,)."""
    squares = graph.add("Mul", graph.add("ReduceSumSquare", latent, axes=[1], keepdims=0), graph.scalar(0.5))
    shrunk = graph.add("Log", graph.add("Sub", graph.scalar(1.0), graph.add("Mul", scaled, scaled)))
    stretched = [graph.add("ReduceSum", value, graph.constant([1]), keepdims=0) for value in (*log_scales, shrunk)]
    size = normaliser.horizon * normaliser.actions
    constant = float(normaliser.log_det_constant()) - 0.5 * size * LOG_2PI
    return graph.add("Sub", graph.scalar(constant), graph.add("Sum", squares, *stretched))


def _permuted(graph: GraphBuilder, value: str, order: Tensor, *, single: bool) -> str:
    """Columns of (N, D) in `order`. Several rows are turned on their side meanwhile: then whole rows are copied, not numbers."""
    indices = graph.constant(values(order).astype(np.int64))
    if single:
        return graph.add("Gather", value, indices, axis=1)
    sideways = graph.add("Gather", graph.add("Transpose", value, perm=[1, 0]), indices, axis=0)
    return graph.add("Transpose", sideways, perm=[1, 0])


def _first(network: nn.Sequential) -> nn.Linear:
    first = network[0]
    assert isinstance(first, nn.Linear)
    return first


def _same_numbers(one: ChunkNormaliser, other: ChunkNormaliser) -> bool:
    pairs = zip(one.buffers(), other.buffers(), strict=True)
    return one.horizon == other.horizon and all(bool((left == right).all()) for left, right in pairs)

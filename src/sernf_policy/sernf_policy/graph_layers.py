"""Layers of torch as nodes of an ONNX graph, with their weights as constants."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from sernf_policy.encoder import VectorEncoder
from sernf_policy.layout import PolicyLayout
from sernf_policy.normaliser import LARGEST_DISTANCE, Standardiser
from sernf_policy.onnx_graph import GraphBuilder

Array = NDArray[np.float64]


def encoded(graph: GraphBuilder, encoder: VectorEncoder, vector: str) -> str:
    """Vectors (B, o) -> codes (B, C)."""
    return through(graph, encoder.network, standardised(graph, encoder.standardiser, vector))


def standardised(graph: GraphBuilder, standardiser: Standardiser, vector: str) -> str:
    """(B, n) -> (B, n)."""
    centred = graph.add("Sub", vector, graph.constant(values(standardiser.mean)))
    return clip(graph, graph.add("Mul", centred, graph.constant(1.0 / values(standardiser.std))), LARGEST_DISTANCE)


def origin(graph: GraphBuilder, layout: PolicyLayout, steps: int, vector: str) -> str:
    """What chunks are counted from (rad), once for each of `steps` steps, (B, steps * A)."""
    start = layout.slice_of("commanded_position").start
    indices = np.tile(np.arange(start, start + layout.action_size), steps)
    position = graph.add("Gather", vector, graph.constant(indices), axis=1)
    if not layout.absolute_joints:
        return position
    return graph.add("Mul", position, graph.constant(np.tile(np.array(layout.counted, dtype=np.float32), steps)))


def through(graph: GraphBuilder, modules: Iterable[nn.Module], value: str) -> str:
    """`value` through one module after the other; raises TypeError for one that is not known here."""
    for module in modules:
        if isinstance(module, nn.Sequential):
            value = through(graph, module, value)
        elif isinstance(module, nn.Linear):
            value = linear(graph, value, values(module.weight), values(module.bias))
        elif isinstance(module, nn.LayerNorm):
            value = norm(graph, value, values(module.weight), values(module.bias))
        elif isinstance(module, nn.SiLU):
            value = graph.add("Mul", value, graph.add("Sigmoid", value))
        elif not isinstance(module, nn.Dropout):
            raise TypeError(f"expected a layer that inference knows, got {type(module).__name__}; add it to graph_layers.py")
    return value


def linear(graph: GraphBuilder, value: str, weight: Array, bias: Array) -> str:
    """`weight` (out, in), `bias` (out,)."""
    return graph.add("Gemm", value, graph.constant(weight.T), graph.constant(bias))


def norm(graph: GraphBuilder, value: str, weight: Array, bias: Array) -> str:
    """LayerNorm over the last axis."""
    return graph.add("LayerNormalization", value, graph.constant(weight), graph.constant(bias), axis=-1, epsilon=1e-5)


def clip(graph: GraphBuilder, value: str, bound: float) -> str:
    """Inside +-`bound`."""
    return graph.add("Clip", value, graph.scalar(-bound), graph.scalar(bound))


def values(tensor: Tensor) -> Array:
    """A parameter's numbers."""
    return tensor.detach().double().numpy()

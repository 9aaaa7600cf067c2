"""Writes ONNX graphs node by node: milliseconds, where exporting a module takes seconds and holds the interpreter meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 9
"""What every supported ONNX Runtime reads."""


class GraphBuilder:
    """Values are known by name; every method returns the name of what it made. Floats are float32."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._made = 0

    def constant(self, values: ArrayLike) -> str:
        """Numbers that belong to the graph, kept once however often they are used; whole numbers become int64."""
        array = np.asarray(values)
        array = np.asarray(array, dtype=np.int64 if array.dtype.kind in "iu" else np.float32, order="C")
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = self._name("constant")
            self._constants.append(numpy_helper.from_array(array, self._known[key]))
        return self._known[key]

    def scalar(self, value: float) -> str:
        """A constant number."""
        return self.constant(np.float32(value))

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """One node with one output."""
        name = self._name(operator)
        self._nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def split(self, value: str, sizes: Sequence[int]) -> list[str]:
        """Parts of the last axis."""
        if len(sizes) == 1:
            return [value]
        names = [self._name("Split") for _ in sizes]
        self._nodes.append(helper.make_node("Split", [value, self.constant(list(sizes))], names, axis=-1))
        return names

    def model(self, inputs: Mapping[str, Sequence[int | str]], outputs: Mapping[str, str]) -> bytes:
        """The graph as bytes. `inputs`: name -> shape; `outputs`: name -> value."""
        for name, value in outputs.items():
            self._nodes.append(helper.make_node("Identity", [value], [name]))
        graph = helper.make_graph(
            self._nodes,
            "policy",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            self._constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        serialised: bytes = model.SerializeToString()
        return serialised

    def _name(self, stem: str) -> str:
        self._made += 1
        return f"{stem}_{self._made}"

"""A small writer of ONNX graphs whose weights are stored in fewer bytes than they are used in."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8

Array = npt.NDArray[Any]


class Graph:
    """Collects nodes and weights, and builds a checked model.

    Every method that adds something gives back the name of its output. Names are numbered in the
    order of the calls, so the same calls write the same file.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._count = 0

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator with one output."""
        output = self._fresh(op.lower())
        # Named, because older versions of ONNX Runtime stumble over nodes that share an empty name.
        self._nodes.append(helper.make_node(op, list(inputs), [output], name=output, **attributes))
        return output

    def constant(self, array: Array) -> str:
        """Store an array as it is."""
        name = self._fresh("const")
        self._weights.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def half(self, array: Array) -> str:
        """Store in half precision, use in single precision (the cast is folded at load)."""
        if not np.all(np.abs(array) < np.finfo(np.float16).max):
            raise ValueError("a weight does not fit half precision")
        return self.node("Cast", self.constant(array.astype(np.float16)), to=TensorProto.FLOAT)

    def int8(self, array: Array) -> str:
        """Store a matrix (in, out) in 8 bits with one scale per column, use it in single."""
        values, scales = quantise(array, axis=0)
        cast = self.node("Cast", self.constant(values), to=TensorProto.FLOAT)
        return self.node("Mul", cast, self.constant(scales))

    def table(self, array: Array, index: str) -> str:
        """Look rows up in a table stored in 8 bits with one scale per row."""
        values, scales = quantise(array, axis=1)
        rows = self.node("Gather", self.constant(values), index, axis=0)
        scale = self.node("Gather", self.constant(scales), index, axis=0)
        return self.node("Mul", self.node("Cast", rows, to=TensorProto.FLOAT), scale)

    def build(
        self, inputs: dict[str, tuple[int, list[Any]]], output: str, shape: list[Any]
    ) -> onnx.ModelProto:
        """Make the model; ``inputs`` maps a name to (element type, shape)."""
        self._nodes.append(helper.make_node("Identity", [output], ["embedding"], name="embedding"))
        graph = helper.make_graph(
            self._nodes,
            self.name,
            [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, shape)],
            initializer=self._weights,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="crossalign",
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    def _fresh(self, stem: str) -> str:
        self._count += 1
        return f"{stem}_{self._count}"


def quantise(array: Array, axis: int) -> tuple[Array, Array]:
    """Round to 8 bits, symmetric about zero, with one scale per slice across ``axis``."""
    scales = np.abs(array).max(axis=axis, keepdims=True) / 127.0
    scales[scales == 0] = 1.0
    values = np.clip(np.rint(array / scales), -127, 127).astype(np.int8)
    return values, scales.astype(np.float32)


def unit_rows(graph: Graph, rows: str) -> str:
    """Scale the rows of a (n, D) tensor to unit length."""
    norm = graph.node("ReduceL2", rows, axes=[-1], keepdims=1)
    return graph.node("Div", rows, graph.node("Max", norm, graph.constant(np.float32(1e-12))))

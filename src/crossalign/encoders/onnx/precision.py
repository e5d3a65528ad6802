"""Storing an ONNX graph in a precision: single, half, or 8 bits."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any

import numpy as np

from crossalign.encoders.onnx.files import SUFFIXES

PRECISIONS = ("fp32", "fp16", "int8")

# A protocol buffer holds no more than 2 GB; with larger weights, they go into a file beside.
LARGEST = 1_900_000_000
SMALLEST = 1024  # numbers in a tensor that is worth storing otherwise
LARGEST_HALF = float(np.finfo(np.float16).max)


def save(source: Path, stem: Path, dtype: str) -> Path:
    """Store a graph in a precision.

    Args:
        source: The graph, in single precision.
        stem: Where to write, without suffix and ending.
        dtype: One of :data:`PRECISIONS`.

    Returns:
        The file that was written, ``<stem>.onnx``, ``<stem>_fp16.onnx`` or ``<stem>_int8.onnx``.
    """
    import onnx

    path = stem.with_name(f"{stem.name}{SUFFIXES[dtype]}.onnx")
    path.parent.mkdir(parents=True, exist_ok=True)
    if dtype == "int8":
        model = _quantised(source)
    else:
        model = onnx.load(str(source))
        if dtype == "fp16":
            store_half(model)
    size = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    beside = f"{path.name}_data"
    onnx.save(model, str(path), save_as_external_data=size > LARGEST, location=beside)
    return path


def store_half(model: Any) -> None:
    """Store large weights in half precision, and widen them where the graph begins.

    What computes stays in single precision: half the size, the same speed, and rounding of the
    weights alone. Runtimes fold the widening away while they load.

    Args:
        model: The graph, changed in place.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        if values.size < SMALLEST or np.abs(values).max() > LARGEST_HALF:
            continue
        name = tensor.name
        half = numpy_helper.from_array(values.astype(np.float16), f"{name}_half")
        tensor.CopyFrom(half)
        casts.append(
            helper.make_node("Cast", [half.name], [name], f"{name}_widen", to=TensorProto.FLOAT)
        )
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _quantised(source: Path) -> Any:
    """Quantise what multiplies matrices, and tables of embeddings.

    Weights are signed, with a scale for each channel; activations get a scale for each batch.
    Unsigned weights were half as fast, one scale for all less exact; convolutions lose most.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    made = source.with_name("quantised.onnx")
    size = sum(path.stat().st_size for path in source.parent.iterdir())
    with contextlib.ExitStack() as stack:  # the quantiser writes advice to the log
        stack.callback(logging.disable, logging.root.manager.disable)
        logging.disable(logging.WARNING)
        quantize_dynamic(
            str(source),
            str(made),
            op_types_to_quantize=["MatMul", "Gather"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            use_external_data_format=size > LARGEST,
        )
    return onnx.load(str(made))

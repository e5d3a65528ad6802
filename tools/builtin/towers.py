"""The two towers of the built-in model, written as ONNX graphs from the published weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from graph import Graph, unit_rows
from onnx import TensorProto

Array = npt.NDArray[Any]
Weights = dict[str, Array]

IMAGE_SIZE = 224
BATCH_NORM_EPSILON = 1e-3

# EfficientNet-Lite0 (Tan and Le, 2019, without squeeze-and-excitation):
# blocks, kernel, stride of the first, expansion
STAGES = (
    (1, 3, 1, 1),
    (2, 3, 2, 6),
    (2, 5, 2, 6),
    (3, 3, 2, 6),
    (3, 5, 1, 6),
    (4, 5, 2, 6),
    (1, 3, 1, 6),
)

HIDDEN, HEADS, LAYERS = 384, 12, 6
LAYER_NORM_EPSILON = 1e-12


@dataclass(frozen=True)
class JointSpace:
    """Everything that joins the towers; see ``joint.py`` for how it is made.

    Args:
        classifier: W and b of the image classifier, shapes (1000, F) and (1000,).
        softmax_half: A, what each ImageNet class adds to the first half, shape (1000, E).
        text_mean: mu, shape (E,).
        keys: K, unit anchors in the text space, shape (anchors, E).
        values: M, kernel regression weights, shape (anchors, F).
        sharpness: Of the kernel exp(sharpness * (cosine - 1)).
        temperature: Of the classifier's softmax.
        share: Weight of the first half in the squared norm.
    """

    classifier: tuple[Array, Array]
    softmax_half: Array
    text_mean: Array
    keys: Array
    values: Array
    sharpness: float
    temperature: float
    share: float


def image_tower(state: Weights, joint: JointSpace) -> onnx.ModelProto:
    """EfficientNet-Lite0 with the joint head: uint8 (n, 224, 224, 3) to unit vectors (n, D)."""
    graph = Graph("crossalign_builtin_image")
    pixels = graph.node("Cast", "pixels", to=TensorProto.FLOAT)
    x = graph.node("Transpose", pixels, perm=[0, 3, 1, 2])
    x = graph.node("Sub", x, graph.constant(np.float32(127.0)))
    x = graph.node("Mul", x, graph.constant(np.float32(1.0 / 128.0)))
    x = _conv(graph, state, x, "_conv_stem", "_bn0", stride=2)
    block = 0
    for repeats, _, first_stride, expansion in STAGES:
        for repeat in range(repeats):
            x = _block(
                graph, state, x, f"_blocks.{block}.", first_stride if repeat == 0 else 1, expansion
            )
            block += 1
    x = _conv(graph, state, x, "_conv_head", "_bn1")
    features = graph.node("Flatten", graph.node("GlobalAveragePool", x), axis=1)
    weight, bias = joint.classifier
    logits = graph.node("MatMul", features, graph.half(weight.T / joint.temperature))
    logits = graph.node(
        "Add", logits, graph.constant((bias / joint.temperature).astype(np.float32))
    )
    shares = graph.node("Softmax", logits, axis=-1)
    first = graph.node("MatMul", shares, graph.half(joint.softmax_half))
    output = _join(graph, first, features, joint.share)
    shape = ["n", IMAGE_SIZE, IMAGE_SIZE, 3]
    dim = joint.softmax_half.shape[1] + weight.shape[1]
    return graph.build({"pixels": (TensorProto.UINT8, shape)}, output, ["n", dim])


def _block(graph: Graph, state: Weights, x: str, prefix: str, stride: int, expansion: int) -> str:
    y = x
    if expansion != 1:
        y = _conv(graph, state, y, prefix + "_expand_conv", prefix + "_bn0")
    depthwise = prefix + "_depthwise_conv"
    y = _conv(graph, state, y, depthwise, prefix + "_bn1", stride=stride, grouped=True)
    y = _conv(graph, state, y, prefix + "_project_conv", prefix + "_bn2", activate=False)
    first = state[prefix + ("_expand_conv.weight" if expansion != 1 else "_depthwise_conv.weight")]
    channels_in = first.shape[1] if expansion != 1 else first.shape[0]
    if stride == 1 and channels_in == state[prefix + "_project_conv.weight"].shape[0]:
        y = graph.node("Add", y, x)
    return y


def _conv(
    graph: Graph,
    state: Weights,
    x: str,
    conv: str,
    norm: str,
    stride: int = 1,
    grouped: bool = False,
    activate: bool = True,
) -> str:
    """Convolution with its batch normalisation folded in (in double precision), and ReLU6."""
    weight = state[conv + ".weight"].astype(np.float64)
    gain = state[norm + ".weight"].astype(np.float64)
    gain = gain / np.sqrt(state[norm + ".running_var"].astype(np.float64) + BATCH_NORM_EPSILON)
    bias = state[norm + ".bias"] - state[norm + ".running_mean"] * gain
    y = graph.node(
        "Conv",
        x,
        graph.half((weight * gain[:, None, None, None]).astype(np.float32)),
        graph.constant(bias.astype(np.float32)),
        kernel_shape=list(weight.shape[2:]),
        strides=[stride, stride],
        group=weight.shape[0] if grouped else 1,
        auto_pad="SAME_UPPER",
    )
    if not activate:
        return y
    return graph.node("Clip", y, graph.constant(np.float32(0)), graph.constant(np.float32(6)))


def text_tower(state: Weights, joint: JointSpace) -> onnx.ModelProto:
    """MiniLM-L6 with mean pooling and the joint head: token ids (m, t) to unit vectors (m, D)."""
    graph = Graph("crossalign_builtin_text")
    zero, one = graph.constant(np.array([0])), graph.constant(np.array([1]))
    length = graph.node(
        "Slice", graph.node("Shape", "input_ids"), one, graph.constant(np.array([2]))
    )
    # Every token is of type 0, so its embedding is part of every position's.
    positions = state["embeddings.position_embeddings.weight"]
    positions = positions + state["embeddings.token_type_embeddings.weight"][0]
    position = graph.node("Slice", graph.half(positions), zero, length, zero)
    words = graph.table(state["embeddings.word_embeddings.weight"], "input_ids")
    x = _layer_norm(graph, state, graph.node("Add", words, position), "embeddings.LayerNorm")

    mask = graph.node("Cast", "attention_mask", to=TensorProto.FLOAT)
    column = graph.node("Unsqueeze", mask, graph.constant(np.array([2])))
    hidden = graph.node("Sub", graph.constant(np.float32(1)), mask)
    penalty = graph.node("Mul", hidden, graph.constant(np.float32(-1e9)))
    penalty = graph.node("Unsqueeze", penalty, graph.constant(np.array([1, 2])))
    for layer in range(LAYERS):
        x = _transformer_layer(graph, state, x, penalty, f"encoder.layer.{layer}.")

    total = graph.node("ReduceSum", graph.node("Mul", x, column), one, keepdims=0)
    count = graph.node("ReduceSum", mask, one, keepdims=1)
    sentence = unit_rows(graph, graph.node("Div", total, count))

    first = graph.node("Sub", sentence, graph.constant(joint.text_mean.astype(np.float32)))
    cosines = graph.node("MatMul", sentence, graph.half(joint.keys.T))
    below = graph.node("Sub", cosines, graph.constant(np.float32(1)))
    sharp = graph.node("Mul", below, graph.constant(np.float32(joint.sharpness)))
    second = graph.node("MatMul", graph.node("Exp", sharp), graph.half(joint.values))
    output = _join(graph, first, second, joint.share)
    ids = {name: (TensorProto.INT64, ["m", "t"]) for name in ("input_ids", "attention_mask")}
    return graph.build(ids, output, ["m", joint.keys.shape[1] + joint.values.shape[1]])


def _transformer_layer(graph: Graph, state: Weights, x: str, penalty: str, prefix: str) -> str:
    size = HIDDEN // HEADS
    parts = ("query", "key", "value")
    names = [f"{prefix}attention.self.{part}" for part in parts]
    weight = np.concatenate([state[name + ".weight"] for name in names]).copy()
    bias = np.concatenate([state[name + ".bias"] for name in names]).copy()
    # The attention's 1 / sqrt(size) goes into the query.
    weight[:HIDDEN] /= np.sqrt(size)
    bias[:HIDDEN] /= np.sqrt(size)
    joined = _dense(graph, x, weight, bias)
    split = graph.node("Reshape", joined, graph.constant(np.array([0, 0, 3, HEADS, size])))
    query, key, value = (
        graph.node("Gather", split, graph.constant(np.array(part)), axis=2) for part in range(3)
    )
    query = graph.node("Transpose", query, perm=[0, 2, 1, 3])
    key = graph.node("Transpose", key, perm=[0, 2, 3, 1])
    value = graph.node("Transpose", value, perm=[0, 2, 1, 3])
    logits = graph.node("Add", graph.node("MatMul", query, key), penalty)
    mixed = graph.node("MatMul", graph.node("Softmax", logits, axis=-1), value)
    mixed = graph.node("Transpose", mixed, perm=[0, 2, 1, 3])
    mixed = graph.node("Reshape", mixed, graph.constant(np.array([0, 0, HIDDEN])))

    attended = _linear(graph, state, mixed, prefix + "attention.output.dense")
    x = _layer_norm(
        graph, state, graph.node("Add", attended, x), prefix + "attention.output.LayerNorm"
    )
    inner = _linear(graph, state, x, prefix + "intermediate.dense")
    scaled = graph.node("Mul", inner, graph.constant(np.float32(1 / np.sqrt(2.0))))
    gate = graph.node("Add", graph.node("Erf", scaled), graph.constant(np.float32(1)))
    gelu = graph.node("Mul", graph.node("Mul", inner, gate), graph.constant(np.float32(0.5)))
    outer = _linear(graph, state, gelu, prefix + "output.dense")
    return _layer_norm(graph, state, graph.node("Add", outer, x), prefix + "output.LayerNorm")


def _linear(graph: Graph, state: Weights, x: str, name: str) -> str:
    return _dense(graph, x, state[name + ".weight"], state[name + ".bias"])


def _dense(graph: Graph, x: str, weight: Array, bias: Array) -> str:
    product = graph.node("MatMul", x, graph.int8(weight.T))
    return graph.node("Add", product, graph.constant(bias.astype(np.float32)))


def _layer_norm(graph: Graph, state: Weights, x: str, name: str) -> str:
    gain, bias = (graph.constant(state[f"{name}.{part}"]) for part in ("weight", "bias"))
    return graph.node("LayerNormalization", x, gain, bias, axis=-1, epsilon=LAYER_NORM_EPSILON)


def _join(graph: Graph, first: str, second: str, share: float) -> str:
    """Lay two unit halves side by side; their squared norms are ``share`` and the rest."""
    halves = [
        graph.node("Mul", unit_rows(graph, half), graph.constant(np.float32(np.sqrt(part))))
        for half, part in ((first, share), (second, 1.0 - share))
    ]
    return graph.node("Concat", *halves, axis=1)

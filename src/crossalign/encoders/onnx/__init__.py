"""Dual encoders in ONNX files, on ONNX Runtime or OpenVINO."""

from __future__ import annotations

from crossalign.encoders.onnx.encoder import (
    IMAGE_BATCH,
    LEAST_PROBE_COSINE,
    LEAST_PROBE_COSINE_QUANTISED,
    PROBE_PADDING,
    PROBE_TEXT,
    PROJECTED,
    TEXT_INPUTS,
    OnnxEncoder,
    cards,
    load,
)

__all__ = [
    "IMAGE_BATCH",
    "LEAST_PROBE_COSINE",
    "LEAST_PROBE_COSINE_QUANTISED",
    "PROBE_PADDING",
    "PROBE_TEXT",
    "PROJECTED",
    "TEXT_INPUTS",
    "OnnxEncoder",
    "cards",
    "load",
]

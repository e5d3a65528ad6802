"""Dual encoders in ONNX files, on ONNX Runtime or OpenVINO."""

from __future__ import annotations

from crossalign.encoders.onnx.encoder import OnnxEncoder, cards, load

__all__ = ["OnnxEncoder", "cards", "load"]

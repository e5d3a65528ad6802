"""Encoders that are well known, and what can run them on this machine."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from importlib import metadata

from crossalign.encoders.base import ModelCard, read_data

# As their repositories state it. The tests of this package run none of them.
WELL_KNOWN = tuple(ModelCard(**card) for card in json.loads(read_data("well_known.json")))
"""A choice of encoders to begin with, of which nothing need be on this machine."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """A library that runs encoders.

    Args:
        name: The package.
        version: Its version; None where it is not installed.
        devices: What it runs on here, where that can be told at once.
        serves: Which encoders need it.
        extra: The extra of this package that brings it; "" for a package that is always there.
    """

    name: str
    version: str | None
    devices: str
    serves: str
    extra: str


def list_runtimes() -> list[Runtime]:
    """List the libraries that run encoders, installed or not. PyTorch is not imported for it.

    Returns:
        The libraries, ONNX Runtime first.
    """
    import onnxruntime

    providers = ", ".join(onnxruntime.get_available_providers())
    openvino, devices = _version("openvino"), ""
    if openvino is not None:
        devices = _openvino_devices()
    torch = _version("torch")
    return [
        Runtime("onnxruntime", onnxruntime.__version__, providers, "builtin, onnx:", ""),
        Runtime("openvino", openvino, devices, "onnx: with --runtime openvino", "openvino"),
        Runtime("torch", torch, _torch_devices(torch), "hf:, open_clip:", "transformers"),
        Runtime("transformers", _version("transformers"), "", "hf:", "transformers"),
        Runtime("open_clip", _version("open_clip_torch"), "", "open_clip:", "open-clip"),
        Runtime("onnx", _version("onnx"), "", "crossalign export", "export"),
    ]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _torch_devices(version: str | None) -> str:
    """Tell from the version what a build knows; importing it would take seconds."""
    if version is None:
        return ""
    return "CPU" if version.endswith("+cpu") else "CPU; with --device cuda a GPU, if there is one"


def _openvino_devices() -> str:
    try:
        core = importlib.import_module("openvino").Core()
        precision = core.get_property("CPU", "INFERENCE_PRECISION_HINT").to_string()
    except Exception as error:  # it is installed, and broken
        return f"fails: {error!s:.60}"
    return f"CPU, {'bf16' if precision == 'bf16' else 'fp32'} by default"

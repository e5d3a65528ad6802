"""What computes: versions and the machine, as receipts and journals have them."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

import crossalign

_PACKAGES = (
    "numpy", "pillow", "onnxruntime", "tokenizers", "openvino", "torch", "transformers",
    "open_clip_torch", "pyarrow",
)  # fmt: skip


def versions() -> dict[str, str]:
    """List the versions of what computes.

    Returns:
        Names to versions.
    """
    found = {"crossalign": crossalign.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def machine() -> dict[str, Any]:
    """Describe this machine without naming it.

    Returns:
        System, processor, cores and memory.
    """
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        lines = information.read_text(encoding="utf-8", errors="replace").splitlines()
        named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        processor = named[0] if named else processor
    memory = None
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "processor": processor,
        "cores": os.cpu_count(),
        "memory_bytes": memory,
    }

"""How a number came to be: everything it depends on, written down."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

import crossalign
from crossalign.encoders.base import fingerprint
from crossalign.errors import EvaluationError
from crossalign.evaluation.classes import digest
from crossalign.evaluation.request import PROTOCOLS, method_json
from crossalign.evaluation.run import Setup, Walk

FORMAT = 1
FILE = "receipt.json"
PREDICTIONS = "predictions.csv"

_PACKAGES = (
    "numpy", "pillow", "onnxruntime", "tokenizers", "openvino", "torch", "transformers",
    "open_clip_torch", "pyarrow",
)  # fmt: skip


def make(
    setup: Setup,
    walks: list[Walk],
    results: list[dict[str, Any]],
    *,
    command: list[str],
    started: str,
    finished: str,
    predictions: Path,
) -> dict[str, Any]:
    """Write a receipt.

    Args:
        setup: What was evaluated.
        walks: Its passes.
        results: Its results, one for each encoder and method.
        command: The command line, or what stands for it.
        started: When, in ISO 8601.
        finished: When.
        predictions: The file of per-image predictions.

    Returns:
        Plain values.
    """
    request, dataset = setup.request, setup.dataset
    texts = {walk.step.method.name: walk.texts for walk in reversed(walks)}
    return {
        "format": FORMAT,
        "command": command,
        "started": started,
        "finished": finished,
        "versions": versions(),
        "machine": machine(),
        "request": request.to_json(),
        "dataset": {
            "name": dataset.name,
            "split": dataset.split,
            "images": walks[0].journal.done,
            "content": _content(walks[0]),
            "classes": [
                list(pair) for pair in zip(dataset.class_ids, dataset.class_names, strict=True)
            ],
            "classes_digest": digest([dataset.class_ids, dataset.class_names]),
        },
        "texts": {
            name: {
                "origin": written.origin,
                "digest": digest([written.labels, written.texts]),
                "classes": {
                    label: digest(list(group))[:16]
                    for label, group in zip(written.labels, written.texts, strict=True)
                },
            }
            for name, written in texts.items()
        },
        "encoders": {
            model: {
                "name": encoder.card.name,
                "revision": encoder.card.revision,
                "dtype": request.dtype,
                "dim": encoder.card.dim,
                "licence": encoder.card.licence,
                "fingerprint": fingerprint(encoder),
                "preprocess": dataclasses.asdict(encoder.preprocess),
            }
            for model, encoder in setup.encoders.items()
        },
        "methods": {method.name: method_json(method) for method in setup.methods},
        "protocol": {
            **dataclasses.asdict(PROTOCOLS[request.protocol]),
            "seeds": sorted({walk.step.seed for walk in walks}),
            "runs": request.runs,
        },
        "passes": [
            {
                "encoder": walk.step.model,
                "method": walk.step.method.name,
                "seed": walk.step.seed,
                "computed": walk.computed,
                "seconds": round(walk.seconds, 3),
            }
            for walk in walks
        ],
        "results": [
            {
                **{name: row[name] for name in ("encoder", "method", "images", "failed")},
                **{name: row[name]["mean"] for name in ("top1", "top5", "per_class")},
            }
            for row in results
        ],
        "predictions": {"file": predictions.name, "digest": _file_digest(predictions)},
    }


def versions() -> dict[str, str]:
    """List the versions of what computes.

    Returns:
        Names to versions.
    """
    found = {"crossalign": crossalign.__version__, "python": platform.python_version()}
    found.update({name: version for name in _PACKAGES if (version := _version(name))})
    return found


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


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


def load(path: Path) -> dict[str, Any]:
    """Read a receipt.

    Args:
        path: The file, or the folder that holds it.

    Returns:
        Plain values.

    Raises:
        EvaluationError: If it is not a receipt that this version knows.
    """
    file = path / FILE if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        known = content["format"] == FORMAT and {"request", "dataset", "results"} <= set(content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EvaluationError(
            f"{file}: expected a receipt ({FILE}) that `crossalign evaluate` wrote; it cannot be "
            f"read ({error})."
        ) from error
    if not known:
        raise EvaluationError(f"{file}: expected a receipt of format {FORMAT}; got another.")
    return dict(content)


def _content(walk: Walk) -> str:
    """Name the images of a pass by their keys, classes and pixels."""
    total = hashlib.blake2b(digest_size=16)
    for outcome in walk.journal:
        total.update(f"{outcome.key}\0{outcome.label}\0{outcome.content}\n".encode())
    return total.hexdigest()


def _file_digest(path: Path) -> str:
    total = hashlib.sha256()
    with path.open("rb") as file:
        for part in iter(lambda: file.read(2**20), b""):
            total.update(part)
    return total.hexdigest()

"""How a number came to be: everything it depends on, written down."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import crossalign
from crossalign.encoders.base import Encoder, fingerprint
from crossalign.errors import EvaluationError
from crossalign.evaluation.classes import digest
from crossalign.evaluation.host import machine
from crossalign.evaluation.request import FILES, PROTOCOLS, Request, method_json
from crossalign.evaluation.run import Setup, Walk

FORMAT = 1
FILE = "receipt.json"
PREDICTIONS = "predictions.csv"
_ASKED = ("dtype", "device", "engine")  # of encoders


def make(
    setup: Setup,
    walks: Sequence[Walk],
    results: Sequence[dict[str, Any]],
    *,
    command: Sequence[str],
    written: str,
    predictions: Path,
) -> dict[str, Any]:
    """Write a receipt.

    Args:
        setup: What was evaluated.
        walks: Its passes.
        results: Its results, one for each encoder and method.
        command: The command line that wrote the results, or what stands for it. Who computed them,
            and when, is known from the journals.
        written: When, in ISO 8601.
        predictions: The file of per-image predictions.

    Returns:
        Plain values.
    """
    request, dataset = setup.request, setup.dataset
    texts = {walk.step.method.name: walk.texts for walk in reversed(walks)}
    sessions = _sessions(walks)
    return {
        "format": FORMAT,
        "command": list(command),
        "written": {"at": written, "by": f"crossalign {crossalign.__version__}"},
        "directory": str(Path.cwd()),
        "sessions": sessions,
        "versions": _together(session["versions"] for session in sessions),
        "machine": machine(),
        "request": request.to_json(),
        "files": _files(request),
        "dataset": {
            "name": dataset.name,
            "split": dataset.split,
            "images": walks[0].journal.done,
            "content": _content(walks[0], dataset.class_ids),
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
                "asked": {name: getattr(request, name) for name in _ASKED},
                **execution(encoder),
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
                "seconds": round(sum(session["seconds"] for session in walk.sessions), 3),
                "sessions": {session["id"]: session["images"] for session in walk.sessions},
            }
            for walk in walks
        ],
        "results": [
            {
                **{name: row[name] for name in ("encoder", "method", "images", "failed")},
                "runs": row["top1"]["runs"],
                **{name: row[name]["mean"] for name in ("top1", "top5", "per_class")},
            }
            for row in results
        ],
        "predictions": {"file": predictions.name, "digest": file_digest(predictions)},
    }


def replaced(out: Path, request: Request) -> list[str]:
    """Say what another evaluation, whose results are in a folder, has been.

    Args:
        out: The folder.
        request: What is evaluated now.

    Returns:
        A sentence, or nothing if the folder has none, or one of the same request.
    """
    try:
        old = load(out)
    except EvaluationError:
        return []
    then, now = old["request"], json.loads(json.dumps(request.to_json()))
    changed = [name for name, value in now.items() if then.get(name) != value]
    place = request.dataset if request.root is None else request.root
    if not Path(place).is_absolute() and old.get("directory") not in (None, str(Path.cwd())):
        changed.append("the folder it ran in")
    if not changed:
        return []
    differs = f"it differs in {', '.join(changed)}"
    return [f"{out} holds another evaluation ({differs}); its results will be replaced"]


def execution(encoder: Encoder) -> dict[str, Any]:
    """Say how an encoder really runs, whatever was asked for.

    Args:
        encoder: The encoder.

    Returns:
        Its ``dtype`` and ``providers``; None for those that it does not tell.
    """
    providers = getattr(encoder, "providers", None)
    return {
        "dtype": getattr(encoder, "dtype", None),
        "providers": None if providers is None else list(providers),
    }


def _sessions(walks: Sequence[Walk]) -> list[dict[str, Any]]:
    """Add up what each session did in all passes."""
    found: dict[str, dict[str, Any]] = {}
    for walk in walks:
        for session in walk.sessions:
            known = found.setdefault(session["id"], {**session, "images": 0, "seconds": 0.0})
            known["images"] += session["images"]
            known["seconds"] = round(known["seconds"] + session["seconds"], 3)
    return sorted(found.values(), key=lambda session: str(session.get("started")))


def _together(versions: Iterable[dict[str, str]]) -> dict[str, str]:
    """Put versions of several sessions side by side."""
    found: dict[str, dict[str, None]] = {}
    for one in versions:
        for name, version in one.items():
            found.setdefault(name, {})[version] = None
    return {name: " and ".join(values) for name, values in found.items()}


def _files(request: Request) -> dict[str, dict[str, Any]]:
    """Name the files that a request takes texts from by what they hold."""
    paths = {name: getattr(request, name) for name in FILES}
    return {
        name: {"path": path, "bytes": Path(path).stat().st_size, "digest": file_digest(Path(path))}
        for name, path in paths.items()
        if path is not None and Path(path).is_file()
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


def _content(walk: Walk, class_ids: Sequence[str]) -> str:
    """Name the images of a pass by their keys, classes and pixels."""
    total = hashlib.blake2b(digest_size=16)
    for outcome in walk.journal:
        line = f"{outcome.key}\0{class_ids[outcome.label]}\0{outcome.content}\n"
        total.update(line.encode(errors="surrogatepass"))
    return total.hexdigest()


def file_digest(path: Path) -> str:
    """Name a file by what it holds.

    Args:
        path: The file.

    Returns:
        Its SHA-256, in hexadecimal.
    """
    total = hashlib.sha256()
    with path.open("rb") as file:
        for part in iter(lambda: file.read(2**20), b""):
            total.update(part)
    return total.hexdigest()

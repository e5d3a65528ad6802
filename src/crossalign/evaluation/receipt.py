"""How a number came to be: everything it depends on, written down."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from crossalign.encoders.base import Encoder, fingerprint
from crossalign.errors import EvaluationError
from crossalign.evaluation.datasets import DATASETS, NAME_LISTS
from crossalign.evaluation.machine import machine, versions
from crossalign.evaluation.request import Request, method_json
from crossalign.evaluation.run import Pass, Setup
from crossalign.utils.digests import value_digest
from crossalign.utils.files import file_digest

FORMAT = 1
FILE = "receipt.json"
PREDICTIONS = "predictions.csv"

_PLACES = ("dataset", "root", "names", "descriptions", "descriptors")  # may name file or folder


def make_receipt(
    setup: Setup,
    passes: list[Pass],
    results: list[dict[str, Any]],
    *,
    command: list[str],
    finished: str,
    predictions: Path,
) -> dict[str, Any]:
    """Write a receipt.

    Args:
        setup: What was evaluated.
        passes: Its passes.
        results: Its results, one for each encoder and method.
        command: The command line, or what stands for it.
        finished: When the results were put together, in ISO 8601.
        predictions: The file of per-image predictions, beside which the receipt will be.

    Returns:
        Plain values.
    """
    request, dataset = setup.request, setup.dataset
    texts = {one.method.name: one.texts for one in reversed(passes)}
    sessions = [one.journal.sessions() for one in passes]
    return {
        "format": FORMAT,
        "command": command,
        "started": min(
            (session.started for found in sessions for session in found), default=finished
        ),
        "finished": finished,
        "versions": versions(),
        "machine": machine(),
        "request": request.to_json(),
        "files": files(request, predictions.parent),
        "dataset": {
            "name": dataset.name,
            "split": dataset.split,
            "images": passes[0].journal.done,
            "content": _content(passes[0]),
            "classes": [
                list(pair) for pair in zip(dataset.class_ids, dataset.class_names, strict=True)
            ],
            "classes_digest": value_digest([dataset.class_ids, dataset.class_names]),
        },
        "texts": {
            name: {
                "origin": written.origin,
                "digest": value_digest([written.labels, written.texts]),
                "classes": {
                    label: value_digest(list(group))[:16]
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
                "ran": _ran(encoder),
                "dim": encoder.card.dim,
                "licence": encoder.card.licence,
                "fingerprint": fingerprint(encoder),
                "preprocess": dataclasses.asdict(encoder.preprocess),
            }
            for model, encoder in setup.encoders.items()
        },
        "methods": {method.name: method_json(method) for method in setup.methods},
        "protocol": {
            **dataclasses.asdict(request.protocol_run),
            "seeds": sorted({one.seed for one in passes}),
            "runs": request.runs,
        },
        "passes": [
            {
                "encoder": one.model,
                "method": one.method.name,
                "seed": one.seed,
                "sessions": [dataclasses.asdict(session) for session in found],
            }
            for one, found in zip(passes, sessions, strict=True)
        ],
        "results": [
            {
                **{name: row[name] for name in ("encoder", "method", "images", "failed")},
                **{name: row[name]["mean"] for name in ("top1", "top5", "per_class")},
            }
            for row in results
        ],
        "predictions": {
            "file": predictions.name,
            "digest": sha256(predictions),
        },
    }


def _ran(encoder: Encoder) -> dict[str, Any]:
    """The precision that was really computed in, and what computed; None where it is not told."""
    providers = getattr(encoder, "providers", None)
    return {
        "dtype": getattr(encoder, "dtype", None),
        "providers": None if providers is None else list(providers),
    }


def files(request: Request, folder: Path) -> dict[str, dict[str, str]]:
    """Say which files and folders an evaluation read, so that they are found and known again.

    Args:
        request: What was evaluated.
        folder: Where the receipt will be; places are relative to it.

    Returns:
        For each field of the request that names one its place, and of a file its SHA-256. Encoders
        in a folder of their own stand there by their names.
    """
    named = {name: Path(getattr(request, name) or "") for name in _PLACES}
    if request.root is not None:
        del named["dataset"]  # the name of a data set, whatever else is called so
    if request.names in NAME_LISTS:
        del named["names"]
    found = {}
    for name, path in named.items():
        if getattr(request, name) is not None and path.exists():
            found[name] = {"place": _relative(path, folder)}
            if path.is_file():
                found[name]["digest"] = sha256(path)
    for model in request.models:
        _, _, rest = model.partition(":")
        if rest and Path(rest).is_dir():
            found[model] = {"place": _relative(Path(rest), folder)}
    return found


def _relative(path: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # on another drive
        return str(path.resolve())


def request_of(receipt: dict[str, Any], folder: Path, changes: dict[str, Any]) -> Request:
    """Make the request of a receipt again, wherever the command runs now.

    Args:
        receipt: The receipt.
        folder: Where it lies.
        changes: Fields to set otherwise.

    Returns:
        The request, with the files and folders where they are now.

    Raises:
        EvaluationError: If one is neither where it was from the receipt nor where it was named.
    """
    changes = dict(changes)
    old = dict(receipt["request"])
    if old.get("root") is not None and changes.get("dataset", old["dataset"]) not in DATASETS:
        changes["root"] = changes.pop("dataset")  # where the named data set is now
    known = receipt.get("files", {})
    for name in _PLACES:
        if name in known and name not in changes:
            old[name] = _found(folder, known[name]["place"], old[name], name)
    old["models"] = [
        f"{model.partition(':')[0]}:{folder / known[model]['place']}"
        if model in known and (folder / known[model]["place"]).is_dir()
        else model
        for model in old.get("models", ())
    ]
    return Request.from_json({**old, **changes})


def _found(folder: Path, place: str, value: str, name: str) -> str:
    if (folder / place).exists():
        return str(folder / place)
    if Path(value).exists():
        return value
    option = "NEW" if name in ("dataset", "root") else f"--{name} NEW"
    raise EvaluationError(
        f"{value}: there is none here, and none at {folder / place}, where the receipt had it. If "
        f"it was moved, say where it is: crossalign evaluate {option} --check {folder}"
    )


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


def _content(one: Pass) -> str:
    """Name the images of a pass by their keys, classes and pixels."""
    total = hashlib.blake2b(digest_size=16)
    for outcome in one.journal:
        line = f"{outcome.key}\0{outcome.label}\0{outcome.content}\n"
        total.update(line.encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def sha256(path: Path) -> str:
    """Name the content of a file, as receipts do.

    Args:
        path: The file.

    Returns:
        In hexadecimal.
    """
    return file_digest(path, hashlib.sha256)

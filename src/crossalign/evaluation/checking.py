"""An evaluation repeated from its receipt."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from crossalign.errors import EvaluationError
from crossalign.evaluation import receipt as receipts
from crossalign.evaluation.datasets import DATASETS, NAME_LISTS
from crossalign.evaluation.differences import Comparison, compare
from crossalign.evaluation.evaluate import evaluate
from crossalign.evaluation.request import FILES, Request
from crossalign.evaluation.run import OnProgress
from crossalign.store import Store


def check(
    receipt: Path,
    *,
    changes: Mapping[str, Any] | None = None,
    out: Path | None = None,
    store: Store | Path | Literal[False] | None = None,
    command: Iterable[str] = ("check",),
    on_progress: OnProgress | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Comparison:
    """Run the evaluation of a receipt again and say what differs.

    Nothing is taken from the first run: without ``store`` every image is encoded again. Relative
    paths in the receipt are looked for where the first run looked, then in the present folder.

    Args:
        receipt: The receipt, or the folder that holds it.
        changes: Fields of the request to set otherwise, such as ``{"seed": 1}``. A path as
            ``dataset`` is where the data set has been moved to.
        out: Where to put the second evaluation, new or empty; a folder that is removed at the end
            by default.
        store: Where embeddings are kept and found again.
        command: The command line, for the second receipt.
        on_progress: Called as images are done.
        on_note: Called with what one should know before the work begins.

    Returns:
        What differs, and what could be compared.

    Raises:
        EvaluationError: If the receipt cannot be read, the data set cannot be any more, or ``out``
            holds something.
    """
    old = receipts.load(receipt)
    request = Request.from_json(_located(old, dict(changes or {})))
    if out is not None:
        _expect_empty(out)
    with tempfile.TemporaryDirectory(prefix="crossalign-check-") as spare:
        folder = Path(spare) if out is None else out
        evaluate(
            request,
            folder,
            store=store,
            command=command,
            on_progress=on_progress,
            on_note=on_note,
        )
        return compare(receipt, folder)


def _expect_empty(out: Path) -> None:
    held = next(iter(sorted(out.iterdir())), None) if out.is_dir() else None
    if held is not None or out.is_file():
        raise EvaluationError(
            f"{out}: expected a new or an empty folder, since a check takes nothing from earlier "
            f"evaluations; it {'is a file' if held is None else f'holds {held.name}'}. Choose "
            "another folder, or leave it out."
        )


def _located(receipt: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Find what a receipt names by relative paths, and put in the changes."""
    request = dict(receipt["request"])
    base = Path(receipt.get("directory") or ".")
    named = request.get("root") is not None
    if named and "root" not in changes and changes.get("dataset", "imagenet") not in DATASETS:
        changes["root"] = changes.pop("dataset")
    place = "root" if named else "dataset"
    remedies = {
        place: "`crossalign evaluate NEW/PLACE --check RECEIPT`",
        **{name: f"`--{name} FILE`" for name in FILES},
    }
    for name, remedy in remedies.items():
        value = request.get(name)
        listed = name == "names" and value in NAME_LISTS
        if value is not None and not listed and name not in changes:
            request[name] = _find(base, value, name, remedy)
    request["models"] = [_model(base, model) for model in request.get("models", ())]
    return {**request, **changes}


def _find(base: Path, value: str, name: str, remedy: str) -> str:
    for path in (base / value, Path(value)):
        if path.exists():
            return str(path)
    places = value if Path(value).is_absolute() else f"{value}, neither in {base} nor here"
    raise EvaluationError(
        f"expected the {name} of the receipt; there is no {places}. If it was moved, say where it "
        f"is with {remedy}."
    )


def _model(base: Path, model: str) -> str:
    """Name a model in a folder by where the folder was."""
    scheme, colon, rest = model.partition(":")
    return f"{scheme}:{base / rest}" if colon and rest and (base / rest).is_dir() else model

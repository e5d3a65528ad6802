"""The front door: evaluate, write everything down, check a receipt."""

from __future__ import annotations

import csv
import datetime as dt
import itertools
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal

from crossalign.alignment.adaptive import Adaptive
from crossalign.engine.cache.store import Store
from crossalign.errors import EvaluationError, import_extra
from crossalign.evaluation import receipt as receipts
from crossalign.evaluation import report
from crossalign.evaluation.datasets import DATASETS
from crossalign.evaluation.differences import Difference, compare
from crossalign.evaluation.provenance import (
    departures,
    describe_provenance,
    notes,
    published_departures,
)
from crossalign.evaluation.reported import Cell, cells, matching, read_cells
from crossalign.evaluation.request import Request, crops_in_run
from crossalign.evaluation.results import comparisons, summarise
from crossalign.evaluation.run import (
    OnProgress,
    Outcomes,
    Pass,
    Setup,
    plan_passes,
    prepare,
    read_outcomes,
    run_pass,
)
from crossalign.methods import METHODS, Method
from crossalign.reports.page import write
from crossalign.utils.files import failing_as, whole_file, write_text

COLUMNS = ("encoder", "method", "run", "seed", "image", "class", "predicted", "rank", "score",
           "confidence", "margin", "crops", "content", "error")  # fmt: skip
_ROWS_PER_GROUP = 10_000
_TO_PARQUET = "writing parquet files"

JOURNALS = "journal"
"""Folder of the journals, in that of the evaluation."""


def evaluate(
    request: Request,
    out: Path,
    *,
    store: Store | Path | Literal[False] | None = None,
    reported: Path | None = None,
    command: Iterable[str] = (),
    parquet: bool = False,
    on_progress: OnProgress | None = None,
    on_note: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Evaluate, and write results, predictions, report and receipt.

    An evaluation that was interrupted goes on where it stopped when it is called again with the
    same folder: finished images are read from its journals.

    Args:
        request: What to evaluate.
        out: Folder for ``results.json``, ``predictions.csv``, ``report.md``, ``report.html``,
            ``receipt.json``, the journals, and, unless another is given, the store.
        store: Where embeddings are kept and found again; False keeps none, so that methods with
            crops in common encode them anew.
        reported: A table of published numbers to compare with, beside the ones known, see
            :func:`crossalign.evaluation.reported.read_cells`.
        command: The command line, for the receipt.
        parquet: Write ``predictions.parquet`` too.
        on_progress: Called as images are done.
        on_note: Called before the work begins with what one should know about the data set and
            about settings without effect.

    Returns:
        What ``results.json`` holds.

    Raises:
        EvaluationError: If the data set, the texts or the folder do not serve.
        MissingExtraError: If SciPy is not installed (extra ``evaluation``).
        CrossalignError: If an encoder, a method or a file of texts cannot be used.
    """
    import_extra("scipy", "crossalign evaluate", "evaluation")
    if parquet:
        import_extra("pyarrow.parquet", _TO_PARQUET, "parquet")
    known = cells() if reported is None else (*read_cells(reported), *cells())
    command = list(command)
    setup = prepare(request)
    for note in (*notes(setup), *_replaced(request, out)):
        if on_note is not None:
            on_note(note)
    expected = f"{out}: expected a folder that can be written to ("
    with failing_as(EvaluationError, expected, ")."):
        out.mkdir(parents=True, exist_ok=True)
        (out / JOURNALS).mkdir(exist_ok=True)
    passes = plan_passes(setup, out / JOURNALS, command)
    with _opened(store, out) as opened:
        for one in passes:
            run_pass(setup, one, opened, on_progress)
    predictions = out / receipts.PREDICTIONS
    with whole_file(predictions) as unfinished:
        _write_csv(setup, passes, unfinished)
    table = predictions.with_suffix(".parquet")
    if parquet:
        with whole_file(table) as unfinished:
            _write_parquet(setup, passes, unfinished)
    else:
        table.unlink(missing_ok=True)  # of an earlier evaluation
    content = _results(setup, passes, known, command)
    write_json(out / "results.json", content)
    write(report.evaluation_page(content), out)
    write_json(
        out / receipts.FILE,
        receipts.make_receipt(
            setup,
            passes,
            content["results"],
            command=command,
            finished=dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
            predictions=predictions,
        ),
    )
    return content


def check(
    receipt: Path,
    *,
    changes: dict[str, Any] | None = None,
    out: Path | None = None,
    store: Store | Path | Literal[False] | None = None,
    on_progress: OnProgress | None = None,
) -> list[Difference]:
    """Run the evaluation of a receipt again and say what differs.

    Nothing is taken from the first run: without ``store`` every image is encoded again.

    Args:
        receipt: The receipt, or the folder that holds it.
        changes: Fields of the request to set otherwise, such as ``{"seed": 1}``.
        out: Where to put the second evaluation; a folder that is removed at the end by default.
        store: Where embeddings are kept and found again.
        on_progress: Called as images are done.

    Returns:
        Causes first, effects last; none if everything is as it was.

    Raises:
        EvaluationError: If the receipt cannot be read, the data set cannot be any more, or ``out``
            holds anything.
    """
    old = receipts.load(receipt)
    home = receipt if receipt.is_dir() else receipt.parent
    request = receipts.request_of(old, home, changes or {})
    if out is not None and (out.is_file() or (out.is_dir() and any(out.iterdir()))):
        raise EvaluationError(
            f"{out}: expected a new or an empty folder, since a check takes nothing from an "
            "earlier evaluation and overwrites none; choose another, or leave it out."
        )
    with tempfile.TemporaryDirectory(prefix="crossalign-check-") as spare:
        folder = Path(spare) if out is None else out
        evaluate(request, folder, store=store, command=["check"], on_progress=on_progress)
        return compare(receipt, folder)


def _replaced(request: Request, out: Path) -> list[str]:
    """Say that another evaluation's results are in the folder, if they are."""
    if not (out / receipts.FILE).is_file():
        return []
    try:
        old = receipts.load(out / receipts.FILE)
    except EvaluationError:
        return [f"{out} holds a receipt that cannot be read; it is written anew"]
    if old["request"] == request.to_json():
        return []
    what = f"{', '.join(old['methods'])} on {old['dataset']['name']}, {old['finished']}"
    return [
        f"{out} holds another evaluation ({what}); its results are replaced, its journals are kept"
    ]


def _opened(
    store: Store | Path | Literal[False] | None, out: Path
) -> AbstractContextManager[Store | None]:
    """Give the store, which is closed at the end where it was opened here."""
    if store is False or isinstance(store, Store):
        return nullcontext(store or None)
    return Store(store or out / "store")


def _results(
    setup: Setup, passes: list[Pass], known: Sequence[Cell], command: Sequence[str]
) -> dict[str, Any]:
    """Put together what results.json holds."""
    request, dataset = setup.request, setup.dataset
    outcomes: dict[tuple[str, str], Outcomes] = {}
    rows: list[dict[str, Any]] = []
    # Those of one encoder and method stand together.
    for names, group in itertools.groupby(passes, lambda one: (one.model, one.method.name)):
        members = list(group)
        found = outcomes[names] = read_outcomes(members)
        if not found.usable.any():
            raise _all_failed(members[0])
        rows.append(
            {
                "encoder": names[0],
                "method": names[1],
                "texts": members[0].texts.origin,
                "crops": crops_in_run(members[0].method, request),
                "crops_taken": _taken(found, members[0].method, request),
                **summarise(found, setup.class_list),
            }
        )
    return {
        "dataset": {
            "name": dataset.name if dataset.name != "folders" else dataset.root.name,
            "split": dataset.split,
            "images": passes[0].journal.done,
            "classes": len(dataset.class_names),
            "shared_names": setup.class_list.shared,
            "notes": list(dataset.notes),
        },
        "protocol": request.protocol,
        "about_runs": _about_runs(request),
        "temperature": request.temperature,
        "results": rows,
        "baseline": request.baseline,
        "comparisons": comparisons(outcomes, request.baseline),
        "reported": _reported(setup, rows, known),
        "made": describe_provenance(setup, command),
    }


def _all_failed(one: Pass) -> EvaluationError:
    first = next(outcome for outcome in one.journal if outcome.error is not None)
    return EvaluationError(
        f"expected at least one image that can be read; all {one.journal.done} failed. The "
        f"first: {first.error}. {receipts.PREDICTIONS} has the reasons of all."
    )


def _taken(found: Outcomes, method: Method, request: Request) -> float:
    """Give the mean number of crops of an image."""
    if request.adaptive(method) is None:
        return float(crops_in_run(method, request))
    return float(found.crops[:, found.usable].mean())


def _about_runs(request: Request) -> str:
    first, last = request.seed, request.seed + request.runs - 1
    if request.protocol_run.resamples:
        return (
            f"{request.runs} resampling(s) of one pool of {request.protocol_run.pool} crops an "
            f"image, with replacement, the same indices for all images, seed {first}. Their ± "
            "leaves out the chance in the pool itself."
        )
    seeds = f"seed {first}" if first == last else f"seeds {first} to {last}"
    text = f"{seeds}, fresh crops of every image for each."
    if request.crops == "auto":
        text += (
            " As many crops as an image's decision needs, at most the method's own number, at a "
            f"risk of {request.risk or Adaptive().risk:g} that all of them would say otherwise."
        )
    return text


def _reported(
    setup: Setup, rows: list[dict[str, Any]], known: Sequence[Cell]
) -> list[dict[str, Any]]:
    dataset, request = setup.dataset, setup.request
    expected = DATASETS[dataset.name].expected
    if not expected or request.partial or request.per_class is not None:
        return []
    place = (dataset.name, dataset.split, next(iter(expected)))
    return [
        {
            "encoder": row["encoder"],
            "method": row["method"],
            "source": f"{cell.source}, {cell.encoder}",
            "reported": cell.top1,
            "here": 100 * row["top1"]["mean"],
            "departures": _departures(setup, row, cell),
        }
        for row in rows
        for cell in matching(*place, row["encoder"], row["method"], known=known)
    ]


def _departures(setup: Setup, row: dict[str, Any], cell: Cell) -> list[str]:
    """Say what differs from the run that a published number stands for."""
    if cell in cells():
        return published_departures(setup, row["method"], row["texts"])
    method = next(method for method in setup.methods if method.name == row["method"])
    return departures(method, METHODS.get(method.name, method), setup.request)


def _rows(setup: Setup, passes: list[Pass]) -> Iterator[tuple[Any, ...]]:
    """Give the per-image predictions of all passes, a row an image and run."""
    names = setup.class_list.names
    for one in passes:
        fixed, first = crops_in_run(one.method, setup.request), one.seed - setup.request.seed
        for outcome in one.journal:
            taken = fixed if outcome.crops is None else outcome.crops
            for run in range(one.runs):
                found: tuple[Any, ...] = (None,) * 6
                if outcome.error is None:
                    numbers = (outcome.rank, outcome.score, outcome.confidence, outcome.margin)
                    predicted = names[outcome.predicted[run]]
                    found = (predicted, *(each[run] for each in numbers), taken)
                head = (one.model, one.method.name, first + run, one.seed, outcome.key)
                yield (*head, names[outcome.label], *found, outcome.content, outcome.error)


def _write_csv(setup: Setup, passes: list[Pass], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="", errors="backslashreplace") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_rows(setup, passes))


def _write_parquet(setup: Setup, passes: list[Pass], path: Path) -> None:
    arrow = import_extra("pyarrow", _TO_PARQUET, "parquet")
    parquet = import_extra("pyarrow.parquet", _TO_PARQUET, "parquet")
    kinds = dict.fromkeys(COLUMNS, arrow.string())
    kinds.update(dict.fromkeys(("run", "seed", "rank", "crops"), arrow.int64()))
    kinds.update(dict.fromkeys(("score", "confidence", "margin"), arrow.float64()))
    schema = arrow.schema(kinds.items())
    rows = (dict(zip(COLUMNS, row, strict=True)) for row in _rows(setup, passes))
    with parquet.ParquetWriter(path, schema) as writer:
        while part := list(itertools.islice(rows, _ROWS_PER_GROUP)):
            writer.write_table(arrow.Table.from_pylist(part, schema))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file that appears whole or not at all.

    Args:
        path: The file.
        content: Plain values.
    """
    write_text(path, json.dumps(content, indent=1, ensure_ascii=True) + "\n")

"""The front door: evaluate, write everything down, check a receipt."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from crossalign.adaptive import Adaptive
from crossalign.errors import EvaluationError
from crossalign.evaluation import receipt as receipts
from crossalign.evaluation import report
from crossalign.evaluation.datasets import DATASETS
from crossalign.evaluation.host import versions
from crossalign.evaluation.made import departures, how_made, published_departures, unused
from crossalign.evaluation.page import write
from crossalign.evaluation.reported import Cell, cells, matching, read_cells
from crossalign.evaluation.request import PROTOCOLS, Request, crops_in_run
from crossalign.evaluation.results import comparisons, summarise
from crossalign.evaluation.rows import arrow_and_parquet, write_csv, write_parquet
from crossalign.evaluation.run import (
    OnProgress,
    Setup,
    Walk,
    passes,
    prepare,
    walk,
)
from crossalign.evaluation.scoreboard import Scoreboard, scoreboard
from crossalign.methods import METHODS, Method
from crossalign.store import Store


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
        on_note: Called before the work begins with what one should know about the data set, about
            settings without effect and about results in the folder that will be replaced.

    Returns:
        What ``results.json`` holds.

    Raises:
        EvaluationError: If the data set, the texts or the folder do not serve, or no image can be
            read.
        CrossalignError: If an encoder, a method or a file of texts cannot be used.
    """
    if parquet:
        arrow_and_parquet()
    known = cells() if reported is None else (*read_cells(reported), *cells())
    command = list(command)
    session = {
        "id": secrets.token_hex(4),
        "started": _now(),
        "command": command,
        "versions": versions(),
    }
    setup = prepare(request)
    notes = [
        *setup.dataset.notes,
        *(f"without effect: {text}" for text in unused(request)),
        *receipts.replaced(out, request),
    ]
    for note in notes:
        if on_note is not None:
            on_note(note)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "journal").mkdir(exist_ok=True)
    except OSError as error:
        raise EvaluationError(
            f"{out}: expected a folder that can be written to ({error.strerror})."
        ) from error
    kept = _opened(store, out)
    try:
        walks = [
            walk(setup, step, out / "journal", kept, on_progress, session)
            for step in passes(request, setup.methods)
        ]
    finally:
        if kept is not None and kept is not store:
            kept.close()
    predictions = out / receipts.PREDICTIONS
    _write_whole(predictions, lambda path: write_csv(setup, walks, path))
    target = predictions.with_suffix(".parquet")
    if parquet:
        _write_whole(target, lambda path: write_parquet(setup, walks, path))
    else:
        target.unlink(missing_ok=True)  # of an earlier evaluation
    _expect_images(walks, predictions)
    content = _results(setup, walks, known, command)
    write_json(out / "results.json", content)
    write(report.evaluation_page(content), out)
    write_json(
        out / receipts.FILE,
        receipts.make(
            setup,
            walks,
            content["results"],
            command=command,
            written=_now(),
            predictions=predictions,
        ),
    )
    return content


def _expect_images(walks: Sequence[Walk], predictions: Path) -> None:
    """Raise if there is a pass in which no image could be used."""
    for one in walks:
        if all(outcome.error is not None for outcome in one.journal):
            first = next(iter(one.journal))
            why = str(first.error).rstrip(".")
            raise EvaluationError(
                "expected at least one image that can be read; every one of "
                f"{one.journal.done} failed. The first is {first.key} ({why}); {predictions} names "
                "them all."
            )


def _opened(store: Store | Path | Literal[False] | None, out: Path) -> Store | None:
    if store is False:
        return None
    return store if isinstance(store, Store) else Store(store or out / "store")


def _results(
    setup: Setup, walks: list[Walk], known: Sequence[Cell], command: Sequence[str]
) -> dict[str, Any]:
    """Put together what results.json holds."""
    request, dataset = setup.request, setup.dataset
    groups: dict[tuple[str, str], list[Walk]] = {}
    for one in walks:
        groups.setdefault((one.step.model, one.step.method.name), []).append(one)
    boards: dict[tuple[str, str], Scoreboard] = {}
    rows: list[dict[str, Any]] = []
    for (model, method), members in groups.items():
        board = boards[model, method] = scoreboard(members)
        rows.append(
            {
                "encoder": model,
                "method": method,
                "texts": members[0].texts.origin,
                "crops": crops_in_run(members[0].step.method, request),
                "crops_taken": _taken(board, members[0].step.method, request),
                **summarise(board, setup.roster),
            }
        )
    return {
        "dataset": {
            "name": dataset.name if dataset.name != "folders" else dataset.root.name,
            "split": dataset.split,
            "images": walks[0].journal.done,
            "classes": len(dataset.class_names),
            "shared_names": setup.roster.shared,
            "notes": list(dataset.notes),
        },
        "protocol": request.protocol,
        "about_runs": _about_runs(request),
        "temperature": request.temperature,
        "results": rows,
        "baseline": request.baseline,
        "comparisons": comparisons(boards, request.baseline),
        "reported": _reported(setup, rows, known),
        "made": how_made(setup, command),
    }


def _taken(board: Scoreboard, method: Method, request: Request) -> float:
    """Give the mean number of crops of an image."""
    if request.adaptive(method) is None:
        return float(crops_in_run(method, request))
    return float(board.crops[:, board.usable].mean())


def _about_runs(request: Request) -> str:
    first, last = request.seed, request.seed + request.runs - 1
    if PROTOCOLS[request.protocol].resamples:
        pool = request.pool or PROTOCOLS[request.protocol].pool
        return (
            f"{request.runs} resampling(s) of one pool of {pool} crops an image, with replacement, "
            f"the same indices for all images, seed {first}. Their ± leaves out the chance in the "
            "pool itself."
        )
    seeds = f"seed {first}" if first == last else f"seeds {first} to {last}"
    auto = (
        ""
        if request.crops != "auto"
        else " As many crops as an image's decision needs, at most the method's own number, at a "
        f"risk of {Adaptive.of(1, request.risk).risk:g} that all of them would say otherwise."
    )
    return f"{seeds}, fresh crops of every image for each.{auto}"


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


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file that appears whole or not at all.

    Args:
        path: The file.
        content: Plain values.
    """
    text = json.dumps(content, indent=1, ensure_ascii=True) + "\n"
    _write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))


def _write_whole(path: Path, write: Any) -> None:
    """Have a file appear whole or not at all."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        write(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _now() -> str:
    return dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")

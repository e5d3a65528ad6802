"""``crossalign evaluate``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import typer

from crossalign.cli import evaluation_options as options
from crossalign.cli.application import METHODS, OK, SOME_FAILED, command, say
from crossalign.cli.declarations import Options, option
from crossalign.cli.options import CropOptions
from crossalign.cli.output import print_table
from crossalign.utils.text import counted

_DEFAULT_OUT = Path("crossalign-evaluation")


@dataclass(frozen=True)
class WeighingOptions(Options):
    """How crops and texts are weighed, and what is compared."""

    crop_weighting: str | None = option("softmax, uniform, top-k, max or entropy.")
    description_weighting: str | None = option("softmax, uniform, top-k, max or entropy.")
    temperature: float | None = option("Confidences are softmax(scores / temperature).")
    baseline: str | None = option(
        "Compare every method with this one; by default every two.", metavar="METHOD"
    )


@command("crossalign evaluate photos --method clip --method wca --out results", under=METHODS)
def evaluate(
    dataset: options.DatasetOptions,
    part: options.PartOptions,
    encoders: options.EncodersOptions,
    methods: options.MethodsOptions,
    texts: options.TextOptions,
    crops: CropOptions,
    runs: options.RunOptions,
    weighing: WeighingOptions,
    cache: options.CacheOptions,
    out: Path | None = option(
        "Where results go, and an interrupted evaluation goes on.", metavar="DIR"
    ),
    reported: Path | None = option(
        "Published numbers to compare with, beside the ones known: .csv with "
        "dataset,encoder,method,top1,source.",
        metavar="FILE",
    ),
    parquet: bool = option("Write predictions.parquet too.", default=False),
    check: Path | None = option(
        "Repeat the evaluation of a receipt, with the other options given set otherwise, "
        "and say what differs.",
        metavar="RECEIPT",
    ),
) -> int:
    """Evaluate methods and encoders on a labelled data set."""
    groups = (dataset, part, encoders, methods, texts, crops, runs, weighing)
    fields = options.request_fields(*groups)
    fields |= options.request_fields(crops=crops.number())
    if check is not None:
        if parquet or reported is not None or cache.store_size is not None:
            raise typer.BadParameter(
                "--parquet, --reported and --store-size do not go with --check, which says what "
                "differs and writes no report"
            )
        return _check(check, fields, out, False if cache.no_store else cache.store)
    from crossalign.evaluation import evaluate as run
    from crossalign.utils.progress import PassProgress

    folder = out or _DEFAULT_OUT
    with cache.opened(folder) as store, PassProgress() as progress:
        content = run(
            options.request_of(fields),
            folder,
            store=store,
            reported=reported,
            command=["crossalign", *sys.argv[1:]],
            parquet=parquet,
            on_progress=progress,
            on_note=options.note,
        )
    return _show(content, folder)


def _show(content: dict[str, Any], out: Path) -> int:
    from crossalign.evaluation.report import family, percent

    rows = [
        (
            row["encoder"],
            row["method"],
            percent(row["top1"]),
            f"{100 * row['top1']['low']:.1f} to {100 * row['top1']['high']:.1f}",
            percent(row["top5"]),
            percent(row["per_class"]),
        )
        for row in content["results"]
    ]
    print_table(("encoder", "method", "top-1, %", "95 % interval", "top-5", "per class"), rows)
    pairs = len(content["comparisons"])
    noise = sum(not row["significant"] for row in content["comparisons"])
    if noise:
        which = "the difference" if pairs == 1 else f"{noise} of {pairs} differences"
        adjusted = "" if pairs == 1 else f", adjusted for {family(content['baseline'], pairs)}"
        say(f"{which} may be noise{adjusted}; see Report")
    typer.echo(f"Report: {out / 'report.html'}")
    failed = max(row["failed"] for row in content["results"])
    if failed:
        say(f"{counted(failed, 'image')} could not be read; predictions.csv says which")
    return SOME_FAILED if failed else OK


def _check(
    receipt: Path, changes: dict[str, Any], out: Path | None, store: Path | Literal[False] | None
) -> int:
    from crossalign.evaluation import check as run
    from crossalign.evaluation.differences import predictions_beside
    from crossalign.evaluation.receipt import load
    from crossalign.utils.progress import PassProgress

    with PassProgress() as progress:
        differences = run(receipt, changes=changes, out=out, store=store, on_progress=progress)
    for difference in differences:
        typer.echo(str(difference))
    whole = predictions_beside(receipt, load(receipt)) is not None
    if not differences and whole:
        typer.echo("the evaluation repeats: same images, texts, encoder and predictions")
    elif not differences:
        typer.echo("the evaluation repeats: same images, texts, encoder and totals")
    if not whole:
        say("the predictions are not beside the receipt, so only totals could be compared")
    return SOME_FAILED if differences else OK

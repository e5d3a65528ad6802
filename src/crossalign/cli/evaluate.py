"""``crossalign evaluate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossalign.cli._app import OK, SOME_FAILED, command, say
from crossalign.cli._shared import print_table

if TYPE_CHECKING:
    from crossalign.evaluation import Request

_DEFAULT_OUT = Path("crossalign-evaluation")


@command
def evaluate(
    dataset: Annotated[
        str | None,
        typer.Argument(
            metavar="DATASET",
            help="A folder of labelled photos, or the name of a data set with --root.",
        ),
    ] = None,
    root: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder of a named data set.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Which part; the usual one by default.")] = None,
    names: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Class names in place of the data set's own: .txt, .csv or .json."
        ),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Take what is there of a published data set.")
    ] = False,
    per_class: Annotated[
        int | None, typer.Option(min=1, help="Most images of a class, the first ones.")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", help="Encoder; repeat for several.")
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="Precision of the encoders.")] = None,
    device: Annotated[str | None, typer.Option(help="Where the encoders run.")] = None,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", help="Method; repeat for several; clip, cupl and wca by default."),
    ] = None,
    descriptions: Annotated[
        str | None, typer.Option(metavar="FILE", help=".json {class: [sentence, ...]}.")
    ] = None,
    descriptors: Annotated[
        str | None, typer.Option(metavar="FILE", help=".json {class: [descriptor, ...]}.")
    ] = None,
    crops: Annotated[int | None, typer.Option(min=1, help="Crops that enter a score.")] = None,
    side: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LOW HIGH", help="Range of the crop side, as shares of the short side."
        ),
    ] = None,
    crop_scale: Annotated[float | None, typer.Option(help="Crop scale S_c.")] = None,
    description_scale: Annotated[float | None, typer.Option(help="Description scale S_d.")] = None,
    protocol: Annotated[
        str | None,
        typer.Option(help="fresh (new crops for each seed) or published (one pool, resampled)."),
    ] = None,
    runs: Annotated[
        int | None, typer.Option(min=1, help="Seeds, or resamplings of the pool.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the first run.")] = None,
    pool: Annotated[
        int | None, typer.Option(min=1, help="Crops in the pool of the published protocol.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Confidences are softmax(scores / temperature).")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where results go, and an interrupted evaluation goes on."
        ),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where embeddings are kept; OUT/store by default."),
    ] = None,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Write predictions.parquet too.")
    ] = False,
    check: Annotated[
        Path | None,
        typer.Option(
            metavar="RECEIPT",
            help="Repeat the evaluation of a receipt, with the other "
            "options given set otherwise, and say what differs.",
        ),
    ] = None,
) -> int:
    """Evaluate methods and encoders on a labelled data set."""
    given: dict[str, Any] = {
        "dataset": dataset, "root": root, "split": split, "names": names,
        "partial": partial or None, "per_class": per_class,
        "models": tuple(model) if model else None, "dtype": dtype, "device": device,
        "methods": tuple(method) if method else None, "descriptions": descriptions,
        "descriptors": descriptors, "crops": crops, "side": side, "crop_scale": crop_scale,
        "description_scale": description_scale, "protocol": protocol, "runs": runs, "seed": seed,
        "pool": pool, "temperature": temperature,
    }  # fmt: skip
    wanted = {name: value for name, value in given.items() if value is not None}
    if check is not None:
        return _check(check, wanted, out, store)
    if dataset is None:
        raise typer.BadParameter(
            "no data set: give a folder of class folders, or a name with --root DIR"
        )
    from crossalign.evaluation import Request

    return _evaluate(Request.from_json(wanted), out or _DEFAULT_OUT, store, parquet)


def _evaluate(request: Request, out: Path, store: Path | None, parquet: bool) -> int:
    from crossalign.evaluation import evaluate as run
    from crossalign.evaluation.report import percent

    with _Shown() as shown:
        content = run(
            request,
            out,
            store=store,
            command=["crossalign", *sys.argv[1:]],
            parquet=parquet,
            on_progress=shown,
        )
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
    noise = [row for row in content["comparisons"] if not row["significant"]]
    if noise:
        say(f"{len(noise)} of {len(content['comparisons'])} differences may be noise; see Report")
    typer.echo(f"Report: {out / 'report.html'}")
    failed = max(row["failed"] for row in content["results"])
    if failed:
        say(f"{failed} images could not be read; predictions.csv names them")
    return SOME_FAILED if failed else OK


def _check(receipt: Path, changes: dict[str, Any], out: Path | None, store: Path | None) -> int:
    from crossalign.evaluation import check as run

    with _Shown() as shown:
        differences = run(receipt, changes=changes, out=out, store=store, on_progress=shown)
    for difference in differences:
        typer.echo(str(difference))
    if not differences:
        typer.echo("the evaluation repeats: same images, texts, encoder and predictions")
    return SOME_FAILED if differences else OK


class _Shown:
    """Progress on standard error, a bar for each pass."""

    def __init__(self) -> None:
        self._title = ""
        self._bar: Any = None

    def __enter__(self) -> _Shown:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)

    def __call__(self, title: str, done: int, total: int) -> None:
        from crossalign._progress import Progress

        if title != self._title:
            self.__exit__()
            self._title, self._bar = title, Progress(f"images, {title}", total)
        self._bar.update(done)

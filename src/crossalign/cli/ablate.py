"""``crossalign ablate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from crossalign.cli import _evaluation as options
from crossalign.cli._app import OK, command
from crossalign.cli._options import Device, Dtype, ModelName
from crossalign.cli._shared import print_table


@command
def ablate(
    dataset: options.DatasetName = None,
    root: options.Root = None,
    split: options.Split = None,
    names: options.NamesFile = None,
    partial: options.Partial = False,
    per_class: options.PerClass = None,
    model: ModelName = "builtin",
    dtype: Dtype = None,
    device: Device = None,
    method: Annotated[str, typer.Option(help="The method that is varied.")] = "wca",
    factor: Annotated[
        list[str] | None,
        typer.Option(
            "--factor",
            help="parts, count, side, kind, crop-scale, description-scale, texts, crop-weighting "
            "or description-weighting; repeat for several; all by default.",
        ),
    ] = None,
    descriptions: options.Descriptions = None,
    descriptors: options.Descriptors = None,
    no_bank: options.NoBank = False,
    crops: options.Crops = None,
    side: options.Side = None,
    runs: options.Runs = None,
    seed: options.FirstSeed = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the report goes.")] = Path(
        "crossalign-ablation"
    ),
    store: options.StoreFolder = None,
) -> int:
    """Vary one part of a method after the other, with plots."""
    from crossalign._progress import PassProgress
    from crossalign.evaluation import FACTORS
    from crossalign.evaluation import ablate as run
    from crossalign.evaluation.ablation import verdict
    from crossalign.evaluation.report import percent

    fields = options.wanted(
        dataset=dataset,
        root=root,
        split=split,
        names=names,
        partial=partial,
        per_class=per_class,
        models=[model],
        dtype=dtype,
        device=device,
        methods=[method],
        descriptions=descriptions,
        descriptors=descriptors,
        no_bank=no_bank,
        crops=crops,
        side=side,
        runs=runs,
        seed=seed,
    )
    request = options.request_of(fields)
    with PassProgress() as shown:
        result = run(
            request,
            out,
            factors=tuple(factor) if factor else tuple(FACTORS),
            store=store,
            command=("crossalign", *sys.argv[1:]),
            on_progress=shown,
        )
    for name, content in result["factors"].items():
        typer.echo(f"\n{FACTORS[name].title}")
        rows = [
            (
                row["name"],
                percent(row["top1"]),
                f"{100 * row['top1']['low']:.1f} to {100 * row['top1']['high']:.1f}",
                str(row["views"]),
            )
            for row in content["variants"]
        ]
        print_table(("variant", "top-1, %", "95 % interval", "views"), rows)
        typer.echo(verdict(content))
    typer.echo(f"\nReport: {out / 'report.html'}")
    return OK

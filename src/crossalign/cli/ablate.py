"""``crossalign ablate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from crossalign.cli import _evaluation as options
from crossalign.cli._app import OK, SOME_FAILED, command, say
from crossalign.cli._options import Device, Dtype, Engine, Kind, ModelName, Side, StoreSize
from crossalign.cli._shared import print_table
from crossalign.utils.text import counted


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
    engine: Engine = None,
    method: Annotated[str, typer.Option(help="The method that is varied.")] = "wca",
    factor: Annotated[
        list[str] | None,
        typer.Option(
            "--factor",
            help="parts, count, side, kind, crop-scale, description-scale, texts, crop-weighting "
            "or description-weighting; with values of your own as in count=4,16,60 or "
            "side=0.1-0.3,0.5-0.9; repeat for several; all by default.",
        ),
    ] = None,
    descriptions: options.Descriptions = None,
    descriptors: options.Descriptors = None,
    no_bank: options.NoBank = False,
    crops: options.Crops = None,
    kind: Kind = None,
    side: Side = None,
    crop_scale: options.CropScale = None,
    description_scale: options.DescriptionScale = None,
    protocol: options.Protocol = None,
    pool: options.Pool = None,
    runs: options.Runs = None,
    seed: options.FirstSeed = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the report goes.")] = Path(
        "crossalign-ablation"
    ),
    store: options.StoreFolder = None,
    store_size: StoreSize = None,
    no_store: options.NoStore = False,
) -> int:
    """Vary one part of a method after the other, with plots."""
    from crossalign.evaluation import FACTORS
    from crossalign.evaluation import ablate as run
    from crossalign.evaluation.ablation import cells, verdict
    from crossalign.utils.progress import PassProgress

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
        engine=engine,
        methods=[method],
        descriptions=descriptions,
        descriptors=descriptors,
        no_bank=no_bank,
        crops=crops,
        kind=kind,
        side=side,
        crop_scale=crop_scale,
        description_scale=description_scale,
        protocol=protocol,
        pool=pool,
        runs=runs,
        seed=seed,
    )
    request = options.request_of(fields)
    with options.kept(out, store, store_size, no_store) as place, PassProgress() as shown:
        result = run(
            request,
            out,
            factors=tuple(factor) if factor else tuple(FACTORS),
            store=place,
            command=("crossalign", *sys.argv[1:]),
            on_progress=shown,
            on_note=options.note,
        )
    for name, content in result["factors"].items():
        typer.echo(f"\n{FACTORS[name].title}")
        rows = [(row["name"], *cells(row)) for row in content["variants"]]
        print_table(("variant", "top-1, %", "95 % interval", "views"), rows)
        typer.echo(verdict(content))
    typer.echo(f"\nReport: {out / 'report.html'}")
    failed = result["failed"]
    if failed:
        say(f"{counted(failed, 'image')} could not be read; predictions.csv of a factor says which")
    return SOME_FAILED if failed else OK

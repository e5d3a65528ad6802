"""``crossalign ablate``."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from crossalign.cli import evaluation_options as options
from crossalign.cli.application import METHODS, OK, SOME_FAILED, command, say
from crossalign.cli.declarations import option
from crossalign.cli.options import EncoderOptions
from crossalign.cli.output import print_table
from crossalign.utils.text import counted


@command("crossalign ablate photos --factor count=4,16,60 --out ablation", under=METHODS)
def ablate(
    dataset: options.DatasetOptions,
    part: options.PartOptions,
    encoder: EncoderOptions,
    texts: options.TextOptions,
    crops: options.NumberOptions,
    runs: options.RunOptions,
    cache: options.CacheOptions,
    method: str = option("The method that is varied.", default="wca"),
    factor: list[str] | None = option(
        "parts, count, side, kind, crop-scale, description-scale, texts, crop-weighting "
        "or description-weighting; with values of your own as in count=4,16,60 or "
        "side=0.1-0.3,0.5-0.9; repeat for several; all by default.",
    ),
    out: Path = option(
        "Where the report goes.", default=Path("crossalign-ablation"), metavar="DIR"
    ),
) -> int:
    """Vary one part of a method after the other, with plots."""
    from crossalign.evaluation import FACTORS
    from crossalign.evaluation import ablate as run
    from crossalign.evaluation.ablation import cells, verdict
    from crossalign.utils.progress import PassProgress

    groups = (dataset, part, encoder, texts, crops, runs)
    request = options.request_of(options.request_fields(*groups, method=method))
    with cache.opened(out) as store, PassProgress() as progress:
        result = run(
            request,
            out,
            factors=tuple(factor) if factor else tuple(FACTORS),
            store=store,
            command=("crossalign", *sys.argv[1:]),
            on_progress=progress,
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

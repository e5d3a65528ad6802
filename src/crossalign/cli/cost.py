"""``crossalign cost``."""

from __future__ import annotations

from typing import Annotated

import typer

from crossalign.cli import _evaluation as options
from crossalign.cli._app import OK, SOME_FAILED, command, say
from crossalign.cli._options import Device, Dtype, Engine, Kind, ModelName, Side
from crossalign.cli._shared import print_line, print_table


@command
def cost(
    dataset: options.DatasetName = None,
    root: options.Root = None,
    split: options.Split = None,
    names: options.NamesFile = None,
    model: ModelName = "builtin",
    dtype: Dtype = None,
    device: Device = None,
    engine: Engine = None,
    method: options.Methods = None,
    descriptions: options.Descriptions = None,
    descriptors: options.Descriptors = None,
    no_bank: options.NoBank = False,
    crops: options.Crops = None,
    kind: Kind = None,
    side: Side = None,
    images: Annotated[int, typer.Option(min=1, help="Images to measure on.")] = 20,
    json_: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON for each method.")
    ] = False,
) -> int:
    """Measure what methods cost beyond plain CLIP, stage by stage."""
    from crossalign.evaluation.cost import measure, tables, to_json
    from crossalign.evaluation.provenance import notes
    from crossalign.evaluation.run import prepare

    fields = options.wanted(
        dataset=dataset,
        root=root,
        split=split,
        names=names,
        partial=True,
        models=[model],
        dtype=dtype,
        device=device,
        engine=engine,
        methods=method,
        descriptions=descriptions,
        descriptors=descriptors,
        no_bank=no_bank,
        crops=crops,
        kind=kind,
        side=side,
    )
    request = options.request_of(fields)
    setup = prepare(request)
    for text in notes(setup):
        options.note(text)
    costs = measure(setup, images=images)
    if json_:
        for row in to_json(costs):
            print_line(row)
    else:
        for laid in tables(costs):
            print_table(laid.head, laid.rows)
            typer.echo(f"\n{laid.note}\n")
    for name in costs.skipped:
        say(f"{name}: cannot be read; skipped")
    return SOME_FAILED if costs.skipped else OK

"""``crossalign cost``."""

from __future__ import annotations

import typer

from crossalign.cli import evaluation_options as options
from crossalign.cli.application import METHODS, OK, SOME_FAILED, command, say
from crossalign.cli.declarations import option
from crossalign.cli.options import EncoderOptions, JsonOptions
from crossalign.cli.output import print_line, print_table


@command("crossalign cost photos --method clip --method wca --images 5", under=METHODS)
def cost(
    dataset: options.DatasetOptions,
    encoder: EncoderOptions,
    methods: options.MethodsOptions,
    texts: options.TextOptions,
    crops: options.NumberOptions,
    output: JsonOptions,
    images: int = option("Images to measure on.", default=20, min=1),
) -> int:
    """Measure what methods cost beyond plain CLIP, stage by stage."""
    from crossalign.evaluation.cost import measure, tables, to_json
    from crossalign.evaluation.provenance import notes
    from crossalign.evaluation.run import prepare

    fields = options.request_fields(dataset, encoder, methods, texts, crops, partial=True)
    setup = prepare(options.request_of(fields))
    for text in notes(setup):
        options.note(text)
    costs = measure(setup, images=images)
    if output.json:
        for row in to_json(costs):
            print_line(row)
    else:
        for table in tables(costs):
            print_table(table.head, table.rows)
            typer.echo(f"\n{table.note}\n")
    for name in costs.skipped:
        say(f"{name}: cannot be read; skipped")
    return SOME_FAILED if costs.skipped else OK

"""``crossalign refine``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import typer

from crossalign.cli.application import OK, WORDS, command, value_of
from crossalign.cli.declarations import REQUIRED, Options, argument, option
from crossalign.cli.inputs import check_apart
from crossalign.cli.options import EncoderOptions


@dataclass(frozen=True)
class _Criterion(Options):
    threshold: float | None = option("cosine: highest one of two kept; 0.99 by default.")
    margin: float | None = option("usefulness: what it must exceed; 0 by default.")
    least: int | None = option("usefulness: texts to keep at any rate; 1 by default.")
    keep: int | None = option("coverage: texts to keep of a class.")


@command("crossalign refine pets.json --out fewer.json", under=WORDS)
def refine(
    *,
    file: Path = argument("FILE", "Descriptions (.json)."),
    out: Path = option("Where to write those kept (.json).", default=REQUIRED, metavar="FILE"),
    encoder: EncoderOptions,
    by: Literal["cosine", "usefulness", "coverage"] = option(
        "What to drop: repetition, what tells nothing apart, all but a few.", default="cosine"
    ),
    criterion: _Criterion,
    show: bool = option("Print every text that is dropped.", default=False),
) -> int:
    """Keep fewer and better descriptions, by their texts alone."""
    from crossalign.texts.descriptions import DescriptionSet
    from crossalign.texts.filtering import CRITERIA
    from crossalign.texts.quality import visible

    settings = _settings(by, criterion.given())
    if out.suffix.lower() != ".json":
        raise typer.BadParameter(f"{out}: expected a .json file", param_hint="--out")
    check_apart("--out", out, "the file that is refined", [file])
    classes = DescriptionSet.load(file)
    judge = encoder.load()
    with value_of(*(f"--{name}" for name in settings)):
        found = CRITERIA[by](classes, judge, **settings)
    found.kept.save(out)
    if show:
        for dropped in found.dropped:
            typer.echo(f"{visible(dropped.class_name)}: {visible(dropped.text)}")
            typer.echo(f"    {visible(dropped.reason, 200)}")
    total = sum(map(len, classes.texts))
    typer.echo(
        f"{total - len(found.dropped)} of {total} descriptions of {len(classes)} "
        f"class{'' if len(classes) == 1 else 'es'} kept; {out} written"
    )
    return OK


def _settings(by: str, given: dict[str, Any]) -> dict[str, Any]:
    taken = {"cosine": {"threshold"}, "usefulness": {"margin", "least"}, "coverage": {"keep"}}[by]
    stray = sorted(set(given) - taken)
    if stray:
        raise typer.BadParameter(f"--by {by} has no use for --{stray[0]}")
    if by == "coverage" and "keep" not in given:
        raise typer.BadParameter("--by coverage needs --keep N, the texts to keep of a class")
    return given

"""What commands print: JSON, tables, predictions with progress."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import typer

from crossalign.cli.application import say

if TYPE_CHECKING:
    from crossalign.classifier import Classifier
    from crossalign.encoders.parity import Parity
    from crossalign.predictions import Prediction


def predict(
    classifier: Classifier, images: Iterable[Any], *, keep_evidence: bool = False
) -> Iterator[Prediction]:
    """Predict with progress on standard error."""
    from crossalign.utils.progress import Progress

    with Progress("texts encoded") as progress:
        classifier.prepare(progress.update)
    images = list(images)
    with Progress("images labelled", len(images)) as progress:
        predictions = classifier.predict(images, keep_evidence=keep_evidence)
        for done, prediction in enumerate(predictions, start=1):
            progress.update(done)
            yield prediction


def print_line(values: dict[str, Any]) -> None:
    """Print JSON on one line."""
    # Elsewhere than in UTF-8 a character that cannot be shown would spoil the line as JSON.
    readable = getattr(sys.stdout, "encoding", None) in ("utf-8", "UTF-8", "utf8")
    typer.echo(json.dumps(values, ensure_ascii=not readable))


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns, in bold heads on a terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in head:
        table.add_column(title, overflow="fold")
    for row in rows:
        # Text, not str: a name with square brackets is not markup.
        table.add_row(*(Text(cell) for cell in row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table)


def print_parity(found: Parity, classes: int) -> None:
    """Print a comparison of two encoders as a table."""
    rows = [
        (
            name,
            str(side.count),
            _cosine(side.min_cosine),
            _cosine(side.median_cosine),
            f"{side.speed_a:.1f}",
            f"{side.speed_b:.1f}",
            f"{side.speed_b / side.speed_a:.2f}",
        )
        for name, side in (("images", found.images), ("texts", found.texts))
    ]
    head = ("", "compared", "least cosine", "median", "A a second", "B a second", "B to A")
    print_table(head, rows)
    if found.dims[0] != found.dims[1]:
        typer.echo(
            f"\ndimensions differ: {found.dims[0]} and {found.dims[1]}, so there are no cosines"
        )
    share = 100.0 * found.changed / found.decisions
    typer.echo(
        f"\n{found.changed} of {found.decisions} decisions among {classes} classes changed "
        f"({share:.1f} %)"
    )
    for line in found.failed:
        say(line)
    if found.failed:
        say(f"{found.skipped} of {found.skipped + found.images.count} photos could not be read")


def _cosine(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.6f}"

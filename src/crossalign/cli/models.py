"""``crossalign models``."""

from __future__ import annotations

from typing import Annotated

import typer

from crossalign.cli._app import OK, command
from crossalign.cli._shared import print_line, print_table


@command
def models(
    json_: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON for each encoder.")
    ] = False,
) -> int:
    """List the encoders that are known by name and on this machine."""
    import dataclasses

    from crossalign.encoders import list_encoders

    cards = list_encoders()
    if json_:
        for card in cards:
            print_line(dataclasses.asdict(card))
        return OK
    rows = [
        (
            card.name,
            str(card.dim),
            f"{card.image_size} px",
            f"{card.context_length} tokens",
            card.licence,
            f"{card.bytes / 1e6:.1f} MB",
        )
        for card in cards
    ]
    print_table(("name", "dimension", "input", "context", "licence", "size"), rows)
    return OK

"""``crossalign models``."""

from __future__ import annotations

import typer

from crossalign.cli.application import ENCODERS, OK, command
from crossalign.cli.options import JsonOptions
from crossalign.cli.output import print_line, print_table


@command("crossalign models --json", under=ENCODERS)
def models(
    output: JsonOptions,
) -> int:
    """List encoders known by name, those on this machine first, and what can run them."""
    import dataclasses

    from crossalign.encoders import list_encoders
    from crossalign.encoders.runtimes import WELL_KNOWN, list_runtimes

    cards = list_encoders()
    here = {card.name for card in cards}
    if output.json:
        for card in cards:
            print_line(dataclasses.asdict(card))
        return OK
    rows = [
        (
            card.name,
            "yes" if card.name in here else "no",
            str(card.dim),
            f"{card.image_size} px",
            f"{card.context_length} tokens",
            card.licence,
            f"{card.bytes / 1e6:.1f} MB",
        )
        for card in (*cards, *(card for card in WELL_KNOWN if card.name not in here))
    ]
    print_table(("name", "here", "dimension", "input", "context", "licence", "size"), rows)
    typer.echo()
    libraries = [
        (
            runtime.name,
            runtime.version or "-",
            runtime.serves,
            runtime.devices
            if runtime.version
            else f"not installed: pip install 'crossalign[{runtime.extra}]'",
        )
        for runtime in list_runtimes()
    ]
    print_table(("runs on", "version", "for", "devices"), libraries)
    return OK

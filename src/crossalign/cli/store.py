"""``crossalign store info|verify|prune``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from crossalign.cli.application import ENCODERS, OK, SOME_FAILED, CommandGroup, app, command, say
from crossalign.cli.declarations import argument, option
from crossalign.cli.options import JsonOptions, byte_count
from crossalign.cli.output import print_line, print_table
from crossalign.utils.text import counted

if TYPE_CHECKING:
    from crossalign.engine.cache.store import Store

group = typer.Typer(
    cls=CommandGroup, help="Look after a store of embeddings, as --store DIR makes it."
)
app.add_typer(group, name="store", rich_help_panel=ENCODERS)

_FOLDER = argument("DIR", "The store's folder.")


@command("crossalign store info embeddings", of=group)
def info(
    *,
    folder: Path = _FOLDER,
    output: JsonOptions,
) -> int:
    """Say what a store holds and how much room it takes."""
    import dataclasses

    with _opened(folder) as store:
        found = store.info()
    if output.json:
        print_line({**dataclasses.asdict(found), "folder": str(folder)})
        return OK
    limit = f" of at most {_size(found.max_bytes)}" if found.max_bytes else ", no limit"
    typer.echo(
        f"{counted(found.pictures, 'picture', grouped=True)}, {found.views:,} views, "
        f"{found.texts:,} texts; "
        f"{_size(found.bytes)}{limit}"
    )
    rows = [
        (
            share.encoder.partition(" dim=")[0],
            str(share.pictures),
            str(share.texts),
            _size(share.bytes),
        )
        for share in found.encoders
    ]
    if rows:
        print_table(("encoder", "pictures", "texts", "size"), rows)
    return OK


@command("crossalign store verify embeddings", of=group)
def verify(folder: Path = _FOLDER) -> int:
    """Read all of a store and check it. Exit code 1 if something is broken."""
    with _opened(folder) as store:
        verdict = store.verify()
    for problem in verdict.problems:
        typer.echo(problem)
    typer.echo(f"{verdict.checked} rows checked, {len(verdict.problems)} problems")
    if verdict.problems:
        say(f"`crossalign store prune {folder}` mends it; what is lost is encoded again")
    return SOME_FAILED if verdict.problems else OK


@command("crossalign store prune embeddings --max-size 20G", of=group)
def prune(
    folder: Path = _FOLDER,
    max_size: str | None = option(
        "Drop what was not used for longest beyond it, such as 500M or 20G.", metavar="SIZE"
    ),
    unused_days: float | None = option("Drop what was not used for that many days.", min=0),
    encoder: str | None = option(
        "Drop all of the encoders whose name begins with this.", metavar="NAME"
    ),
) -> int:
    """Drop what is broken and what is not wanted, and give the room back to the disk.

    A file that is broken in itself is emptied; what it held is encoded again.
    """
    wanted = byte_count("--max-size", max_size)
    with _opened(folder) as store:
        before = _bytes(store)
        pruned = store.prune(max_bytes=wanted, unused_days=unused_days, encoder=encoder)
        after = _bytes(store)
    if pruned.rebuilt:
        say("the file was broken and has been made anew; what it held is encoded again")
    typer.echo(
        f"{pruned.dropped} rows dropped, {pruned.kept} kept, {_size(before)} -> {_size(after)}"
    )
    return OK


def _bytes(store: Store) -> int:
    """Room that the file takes, which can be told of a broken one too."""
    from crossalign.engine.cache.database import FILE

    return (store.folder / FILE).stat().st_size


def _opened(folder: Path) -> Store:
    """Open a store that is there: looking into one must not make one."""
    from crossalign.engine.cache.store import Store

    if not Store.exists(folder):
        raise typer.BadParameter(f"there is no store in {folder}")
    return Store(folder)


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.2f} GB"

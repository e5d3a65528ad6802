"""What the commands that evaluate have in common: options, the request, progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer

from crossalign.cli._app import say
from crossalign.cli._options import byte_count

if TYPE_CHECKING:
    from crossalign.engine.cache.store import Store
    from crossalign.evaluation import Request

DatasetName: TypeAlias = Annotated[
    str | None,
    typer.Argument(
        metavar="DATASET", help="A folder of labelled photos, or a data set's name with --root."
    ),
]
Root: TypeAlias = Annotated[
    str | None, typer.Option(metavar="DIR", help="Folder of a named data set.")
]
Split: TypeAlias = Annotated[str | None, typer.Option(help="Which part; the usual one by default.")]
NamesFile: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Class names in place of the data set's own: a .txt, .csv or .json file, also one of "
        "descriptions, or a list of ImageNet's names: crossalign, clip or clip-d.",
    ),
]
Partial: TypeAlias = Annotated[
    bool, typer.Option("--partial", help="Take what is there of a published data set.")
]
PerClass: TypeAlias = Annotated[
    int | None, typer.Option(min=1, help="Most images of a class, the first ones.")
]
Descriptions: TypeAlias = Annotated[
    str | None, typer.Option(metavar="FILE", help=".json {class: [sentence, ...]}.")
]
Descriptors: TypeAlias = Annotated[
    str | None, typer.Option(metavar="FILE", help=".json {class: [descriptor, ...]}.")
]
NoBank: TypeAlias = Annotated[
    bool,
    typer.Option("--no-bank", help="Templates, not the bank, where there are no descriptions."),
]
Crops: TypeAlias = Annotated[
    int | None, typer.Option(min=1, help="Crops that enter a score; the method's own by default.")
]
Runs: TypeAlias = Annotated[
    int | None, typer.Option(min=1, help="Seeds, or resamplings of the pool.")
]
FirstSeed: TypeAlias = Annotated[int | None, typer.Option(min=0, help="Seed of the first run.")]
CropScale: TypeAlias = Annotated[float | None, typer.Option(help="Crop scale S_c.")]
DescriptionScale: TypeAlias = Annotated[float | None, typer.Option(help="Description scale S_d.")]
Protocol: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="fresh (new crops for each seed) or published (one pool, resampled; sides 0.1 to 0.9)."
    ),
]
Pool: TypeAlias = Annotated[
    int | None, typer.Option(min=1, help="Crops in the pool of the published protocol.")
]
NoStore: TypeAlias = Annotated[
    bool,
    typer.Option("--no-store", help="Keep no embeddings: slower, and no room on the disk taken."),
]
StoreFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where embeddings are kept; OUT/store by default."),
]
Methods: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--method", help="Method; repeat for several; clip, cupl and wca by default."),
]
Models: TypeAlias = Annotated[
    list[str] | None, typer.Option("--model", help="Encoder; repeat for several.")
]


def wanted(**given: Any) -> dict[str, Any]:
    """Keep what was given on the command line, as fields of a request."""
    # A zero, such as a scale of 0, is something that was given.
    fields = {
        name: value for name, value in given.items() if value is not None and value is not False
    }
    if fields.pop("no_bank", False):
        fields["bank"] = False
    for name in ("models", "methods"):
        if name in fields:
            fields[name] = tuple(fields[name])
    return fields


@contextmanager
def kept(
    out: Path, folder: Path | None, size: str | None, none: bool
) -> Iterator[Store | Path | Literal[False] | None]:
    """Say where embeddings are kept: in a store that has a limit now, or where evaluate puts it."""
    if none and (folder is not None or size is not None):
        raise typer.BadParameter("--no-store goes with neither --store nor --store-size")
    if none or size is None:
        yield False if none else folder
        return
    from crossalign.engine.cache.store import Store

    with Store(folder or out / "store", max_bytes=byte_count(size)) as store:
        yield store


def note(text: str) -> None:
    """Say what one should know before the work begins."""
    say(f"note: {text}")


def request_of(fields: dict[str, Any]) -> Request:
    """Make the request, which needs a data set."""
    from crossalign.evaluation import Request

    if "dataset" not in fields:
        raise typer.BadParameter(
            "no data set: give a folder of class folders, or a name with --root DIR"
        )
    return Request.from_json(fields)

"""What the commands that evaluate have in common: options, the request, progress."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

if TYPE_CHECKING:
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
        help="Class names in place of the data set's own: a .txt, .csv or .json file, or a list of "
        "ImageNet's names: crossalign, clip or clip-d.",
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
Side: TypeAlias = Annotated[
    tuple[float, float] | None,
    typer.Option(metavar="LOW HIGH", help="Range of the crop side, shares of the short side."),
]
Runs: TypeAlias = Annotated[
    int | None, typer.Option(min=1, help="Seeds, or resamplings of the pool.")
]
FirstSeed: TypeAlias = Annotated[int | None, typer.Option(min=0, help="Seed of the first run.")]
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


def request_of(fields: dict[str, Any]) -> Request:
    """Make the request, which needs a data set."""
    from crossalign.evaluation import Request

    if "dataset" not in fields:
        raise typer.BadParameter(
            "no data set: give a folder of class folders, or a name with --root DIR"
        )
    return Request.from_json(fields)

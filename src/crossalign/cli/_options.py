"""Options that several commands have in common, so that they read alike everywhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

# Sections of a command's help.
CLASSES, ENCODER, METHOD, SPEED, DECISIONS = (
    "Classes",
    "Encoder",
    "Method",
    "Speed",
    "Decisions",
)

ClassNames: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--class",
        "-c",
        metavar="CLASS",
        help="A class name; repeat for each class.",
        rich_help_panel=CLASSES,
    ),
]
ClassesFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--classes",
        metavar="FILE",
        help="Classes: .txt with one a line, or .json {class: [description, ...]}.",
        rich_help_panel=CLASSES,
    ),
]
ModelName: TypeAlias = Annotated[
    str, typer.Option("--model", help="Encoder; see `crossalign models`.", rich_help_panel=ENCODER)
]
MethodName: TypeAlias = Annotated[
    str,
    typer.Option(
        "--method",
        help="clip, clip-e, clip-d, waffle, cupl, wca, bifta or lgca.",
        rich_help_panel=METHOD,
    ),
]
Crops: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--crops",
        metavar="N|auto",
        help="Crops an image, for methods that take any; auto takes as many as its label needs.  "
        "[default: the method's own, 60 for wca]",
        rich_help_panel=METHOD,
    ),
]
Risk: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--risk",
        help="With --crops auto: accepted probability that all crops would say otherwise.  "
        "[default: 0.01]",
        rich_help_panel=METHOD,
    ),
]
Kind: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--kind",
        help="How crops are laid out: random, even, refined, nested or grid.  "
        "[default: the method's own]",
        rich_help_panel=METHOD,
    ),
]
Side: TypeAlias = Annotated[
    tuple[float, float] | None,
    typer.Option(
        "--side",
        metavar="LOW HIGH",
        help="Range of a crop's side, as shares of the image's short side.  "
        "[default: the method's own, 0.5 0.9 for wca]",
        rich_help_panel=METHOD,
    ),
]
Seed: TypeAlias = Annotated[
    int,
    typer.Option("--seed", help="Seed of random crops and random words.", rich_help_panel=METHOD),
]
Bank: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--bank/--no-bank",
        help="Describe classes given by name alone with the bank, where it knows them.",
        rich_help_panel=CLASSES,
    ),
]
Dtype: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--dtype", help="Precision of the encoder, where it has several.", rich_help_panel=ENCODER
    ),
]
Device: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--device", help="Where the encoder runs, where it has a choice.", rich_help_panel=ENCODER
    ),
]
Engine: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--engine",
        "--runtime",
        help="What runs onnx: encoders, onnxruntime (default) or openvino.",
        rich_help_panel=ENCODER,
    ),
]
Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print JSON, and nothing else on standard output.")
]
StoreFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="DIR",
        help="Keep embeddings there, and never encode anything twice.",
        rich_help_panel=SPEED,
    ),
]
StoreSize: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--store-size",
        metavar="SIZE",
        help="Limit of the store, such as 500M or 20G; 0 for none.",
        rich_help_panel=SPEED,
    ),
]
NoneOfThese: TypeAlias = Annotated[
    bool,
    typer.Option("--none-of-these", help="Let images fit no class.", rich_help_panel=DECISIONS),
]
Background: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--background",
        metavar="FILE",
        help="With --none-of-these: texts for everything else, one a line.",
        rich_help_panel=DECISIONS,
    ),
]
Draft: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--draft",
        help="Decode large JPEGs at a part of their size: faster, not bit-equal.",
        rich_help_panel=SPEED,
    ),
]

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def byte_count(text: str) -> int:
    """Read a size such as 500M or 20G.

    Args:
        text: A number, and perhaps one of K, M, G and T, which are powers of 1000.

    Returns:
        Bytes.

    Raises:
        BadParameter: If it is something else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text.strip().upper())
    if match is None:
        raise typer.BadParameter(f"expected a size such as 500M or 20G; got {text!r}")
    return int(float(match[1]) * _UNITS[match[2]])

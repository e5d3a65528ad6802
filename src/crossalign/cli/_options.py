"""Options that several commands have in common, so that they read alike everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

ClassNames: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--class", "-c", metavar="CLASS", help="A class name; repeat for each class."),
]
ClassesFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--classes",
        metavar="FILE",
        help="Classes: .txt with one a line, or .json {class: [description, ...]}.",
    ),
]
ModelName: TypeAlias = Annotated[
    str, typer.Option("--model", help="Encoder; see `crossalign models`.")
]
MethodName: TypeAlias = Annotated[
    str, typer.Option("--method", help="clip, clip-e, clip-d, waffle, cupl or wca.")
]
Seed: TypeAlias = Annotated[
    int, typer.Option("--seed", help="Seed of random crops and random words.")
]
Dtype: TypeAlias = Annotated[
    str | None, typer.Option("--dtype", help="Precision of the encoder, where it has several.")
]
Device: TypeAlias = Annotated[
    str | None, typer.Option("--device", help="Where the encoder runs, where it has a choice.")
]
Engine: TypeAlias = Annotated[
    str | None,
    typer.Option("--engine", help="What runs onnx: encoders, onnxruntime (default) or openvino."),
]

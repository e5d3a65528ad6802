"""``crossalign export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossalign.cli.application import ENCODERS, OK, SOME_FAILED, command
from crossalign.cli.inputs import image_files
from crossalign.cli.output import print_parity


@command("crossalign export hf:openai/clip-vit-base-patch32 my-model", under=ENCODERS)
def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="hf:... or open_clip:...")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make.")],
    dtype: Annotated[
        str, typer.Option(help="fp32; fp16, half the size; or int8, a quarter.")
    ] = "fp32",
    accept: Annotated[
        bool, typer.Option("--accept", help="Keep int8 files even below a cosine of 0.999.")
    ] = False,
    photos: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Photos to compare on; synthetic pictures otherwise."),
    ] = None,
) -> int:
    """Write a PyTorch encoder as ONNX files, if they embed as it does.

    Exit code 1 if it is written, but a photo to compare on could not be read.
    """
    from crossalign.encoders.export import export as export_encoder
    from crossalign.texts.everyday import everyday_classes

    classes = everyday_classes()
    found = export_encoder(
        model,
        folder,
        dtype=dtype,
        accept=accept,
        photos=image_files("--photos", photos),
        classes=classes,
        report=lambda found: print_parity(found, len(classes)),
    )
    typer.echo(f"{folder} is ready: crossalign classify ... --model onnx:{folder}")
    return SOME_FAILED if found.failed else OK

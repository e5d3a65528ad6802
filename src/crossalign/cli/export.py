"""``crossalign export``."""

from __future__ import annotations

from pathlib import Path

import typer

from crossalign.cli.application import ENCODERS, OK, SOME_FAILED, command
from crossalign.cli.declarations import argument, option
from crossalign.cli.inputs import image_files
from crossalign.cli.output import print_parity


@command("crossalign export hf:openai/clip-vit-base-patch32 my-model", under=ENCODERS)
def export(
    model: str = argument("MODEL", "hf:... or open_clip:..."),
    folder: Path = argument("DIR", "The folder to make."),
    dtype: str = option("fp32; fp16, half the size; or int8, a quarter.", default="fp32"),
    accept: bool = option("Keep int8 files even below a cosine of 0.999.", default=False),
    photos: Path | None = option(
        "Photos to compare on; synthetic pictures otherwise.", metavar="DIR"
    ),
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

"""``crossalign parity``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossalign.cli.app import ENCODERS, OK, SOME_FAILED, command
from crossalign.cli.inputs import image_files
from crossalign.cli.options import EncoderOptions
from crossalign.cli.output import print_parity


@command("crossalign parity hf:openai/clip-vit-base-patch32 onnx:my-model", under=ENCODERS)
def parity(
    model_a: Annotated[str, typer.Argument(metavar="MODEL_A", help="The encoder to reproduce.")],
    model_b: Annotated[str, typer.Argument(metavar="MODEL_B", help="The one that should do so.")],
    photos: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Photos, in any subfolder; synthetic pictures otherwise."),
    ] = None,
    classes: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Classes to decide among; 48 everyday ones otherwise."),
    ] = None,
    gate: Annotated[float, typer.Option(help="Least cosine that passes.")] = 0.999,
    dtype_a: Annotated[str | None, typer.Option(help="Precision of MODEL_A.")] = None,
    dtype_b: Annotated[str | None, typer.Option(help="Precision of MODEL_B.")] = None,
    device_a: Annotated[str | None, typer.Option(help="Where MODEL_A runs.")] = None,
    device_b: Annotated[str | None, typer.Option(help="Where MODEL_B runs.")] = None,
    runtime_a: Annotated[
        str | None,
        typer.Option("--runtime-a", "--engine-a", help="What runs MODEL_A, if it is onnx:."),
    ] = None,
    runtime_b: Annotated[
        str | None,
        typer.Option("--runtime-b", "--engine-b", help="What runs MODEL_B, if it is onnx:."),
    ] = None,
    revision_a: Annotated[str | None, typer.Option(help="Revision of MODEL_A on the hub.")] = None,
    revision_b: Annotated[str | None, typer.Option(help="Revision of MODEL_B on the hub.")] = None,
) -> int:
    """Compare two encoders: cosines, changed decisions and speed.

    Exit code 1 below the gate, or if a photo could not be read.
    """
    if not 0 <= gate <= 1:  # NaN is not, either
        raise typer.BadParameter(f"expected a cosine from 0 to 1; got {gate}", param_hint="--gate")
    from crossalign.encoders.parity import compare
    from crossalign.texts.descriptions import DescriptionSet
    from crossalign.texts.everyday import everyday_classes

    chosen = everyday_classes() if classes is None else DescriptionSet.load(classes)
    a = EncoderOptions(model_a, dtype_a, device_a, runtime_a, revision_a).load()
    b = EncoderOptions(model_b, dtype_b, device_b, runtime_b, revision_b).load()
    found = compare(a, b, image_files("--photos", photos), chosen)
    print_parity(found, len(chosen))
    verdict = "passes" if found.passes(gate) else "does NOT pass"
    typer.echo(f"{model_b} {verdict} the gate of {gate} against {model_a}")
    return OK if found.passes(gate) and not found.failed else SOME_FAILED

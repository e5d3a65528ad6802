"""``crossalign parity``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from crossalign.cli.application import ENCODERS, OK, SOME_FAILED, command, value_of
from crossalign.cli.declarations import Options, argument, option
from crossalign.cli.inputs import image_files
from crossalign.cli.options import EncoderOptions
from crossalign.cli.output import print_parity

if TYPE_CHECKING:
    from crossalign.encoders import Encoder


@dataclass(frozen=True)
class _Comparison(Options):
    photos: Path | None = option(
        "Photos, in any subfolder; synthetic pictures otherwise.", metavar="DIR"
    )
    classes: Path | None = option(
        "Classes to decide among; 48 everyday ones otherwise.", metavar="FILE"
    )
    gate: float = option("Least cosine that passes.", default=0.999)
    dtype_a: str | None = option("Precision of MODEL_A.")
    dtype_b: str | None = option("Precision of MODEL_B.")
    device_a: str | None = option("Where MODEL_A runs.")
    device_b: str | None = option("Where MODEL_B runs.")
    runtime_a: str | None = option(
        "What runs MODEL_A, if it is onnx:.", "--runtime-a", "--engine-a"
    )
    runtime_b: str | None = option(
        "What runs MODEL_B, if it is onnx:.", "--runtime-b", "--engine-b"
    )
    revision_a: str | None = option("Revision of MODEL_A on the hub.")
    revision_b: str | None = option("Revision of MODEL_B on the hub.")

    def encoder(self, name: str, side: str) -> Encoder:
        """Load one of both; its options are called as everywhere, with the side behind."""
        words = ("dtype", "device", "runtime", "revision")
        return EncoderOptions(name, *(getattr(self, f"{word}_{side}") for word in words)).load()


@command(
    "crossalign parity hf:openai/clip-vit-base-patch32 onnx:my-model",
    under=ENCODERS,
)
def parity(
    *,
    model_a: str = argument("MODEL_A", "The encoder to reproduce."),
    model_b: str = argument("MODEL_B", "The one that should do so."),
    options: _Comparison,
) -> int:
    """Compare two encoders: cosines, changed decisions and speed.

    Exit code 1 below the gate, or if a photo could not be read.
    """
    gate = options.gate
    if not 0 <= gate <= 1:  # NaN is not, either
        raise typer.BadParameter(f"expected a cosine from 0 to 1; got {gate}", param_hint="--gate")
    from crossalign.encoders.parity import compare
    from crossalign.texts.descriptions import DescriptionSet
    from crossalign.texts.everyday import everyday_classes

    given = options.classes
    with value_of("--classes"):
        chosen = everyday_classes() if given is None else DescriptionSet.load(given)
    a, b = options.encoder(model_a, "a"), options.encoder(model_b, "b")
    found = compare(a, b, image_files("--photos", options.photos), chosen)
    print_parity(found, len(chosen))
    verdict = "passes" if found.passes(gate) else "does NOT pass"
    typer.echo(f"{model_b} {verdict} the gate of {gate} against {model_a}")
    return OK if found.passes(gate) and not found.failed else SOME_FAILED

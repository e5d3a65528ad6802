"""A network of PyTorch as ONNX files that ``onnx:`` reads: past the gate of parity, or not at all.

The graphs are traced from the loaded network, so they hold what it really computes; the files
beside them are its own. Before the folder gets its name, the ONNX encoder is compared with the
original by :func:`crossalign.encoders.parity.compare`.
"""

from __future__ import annotations

import contextlib
import inspect
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import crossalign
from crossalign.encoders import Encoder, load_encoder
from crossalign.encoders.base import read_data
from crossalign.encoders.devices import read_dtype
from crossalign.encoders.onnx.folder import check_same, check_target, join
from crossalign.encoders.onnx.precision import PRECISIONS, save
from crossalign.encoders.parity import GATE, Described, Parity, compare
from crossalign.encoders.torch.base import TorchEncoder
from crossalign.errors import EncoderError, import_extra

OPSET = 17  # the first with LayerNormalization as one operator


def export(
    name: str,
    folder: str | Path,
    *,
    dtype: str = "fp32",
    accept: bool = False,
    photos: Iterable[Any] = (),
    classes: Described | None = None,
    report: Callable[[Parity], None] | None = None,
) -> Parity:
    """Write an encoder of PyTorch as ONNX files, if they embed as it does.

    Everything is written into a temporary folder beside, which gets its name only after the gate:
    what fails leaves nothing behind.

    Args:
        name: ``"hf:..."`` or ``"open_clip:..."``.
        folder: The folder to make; it may be there if it is empty, or if it holds other variants
            of the same model, which this one then joins.
        dtype: ``"fp32"``; ``"fp16"``: weights stored in half precision, computed in single, half
            the size at the same speed; ``"int8"``: weights of matrices in 8 bits a channel,
            activations in 8 bits a tensor, found anew for each batch.
        accept: Keep int8 files below the gate, too.
        photos: Photos to compare on; synthetic pictures by default.
        classes: Classes to decide among, whose texts are compared; ten everyday words by default.
        report: Called with the comparison, before anything is refused.

    Returns:
        The comparison with the original.

    Raises:
        EncoderError: If the model cannot be exported, if the folder is in the way, or if a cosine
            is below :data:`crossalign.encoders.parity.GATE`.
        MissingExtraError: If PyTorch, its library or onnx is not installed.
    """
    target = Path(folder)
    read = read_dtype(dtype, PRECISIONS)
    dtype = PRECISIONS[0] if read in (None, "auto") else str(read)
    joins = check_target(target, dtype)
    import_extra("onnx", "crossalign export", "export")
    encoder = load_encoder(name)
    if not isinstance(encoder, TorchEncoder):
        raise EncoderError(
            f"expected a model of PyTorch, hf:... or open_clip:...; got {name!r}, which is not."
        )
    if joins:
        check_same(target, encoder.card.revision)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        made = Path(scratch) / "model"
        made.mkdir()
        _write(encoder, made, dtype)
        encoder = load_encoder(name)  # as users load it, with its fast attention
        found = compare(encoder, load_encoder(f"onnx:{made}", dtype=dtype), photos, classes)
        if report is not None:
            report(found)
        _check(found, name, dtype, accept)
        paragraph = _paragraph(encoder, name, dtype, found)
        if joins:
            join(made, target, paragraph)
            return found
        (made / "README.md").write_text(_readme(encoder, name, paragraph), encoding="utf-8")
        if target.exists():
            target.rmdir()
        shutil.move(made, target)
    return found


def _check(found: Parity, name: str, dtype: str, accept: bool) -> None:
    if found.passes() or (accept and dtype == "int8"):
        return
    remedy = (
        "Pass --accept (accept=True) to keep it all the same."
        if dtype == "int8"
        else "The exporter of this PyTorch gets the network wrong; another version may do better."
    )
    raise EncoderError(
        f"{name} in {dtype} falls to a cosine of {found.min_cosine:.6f}, below the gate of {GATE} "
        f"(images {found.images.min_cosine:.6f}, texts {found.texts.min_cosine:.6f}), so nothing "
        f"was written. {remedy}"
    )


def _write(encoder: TorchEncoder, folder: Path, dtype: str) -> None:
    """Write settings and graphs."""
    towers = encoder.towers()
    towers.save_settings(folder)
    free = {0: "n", 1: "length"} if towers.free_length else {0: "n"}
    jobs: list[tuple[str, Any, dict[str, Any], str, dict[int, str]]] = [
        (towers.graphs[0], towers.image, towers.image_example, "image_embeds", {0: "n"}),
        (towers.graphs[1], towers.text, towers.text_example, "text_embeds", free),
    ]
    for graph, module, example, output, axes in jobs:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            # In a folder of its own: a network beyond 2 GB becomes many files.
            traced = Path(scratch) / "traced.onnx"
            _trace(encoder, module, example, output, axes, traced)
            save(traced, folder / graph, dtype)


def _trace(
    encoder: Encoder,
    module: Any,
    example: dict[str, Any],
    output: str,
    axes: dict[int, str],
    path: Path,
) -> None:
    import torch

    options: dict[str, Any] = {"opset_version": OPSET, "do_constant_folding": True}
    if "dynamo" in inspect.signature(torch.onnx.export).parameters:
        options["dynamo"] = False  # the other exporter needs packages more, and gains nothing here
    try:
        with warnings.catch_warnings(), _plain_attention():
            warnings.simplefilter("ignore")  # of shapes that are fixed, and of old age
            torch.onnx.export(
                module.eval(),  # else the exporter leaves it in training mode
                tuple(example.values()),
                str(path),
                input_names=list(example),
                output_names=[output],
                dynamic_axes={**dict.fromkeys(example, axes), output: {0: "n"}},
                **options,
            )
    except Exception as error:  # it raises those of many modules
        raise EncoderError(
            f"{encoder.card.name}: PyTorch {torch.__version__} cannot write its "
            f"{output.partition('_')[0]} tower as an ONNX graph: {error!s:.300}"
        ) from error


@contextlib.contextmanager
def _plain_attention() -> Iterator[None]:
    """Make PyTorch's attention of operators that its exporter knows, and of any length."""
    import torch

    functional, name = torch.nn.functional, "_in_projection_packed"
    fast_path, packed = torch.backends.mha.get_fastpath_enabled(), getattr(functional, name, None)

    def three(query: Any, key: Any, value: Any, weight: Any, bias: Any = None) -> list[Any]:
        """Project one by one; all in one, the exporter takes the example's length for every one."""
        biases = (None,) * 3 if bias is None else bias.chunk(3)
        triples = zip((query, key, value), weight.chunk(3), biases, strict=True)
        return [functional.linear(*triple) for triple in triples]

    torch.backends.mha.set_fastpath_enabled(False)  # one operator, which ONNX does not have
    if packed is not None:
        setattr(functional, name, three)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        if packed is not None:
            setattr(functional, name, packed)


def _readme(encoder: Encoder, name: str, paragraph: str) -> str:
    licence = encoder.card.licence
    return read_data("export/README.md.txt").format(
        licence=licence, source=_source(name), paragraph=paragraph
    )


def _paragraph(encoder: Encoder, name: str, dtype: str, found: Parity) -> str:
    return read_data("export/paragraph.md.txt").format(
        source=_source(name), version=crossalign.__version__, revision=encoder.card.revision,
        dtype=dtype, images=found.images, texts=found.texts, changed=found.changed,
        decisions=found.decisions,
    )  # fmt: skip


def _source(name: str) -> str:
    """A path on this machine says nothing elsewhere, but its last part does."""
    scheme, _, rest = name.partition(":")
    return f"{scheme}:{Path(rest).name}" if Path(rest).exists() else name

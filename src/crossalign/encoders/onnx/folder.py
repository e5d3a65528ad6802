"""A folder of ONNX files, which may hold several variants of one model and nothing else."""

from __future__ import annotations

from pathlib import Path

from crossalign.encoders.onnx.files import EXTERNAL, variants
from crossalign.errors import EncoderError

_README = "README.md"


def check_target(target: Path, dtype: str) -> bool:
    """Tell whether a variant would join others in a folder.

    Args:
        target: The folder.
        dtype: The variant.

    Returns:
        True if there are others; False if the folder is empty or not there.

    Raises:
        EncoderError: If there is something else, or this variant.
    """
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise EncoderError(f"{target} is in the way; name a folder that is not there yet.")
    if not target.exists() or next(target.iterdir(), None) is None:
        return False
    there = variants(path.relative_to(target).as_posix() for path in target.rglob("*.onnx"))
    if dtype in there:
        raise _in_the_way(target, f"it holds {dtype} already")
    if not there:
        raise EncoderError(f"{target} is in the way; name a folder that is not there yet.")
    return True


def check_same(target: Path, revision: str) -> None:
    """Make sure that a folder was made from this very model.

    Args:
        target: The folder.
        revision: Of the model.

    Raises:
        EncoderError: If its README does not say so.
    """
    try:
        said = (target / _README).read_text(encoding="utf-8")
    except OSError:
        said = ""
    if f"revision {revision}," not in said:
        what = f"its {_README} does not say that its files were made from revision {revision}"
        raise _in_the_way(target, f"{what}, as these are")


def join(made: Path, target: Path, paragraph: str) -> None:
    """Add one variant's graphs to a folder that holds others.

    Args:
        made: The variant's own folder, from which its graphs are moved.
        target: The folder with the others.
        paragraph: What its README is to say of this variant.

    Raises:
        EncoderError: If settings or tokenizers are not the same.
    """
    files = [path.relative_to(made) for path in sorted(made.rglob("*")) if path.is_file()]
    graphs = [file for file in files if _is_graph(file)]
    for file in files:
        if file in graphs or file.name == _README:
            continue
        there = target / file
        if not there.is_file() or there.read_bytes() != (made / file).read_bytes():
            what = f"its {file.as_posix()} is not that of this model as it is written now"
            raise _in_the_way(target, what)
    # Weights before their graphs: a variant counts as being there from its last graph on.
    for file in sorted(graphs, key=lambda file: file.suffix == ".onnx"):
        (made / file).replace(target / file)
    head, fence, tail = (target / _README).read_text(encoding="utf-8").partition("```python")
    scratch = made / _README
    scratch.write_text(f"{head}{paragraph}\n{fence}{tail}", encoding="utf-8")
    scratch.replace(target / _README)


def _in_the_way(target: Path, what: str) -> EncoderError:
    return EncoderError(f"{target} is in the way: {what}. Name another folder.")


def _is_graph(file: Path) -> bool:
    return any(file.match(f"*.onnx{end}") for end in ("", *EXTERNAL))

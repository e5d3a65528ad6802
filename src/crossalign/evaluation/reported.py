"""Numbers that papers report, as data with their sources, and which of them a run repeats."""

from __future__ import annotations

import csv
import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crossalign.errors import EvaluationError
from crossalign.utils.files import packaged_text


@dataclass(frozen=True, slots=True)
class Cell:
    """One number of a published table.

    Args:
        dataset: Name of the data set here.
        encoder: Architecture as the paper names it, such as ``ViT-B/32``.
        method: Name of the method here.
        top1: Accuracy in per cent.
        source: The table.
    """

    dataset: str
    encoder: str
    method: str
    top1: float
    source: str


@functools.cache
def cells() -> tuple[Cell, ...]:
    """Give the published numbers that this package knows.

    Returns:
        All of them.

    Example:
        >>> next(cell.top1 for cell in cells() if cell.method == "wca" and cell.dataset == "cub")
        56.91
    """
    return _read(packaged_text("evaluation", "reported.csv"))


def read_cells(path: Path) -> tuple[Cell, ...]:
    """Read another table of published numbers.

    Args:
        path: A CSV file with the columns of :class:`Cell`: ``dataset,encoder,method,top1,source``.

    Returns:
        Its numbers.

    Raises:
        EvaluationError: If it cannot be read or holds something else.
    """
    try:
        found = _read(path.read_text("utf-8-sig"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EvaluationError(
            f"{path}: expected a table of published numbers, a .csv file with the columns "
            f"dataset,encoder,method,top1,source and top1 in per cent; it cannot be read ({error})."
        ) from error
    if not found:
        raise EvaluationError(f"{path}: expected published numbers; the table is empty.")
    return found


def _read(text: str) -> tuple[Cell, ...]:
    return tuple(
        Cell(row["dataset"], row["encoder"], row["method"], float(row["top1"]), row["source"])
        for row in csv.DictReader(text.splitlines())
    )


# Encoders with OpenAI's weights, with which the papers' tables were made. Whole names: another
# owner's repository, or a folder, may be called alike and hold other weights.
_OPENAI: dict[str, str] = json.loads(packaged_text("evaluation", "openai.json"))


def architecture(model: str) -> str | None:
    """Name the architecture of an encoder that has the papers' weights.

    Args:
        model: Name of an encoder here.

    Returns:
        The papers' name, or None for any other encoder, one in a folder included.

    Example:
        >>> architecture("open_clip:ViT-B-32-quickgelu/openai")
        'ViT-B/32'
        >>> architecture("hf:somebody/clip-vit-base-patch32") is None
        True
    """
    return _OPENAI.get(model)


def matching(
    dataset: str,
    split: str,
    usual: str,
    model: str,
    method: str,
    *,
    known: Sequence[Cell] | None = None,
) -> list[Cell]:
    """Find the published numbers that a run repeats.

    Args:
        dataset: Name of the data set.
        split: Its split.
        usual: The split that the papers use.
        model: Name of the encoder.
        method: Name of the method.
        known: Published numbers; those of :func:`cells` by default.

    Returns:
        The numbers, none or one of each table.
    """
    wanted = (dataset, architecture(model), method)
    return [
        cell
        for cell in (cells() if known is None else known)
        if (cell.dataset, cell.encoder, cell.method) == wanted and split == usual
    ]

"""Labelled data sets: small readers that know nothing of one another, found by name.

Each knows its splits, class names, templates, the numbers published for it, and where to get it.
Nothing is ever downloaded.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from types import MappingProxyType

from crossalign.errors import EvaluationError
from crossalign.evaluation.datasets.archives import PARQUET, TARS
from crossalign.evaluation.datasets.base import Ask, Dataset, Example, Names, Reader, read_names
from crossalign.evaluation.datasets.folders import FOLDERS
from crossalign.evaluation.datasets.imagenet import IMAGENETS, NAME_LISTS, imagenet_names
from crossalign.evaluation.datasets.published import PUBLISHED

__all__ = [
    "DATASETS",
    "NAME_LISTS",
    "Dataset",
    "Example",
    "Names",
    "Reader",
    "imagenet_names",
    "load_dataset",
    "read_names",
]

DATASETS = MappingProxyType(
    {reader.name: reader for reader in (FOLDERS, PARQUET, TARS, *IMAGENETS, *PUBLISHED)}
)
"""The readers by name. Read-only."""


def load_dataset(
    name: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    *,
    split: str | None = None,
    names: str | os.PathLike[str] | None = None,
    partial: bool = False,
) -> Dataset:
    """Open a labelled data set.

    Args:
        name: Name of a reader (see ``DATASETS``) together with ``root``; or a path alone: a folder
            of class folders, of parquet files or of tar shards.
        root: Folder of the data set.
        split: Which part of it; the usual one by default.
        names: Class names to use in prompts in place of the data set's own: a ``.txt``, ``.csv`` or
            ``.json`` file, see :func:`read_names`, or one of the ``NAME_LISTS`` of ImageNet, for
            any data set with its WordNet ids.
        partial: Take what is there of a published data set, however many images that is.

    Returns:
        The data set, its files counted.

    Raises:
        EvaluationError: If there is no such data set, or it is not whole.
        MissingExtraError: If its layout needs a package that is not installed.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = tempfile.TemporaryDirectory()
        >>> for colour in ("green", "red"):
        ...     place = Path(folder.name, colour)
        ...     place.mkdir()
        ...     Image.new("RGB", (8, 8), colour).save(place / "a.png")
        >>> [(image.key, image.label) for image in load_dataset(folder.name)]
        [('green/a.png', 0), ('red/a.png', 1)]
        >>> folder.cleanup()
    """
    given = None if names is None else _names(names)
    if root is not None:
        reader = _reader(str(name))
        return reader.read(reader, Ask(Path(root), split, given, partial))
    path = Path(name)
    if not path.exists():
        if str(name) in DATASETS:
            raise DATASETS[str(name)].missing("no root was given; say where it is with --root DIR")
        raise EvaluationError(
            f"expected a folder, or the name of a data set with its root; there is no {path}. "
            f"Known data sets: {', '.join(DATASETS)}."
        )
    reader = _by_content(path)
    return reader.read(reader, Ask(path, split, given, partial))


def _names(given: str | os.PathLike[str]) -> Names:
    if str(given) in NAME_LISTS:
        by_id = imagenet_names(str(given))
        return Names(tuple(by_id.values()), by_id, f"names '{given}'")
    if not Path(given).suffix and not Path(given).exists():
        raise EvaluationError(
            "expected class names in a .txt, .csv or .json file, or one of the lists of ImageNet's "
            f"names, {', '.join(NAME_LISTS)}; got '{given}'."
        )
    return read_names(Path(given))


def _reader(name: str) -> Reader:
    if name in DATASETS:
        return DATASETS[name]
    close = difflib.get_close_matches(name, DATASETS, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise EvaluationError(f"unknown data set {name!r}; known: {', '.join(DATASETS)}.{hint}")


def _by_content(path: Path) -> Reader:
    """Choose the layout of a path that came without one."""
    for reader, ending in ((PARQUET, ".parquet"), (TARS, ".tar")):
        if path.suffix == ending or next(path.glob(f"**/*{ending}"), None) is not None:
            return reader
    return FOLDERS

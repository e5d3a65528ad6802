"""Labelled data sets: small readers that know nothing of one another, found by name.

Each knows its splits, class names, templates, the numbers published for it, and where to get it.
Nothing is ever downloaded.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType

from crossalign.errors import EvaluationError
from crossalign.evaluation.datasets.archives import PARQUET, TARS
from crossalign.evaluation.datasets.base import Dataset, Example, Reader, ReadOptions, subfolders
from crossalign.evaluation.datasets.folders import FOLDERS, SPLITS, class_folders
from crossalign.evaluation.datasets.imagenet import (
    IMAGENETS,
    NAME_LISTS,
    WORDNET_ID,
    imagenet_names,
)
from crossalign.evaluation.datasets.lists import Names, read_names
from crossalign.evaluation.datasets.published import PUBLISHED
from crossalign.utils.text import did_you_mean

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
        EvaluationError: If there is no such data set, it is not whole, it can be read in two ways,
            or its class names are WordNet ids, which mean nothing to an encoder.
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
        reader, place = _reader(str(name)), Path(root)
    else:
        reader, place = _of_path(name)
    found = reader.read(reader, ReadOptions(place, split, given, partial))
    if given is None and all(WORDNET_ID.fullmatch(name) for name in found.class_names):
        raise EvaluationError(
            f"{place}: its class names are WordNet ids ({found.class_names[0]!r}, ...), which mean "
            "nothing to an encoder. Use --names crossalign (or clip, clip-d) for the names of "
            "ImageNet's classes, or --names FILE."
        )
    return found


def _of_path(name: str | os.PathLike[str]) -> tuple[Reader, Path]:
    """Choose the layout of what was given without a root, unless it may be meant otherwise."""
    path = Path(name)
    if not path.exists():
        if str(name) in DATASETS:
            raise DATASETS[str(name)].missing("no root was given; say where it is with --root DIR")
        raise EvaluationError(
            f"expected a folder, or the name of a data set with its root; there is no {path}. "
            f"Known data sets: {', '.join(DATASETS)}."
        )
    if isinstance(name, str) and name in DATASETS:
        raise EvaluationError(
            f"'{name}' is the name of a data set and there is a folder of that name. For the data "
            f"set say where it is, as in {name} --root {name}; for class folders of your own write "
            f"./{name}."
        )
    return _by_content(path), path


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
    raise EvaluationError(
        f"unknown data set {name!r}; known: {', '.join(DATASETS)}.{did_you_mean(name, DATASETS)}"
    )


def _by_content(path: Path) -> Reader:
    """Choose the layout of a path that came without one, from what lies at its top."""
    containers = {".parquet": PARQUET, ".tar": TARS}
    if path.is_file():
        return containers.get(path.suffix, FOLDERS)
    below = subfolders(path)
    classes = class_folders(path) + [
        f"{split}/{name}" for split in SPLITS for name in class_folders(path / split)
    ]
    for ending, reader in containers.items():
        found = next(path.glob(f"*{ending}"), None)
        if found is not None and classes:
            raise EvaluationError(
                f"{path} can be read in two ways: there are class folders ({classes[0]}, ...) and "
                f"{found.name}. Say which it is: folders --root {path}, or {reader.name} --root "
                f"{path}."
            )
        # Among class folders, one that lies deeper is somebody's archive.
        deeper = not classes and any(next((path / name).glob(f"*{ending}"), None) for name in below)
        if found is not None or deeper:
            return reader
    return FOLDERS

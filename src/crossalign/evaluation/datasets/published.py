"""Six data sets of the WCA and CLIP papers, read in the layouts in which they were published.

Their titles, sources, numbers of images and templates are in ``data/datasets.json``. Templates are
as the CLIP repository lists them; that of CUB is the one it has for another set of birds, and those
of Places365 follow its pattern, as published WCA has them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from crossalign.evaluation.datasets.base import (
    Dataset,
    Reader,
    ReadOptions,
    first_folder,
    folder_pairs,
    lines,
    listed,
    subfolders,
)
from crossalign.texts.descriptions import wordify
from crossalign.utils.files import packaged_text

Words: TypeAlias = Callable[[str], list[list[str]]]
"""Gives the words of each line of a list file."""

_Listing: TypeAlias = tuple[Sequence[str], Sequence[str], Iterable[tuple[str, int]]]
"""Ids of the classes, their names, and pairs of a path below the root and a class index."""


def _cub(words: Words, _root: Path, split: str) -> _Listing:
    classes = [name for _, name in words("classes.txt")]
    wanted = {"test": "0", "train": "1"}[split]
    part = {number for number, which in words("train_test_split.txt") if which == wanted}
    label = {number: int(place) - 1 for number, place in words("image_class_labels.txt")}
    images = [row for row in words("images.txt") if row[0] in part]
    pairs = [(f"images/{path}", label[number]) for number, path in images]
    return classes, [wordify(name.partition(".")[2]) for name in classes], pairs


def _pets(words: Words, _root: Path, split: str) -> _Listing:
    images = [(row[0], int(row[1])) for row in words(f"annotations/{split}.txt")]
    ids = {number: name.rpartition("_")[0] for name, number in images}
    classes = [ids[number] for number in sorted(ids)]
    index = {number: place for place, number in enumerate(sorted(ids))}
    pairs = [(f"images/{name}.jpg", index[number]) for name, number in images]
    return classes, [wordify(name) for name in classes], pairs


def _dtd(words: Words, _root: Path, split: str) -> _Listing:
    """One of its ten partitions: ``test1`` to ``test10``."""
    paths = [row[0] for row in words(f"labels/{split}.txt")]
    classes = sorted({path.partition("/")[0] for path in paths})
    pairs = [(f"images/{path}", classes.index(path.partition("/")[0])) for path in paths]
    return classes, classes, pairs


def _food(words: Words, _root: Path, split: str) -> _Listing:
    paths = [row[0] for row in words(f"meta/{split}.txt")]
    classes = [row[0] for row in words("meta/classes.txt")]
    pairs = [(f"images/{path}.jpg", classes.index(path.partition("/")[0])) for path in paths]
    return classes, [wordify(name) for name in classes], pairs


def _places(words: Words, root: Path, _split: str) -> _Listing:
    """The validation images, large or small; ``/a/barn/indoor`` is "barn indoor"."""
    rows = sorted((int(number), name) for name, number in words("categories_places365.txt"))
    below = first_folder(root, ("val_256", "val_large", "val"), "val_256")
    pairs = [(f"{below}/{name}", int(number)) for name, number in words("places365_val.txt")]
    classes = [name for _, name in rows]
    return classes, [wordify(" ".join(name.strip("/").split("/")[1:])) for name in classes], pairs


def _eurosat(_words: Words, root: Path, _split: str) -> _Listing:
    """In RGB; it has no published split."""
    below = first_folder(root, ("EuroSAT_RGB", "2750"))
    folders = subfolders(root / below)
    spaced = [re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower() for name in folders]
    names = [_EUROSAT_NAMES.get(name, name) for name in spaced]
    return folders, names, folder_pairs(root, folders, below)()


# As in the CLIP repository's list of prompts (Radford et al., ICML 2021; MIT licence).
_EUROSAT_NAMES: dict[str, str] = json.loads(packaged_text("evaluation", "eurosat.json"))


def _reader(name: str, listing: Callable[[Words, Path, str], _Listing]) -> Reader:
    def read(reader: Reader, options: ReadOptions) -> Dataset:
        split = reader.choose_split(options.split)
        classes, names, pairs = listing(
            lambda file: lines(reader, options.root, file), options.root, split
        )
        if not classes:
            raise reader.missing(f"no class folders in {options.root}")
        every = list(pairs)
        return listed(reader, options, split, classes, names, lambda: every)

    return Reader.known(name, read)


PUBLISHED = (
    _reader("cub", _cub),
    _reader("pets", _pets),
    _reader("dtd", _dtd),
    _reader("food101", _food),
    _reader("places365", _places),
    _reader("eurosat", _eurosat),
)

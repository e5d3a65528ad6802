"""ImageNet and the four sets that test a model of it on other pictures."""

from __future__ import annotations

import csv
import dataclasses
import functools
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from crossalign.errors import EvaluationError, import_extra
from crossalign.evaluation.datasets.base import (
    Dataset,
    Listed,
    Reader,
    ReadOptions,
    first_folder,
    folder_pairs,
    image_names,
    listed,
    subfolders,
)
from crossalign.evaluation.datasets.lists import named, read_text
from crossalign.utils.files import packaged_text

WORDNET_ID = re.compile(r"n\d{8}")
"""What folders of ImageNet are called: a noun of WordNet 3.0, by the offset of its synset."""


NAME_LISTS = MappingProxyType({"crossalign": "class_name", "clip": "clip", "clip-d": "clip-d"})
"""Lists of names for the classes of ILSVRC 2012 by name, with their columns. ``crossalign`` is this
project's, ``clip`` the one published with CLIP (Radford et al., 2021), in which *missile* and
*sunglasses* stand twice and which the WCA code uses for sentences, ``clip-d`` that of the published
descriptors (Menon and Vondrick, 2023), which differs in those two. Read-only."""


@functools.cache
def imagenet_names(which: str = "crossalign") -> Mapping[str, str]:
    """Name the 1000 classes of ILSVRC 2012.

    Args:
        which: One of ``NAME_LISTS``. No two names of this project's own list are alike.

    Returns:
        WordNet ids to names, in the standard order of the classes. Read-only.

    Raises:
        EvaluationError: If there is no such list.

    Example:
        >>> imagenet_names()["n04008634"], imagenet_names("clip")["n04008634"]
        ('projectile', 'missile')
    """
    if which not in NAME_LISTS:
        raise EvaluationError(
            f"expected one of the lists of ImageNet's names, {', '.join(NAME_LISTS)}; "
            f"got {which!r}."
        )
    text = packaged_text("evaluation", "imagenet.csv")
    column = NAME_LISTS[which]
    rows = csv.DictReader(text.splitlines())
    return MappingProxyType({row["folder"]: row[column] for row in rows})


def _imagenet(
    reader: Reader, options: ReadOptions, split: str, ids: list[str], pairs: Listed
) -> Dataset:
    """Make a data set of classes with WordNet ids; names given for all 1000 fit a subset too."""
    known = imagenet_names()
    strange = [name for name in ids if name not in known]
    if strange:
        raise reader.missing(f"{strange[0]} in {options.root} is not a class of ILSVRC 2012")
    if options.names is not None and len(options.names.ordered) == len(known):
        every = named(options.names, tuple(known), tuple(known.values()))
        known = dict(zip(known, every, strict=True))
        options = dataclasses.replace(options, names=None)
    return listed(reader, options, split, ids, [known[name] for name in ids], pairs)


def read_validation(reader: Reader, options: ReadOptions) -> Dataset:
    """Read the validation images of ILSVRC 2012: in class folders, or flat with their labels.

    Args:
        reader: The reader.
        options: What is asked of it.

    Returns:
        The data set.
    """
    split = reader.choose_split(options.split)
    below = first_folder(options.root, _VALIDATION_FOLDERS)
    folders = [name for name in subfolders(options.root / below) if WORDNET_ID.fullmatch(name)]
    if folders:
        ids = sorted({*folders, *(() if options.partial else imagenet_names())})
        return _imagenet(reader, options, split, ids, folder_pairs(options.root, ids, below))
    for find in (_from_devkit, _from_solution):
        found = find(reader, options.root)
        if found is not None:
            ids = list(imagenet_names())
            index = {name: place for place, name in enumerate(ids)}
            flat = [
                (posixpath.join(below, f"{name}.JPEG"), index[wnid])
                for name, wnid in sorted(found.items())
            ]
            return _imagenet(reader, options, split, ids, functools.partial(iter, flat))
    raise reader.missing(
        f"no class folders (n01440764, ...) in {options.root / below}, and no labels of flat images"
    )


_VALIDATION_FOLDERS = ("val", "ILSVRC2012_img_val", "Data/CLS-LOC/val", "ILSVRC/Data/CLS-LOC/val")


def _from_devkit(reader: Reader, root: Path) -> dict[str, str] | None:
    """Labels of the development kit: numbers in a text file, their meaning in a MATLAB file."""
    data = root / "ILSVRC2012_devkit_t12" / "data"
    truth, meta = data / "ILSVRC2012_validation_ground_truth.txt", data / "meta.mat"
    if not truth.is_file():
        return None
    if not meta.is_file():
        raise reader.missing(f"no file {meta}")
    matlab = import_extra("scipy.io", "reading ImageNet's development kit", "devkit")
    synsets = matlab.loadmat(str(meta), squeeze_me=True)["synsets"]
    wnids = {
        int(number): str(name)
        for number, name in zip(synsets["ILSVRC2012_ID"], synsets["WNID"], strict=True)
    }
    numbers = read_text(truth).split()
    return {
        f"ILSVRC2012_val_{place:08d}": wnids[int(number)]
        for place, number in enumerate(numbers, start=1)
    }


def _from_solution(_reader: Reader, root: Path) -> dict[str, str] | None:
    """Labels of the Kaggle edition: ``ImageId,PredictionString``, the first word is the class."""
    path = root / "LOC_val_solution.csv"
    if not path.is_file():
        return None
    rows = csv.DictReader(read_text(path).splitlines())
    return {row["ImageId"]: row["PredictionString"].split()[0] for row in rows}


def read_numbered(reader: Reader, options: ReadOptions) -> Dataset:
    """Read ImageNet-V2, whose folders are class numbers from 0 to 999.

    Args:
        reader: The reader.
        options: What is asked of it.

    Returns:
        The data set.
    """
    split = reader.choose_split(options.split)
    below = first_folder(options.root, [f"imagenetv2-{split}-format-val"])
    folders = [str(number) for number in range(len(imagenet_names()))]
    if not any((options.root / below / folder).is_dir() for folder in folders):
        raise reader.missing(f"no folders 0 to 999 in {options.root / below}")
    pairs = folder_pairs(options.root, folders, below)
    return _imagenet(reader, options, split, list(imagenet_names()), pairs)


def read_subset(reader: Reader, options: ReadOptions) -> Dataset:
    """Read a set in class folders named by WordNet id; its folders are its classes.

    Args:
        reader: The reader.
        options: What is asked of it.

    Returns:
        The data set.
    """
    split = reader.choose_split(options.split)
    below = first_folder(options.root, (reader.name, "sketch"))
    folders = [name for name in subfolders(options.root / below) if WORDNET_ID.fullmatch(name)]
    if not folders or not any(image_names(options.root / below / folders[0])):
        raise reader.missing(f"no class folders (n01440764, ...) in {options.root / below}")
    return _imagenet(reader, options, split, folders, folder_pairs(options.root, folders, below))


IMAGENETS = (
    Reader.known("imagenet", read_validation),
    Reader.known("imagenet-v2", read_numbered),
    *(Reader.known(f"imagenet-{name}", read_subset) for name in ("r", "sketch", "a")),
)

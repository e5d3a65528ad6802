"""Six data sets of the WCA and CLIP papers, read in the layouts in which they were published."""

from __future__ import annotations

import re
from collections.abc import Iterator

from crossalign.evaluation.datasets.base import (
    Ask,
    Dataset,
    Reader,
    folder_pairs,
    lines,
    listed,
    subfolders,
)
from crossalign.texts.descriptions import wordify


def read_cub(reader: Reader, ask: Ask) -> Dataset:
    """Read CUB-200-2011.

    Args:
        reader: The reader.
        ask: What is asked of it.

    Returns:
        The data set.
    """
    split = reader.choose_split(ask.split)
    classes = [words[1] for words in lines(reader, ask.root, "classes.txt")]
    wanted = {"test": "0", "train": "1"}[split]
    part = {
        words[0] for words in lines(reader, ask.root, "train_test_split.txt") if words[1] == wanted
    }
    label = {
        words[0]: int(words[1]) - 1 for words in lines(reader, ask.root, "image_class_labels.txt")
    }
    images = [words for words in lines(reader, ask.root, "images.txt") if words[0] in part]

    def pairs() -> Iterator[tuple[str, int]]:
        for number, path in images:
            yield f"images/{path}", label[number]

    names = [wordify(name.partition(".")[2]) for name in classes]
    return listed(reader, ask, split, classes, names, pairs)


def read_pets(reader: Reader, ask: Ask) -> Dataset:
    """Read Oxford-IIIT Pet.

    Args:
        reader: The reader.
        ask: What is asked of it.

    Returns:
        The data set.
    """
    split = reader.choose_split(ask.split)
    images = lines(reader, ask.root, f"annotations/{split}.txt")
    ids = {int(words[1]) - 1: words[0].rpartition("_")[0] for words in images}
    classes = [ids[number] for number in sorted(ids)]
    index = {number: place for place, number in enumerate(sorted(ids))}

    def pairs() -> Iterator[tuple[str, int]]:
        for name, number, *_ in images:
            yield f"images/{name}.jpg", index[int(number) - 1]

    return listed(reader, ask, split, classes, [wordify(name) for name in classes], pairs)


def read_dtd(reader: Reader, ask: Ask) -> Dataset:
    """Read the Describable Textures Dataset, one of its ten partitions (``test1`` to ``test10``).

    Args:
        reader: The reader.
        ask: What is asked of it.

    Returns:
        The data set.
    """
    split = reader.choose_split(ask.split)
    paths = [words[0] for words in lines(reader, ask.root, f"labels/{split}.txt")]
    classes = sorted({path.partition("/")[0] for path in paths})

    def pairs() -> Iterator[tuple[str, int]]:
        for path in paths:
            yield f"images/{path}", classes.index(path.partition("/")[0])

    return listed(reader, ask, split, classes, classes, pairs)


def read_food(reader: Reader, ask: Ask) -> Dataset:
    """Read Food-101.

    Args:
        reader: The reader.
        ask: What is asked of it.

    Returns:
        The data set.
    """
    split = reader.choose_split(ask.split)
    paths = [words[0] for words in lines(reader, ask.root, f"meta/{split}.txt")]
    classes = [words[0] for words in lines(reader, ask.root, "meta/classes.txt")]
    index = {name: place for place, name in enumerate(classes)}

    def pairs() -> Iterator[tuple[str, int]]:
        for path in paths:
            yield f"images/{path}.jpg", index[path.partition("/")[0]]

    return listed(reader, ask, split, classes, [wordify(name) for name in classes], pairs)


def read_places(reader: Reader, ask: Ask) -> Dataset:
    """Read the validation images of Places365, large or small.

    Args:
        reader: The reader.
        ask: What is asked of it.

    Returns:
        The data set.
    """
    split = reader.choose_split(ask.split)
    rows = sorted(
        (int(words[1]), words[0]) for words in lines(reader, ask.root, "categories_places365.txt")
    )
    classes = [name for _, name in rows]
    images = lines(reader, ask.root, "places365_val.txt")
    below = next(
        (name for name in ("val_256", "val_large", "val") if (ask.root / name).is_dir()), "val_256"
    )

    def pairs() -> Iterator[tuple[str, int]]:
        for name, number in images:
            yield f"{below}/{name}", int(number)

    return listed(reader, ask, split, classes, [_place_name(name) for name in classes], pairs)


def _place_name(category: str) -> str:
    """Turn ``/a/apartment_building/outdoor`` into ``apartment building outdoor``."""
    return wordify(" ".join(category.strip("/").split("/")[1:]))


def read_eurosat(reader: Reader, ask: Ask) -> Dataset:
    """Read EuroSAT in RGB; it has no published split.

    Args:
        reader: The reader.
        ask: What is asked of it.

    Returns:
        The data set.
    """
    split = reader.choose_split(ask.split)
    below = next((name for name in ("EuroSAT_RGB", "2750") if (ask.root / name).is_dir()), "")
    folders = subfolders(ask.root / below)
    if not folders:
        raise reader.missing(f"no class folders in {ask.root / below}")
    names = [_EUROSAT_NAMES.get(folder, _spaced(folder)) for folder in folders]
    return listed(reader, ask, split, folders, names, folder_pairs(ask.root, folders, below))


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


# As in the CLIP repository's list of prompts (Radford et al., ICML 2021; MIT licence).
_EUROSAT_NAMES = {
    "AnnualCrop": "annual crop land",
    "Forest": "forest",
    "HerbaceousVegetation": "brushland or shrubland",
    "Highway": "highway or road",
    "Industrial": "industrial buildings or commercial buildings",
    "Pasture": "pasture land",
    "PermanentCrop": "permanent crop land",
    "Residential": "residential buildings or homes or apartments",
    "River": "river",
    "SeaLake": "lake or sea",
}

# Templates as the CLIP repository lists them; that of CUB is the one it has for another set of
# birds, and those of Places365 follow its pattern, as published WCA has them.
PUBLISHED = (
    Reader(
        name="cub",
        title="Caltech-UCSD Birds 200-2011 (Wah et al., 2011)",
        layout="classes.txt, images.txt, image_class_labels.txt, train_test_split.txt and "
        "images/<class>/*.jpg",
        source="the CUB-200-2011 project (CUB_200_2011.tgz)",
        read=read_cub,
        expected={"test": (200, 5794), "train": (200, 5994)},
        templates=("a photo of a {}, a type of bird.",),
    ),
    Reader(
        name="pets",
        title="Oxford-IIIT Pet (Parkhi et al., 2012)",
        layout="annotations/test.txt (and trainval.txt) and images/*.jpg",
        source="the Oxford-IIIT Pet project of the Visual Geometry Group (images.tar.gz, "
        "annotations.tar.gz)",
        read=read_pets,
        expected={"test": (37, 3669), "trainval": (37, 3680)},
        templates=("a photo of a {}, a type of pet.",),
    ),
    Reader(
        name="dtd",
        title="Describable Textures Dataset (Cimpoi et al., 2014)",
        layout="labels/test1.txt and images/<class>/*.jpg",
        source="the DTD project of the Visual Geometry Group (dtd-r1.0.1.tar.gz)",
        read=read_dtd,
        expected={
            f"{part}{number}": (47, 1880)
            for part in ("test", "val", "train")
            for number in range(1, 11)
        },
        templates=tuple(
            f"a photo of {article} {{}} {thing}."
            for article in ("a", "the")
            for thing in ("texture", "pattern", "thing", "object")
        ),
    ),
    Reader(
        name="food101",
        title="Food-101 (Bossard et al., 2014)",
        layout="meta/test.txt, meta/classes.txt and images/<class>/*.jpg",
        source="the Food-101 project of ETH Zürich (food-101.tar.gz)",
        read=read_food,
        expected={"test": (101, 25_250), "train": (101, 75_750)},
        templates=("a photo of {}, a type of food.",),
    ),
    Reader(
        name="places365",
        title="Places365, validation (Zhou et al., 2017)",
        layout="categories_places365.txt, places365_val.txt and val_256/*.jpg (or val_large)",
        source="the Places2 project of MIT CSAIL (val_256.tar, filelist_places365-standard.tar)",
        read=read_places,
        expected={"val": (365, 36_500)},
        templates=("a photo of a {}, a type of place.", "a photo of the {}, a type of place."),
    ),
    Reader(
        name="eurosat",
        title="EuroSAT, RGB (Helber et al., 2019)",
        layout="2750/<class>/*.jpg (or EuroSAT_RGB/<class>/*.jpg)",
        source="the EuroSAT project of phelber (EuroSAT.zip)",
        read=read_eurosat,
        expected={"all": (10, 27_000)},
        templates=(
            "a centered satellite photo of {}.",
            "a centered satellite photo of a {}.",
            "a centered satellite photo of the {}.",
        ),
    ),
)

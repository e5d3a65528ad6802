"""Any folder of class folders, with the splits and label files that are common around them."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

from crossalign.errors import EvaluationError
from crossalign.evaluation.datasets.base import (
    Ask,
    Dataset,
    Reader,
    folder_pairs,
    image_names,
    listed,
    subfolders,
)
from crossalign.evaluation.datasets.lists import Names, read_names, read_text
from crossalign.images import has_image_ending
from crossalign.texts.descriptions import wordify
from crossalign.utils.text import counted, quoted

SPLITS = ("test", "val", "validation", "valid", "dev", "train")
"""Names of folders that are taken for splits, the usual choice first."""

_METADATA = ("metadata.csv", "metadata.jsonl")
_SHOWN = 5  # folders in a message


def read_folders(reader: Reader, ask: Ask) -> Dataset:
    """Read class folders, or images listed in a ``metadata`` file.

    The classes are those of ``classes.csv`` (``folder,class_name``) if there is one, in its order;
    a class without photos is still one to choose among. Otherwise each folder with images is a
    class, and the others are left out with a note.

    Args:
        reader: The reader.
        ask: What is asked of it.

    Returns:
        The data set.
    """
    if not ask.root.is_dir():
        raise reader.missing(f"{ask.root} is not a folder")
    below = _split_folder(reader, ask)
    split = below or "all"
    metadata = _metadata(ask.root / below)
    if metadata is not None:
        return _from_metadata(reader, ask, split, below, metadata)
    folders = subfolders(ask.root / below)
    tables = (ask.root / below / "classes.csv", ask.root / "classes.csv")
    table = next((path for path in tables if path.is_file()), None)
    own: Names | None = None
    if table is not None:
        own = read_names(table)
        strange = [folder for folder in folders if folder not in own.by_id]
        if strange:
            raise EvaluationError(
                f"{table}: expected a line for every class folder; there is none for "
                f"{', '.join(map(repr, strange[:3]))} ({len(strange)} in all). Add them, or move "
                "these folders away."
            )
        folders = list(own.by_id)
    notes = _beside(ask, below)
    if own is None and not _named_all(ask.names, folders):
        empty = [name for name in folders if not any(image_names(ask.root / below / name))]
        folders = [folder for folder in folders if folder not in set(empty)]
        if empty:
            notes.append(
                f"{ask.root / below}: no image in {quoted(empty, _SHOWN)}, so not taken for a "
                "class; a classes.csv (folder,class_name) says which folders are"
            )
    loose = sum(
        has_image_ending(path) and not path.name.startswith(".")
        for path in (ask.root / below).iterdir()
        if path.is_file()
    )
    if loose:
        left = f"{counted(loose, 'image')} beside the class folders left out"
        notes.append(f"{ask.root / below}: {left}")
    if not folders:
        raise reader.missing(f"no class folders with images in {ask.root / below}")
    names = own.ordered if own is not None else [wordify(folder) for folder in folders]
    found = listed(reader, ask, split, folders, names, folder_pairs(ask.root, folders, below))
    return dataclasses.replace(found, notes=tuple(notes))


def _split_folder(reader: Reader, ask: Ask) -> str:
    """Find the folder of the split below the root; empty where there are no splits."""
    found = [name for name in SPLITS if (ask.root / name).is_dir()]
    if ask.split is not None:
        if not (ask.root / ask.split).is_dir():
            raise reader.missing(
                f"no folder for the split '{ask.split}' in {ask.root}, which has "
                f"{', '.join(found) or 'none'}"
            )
        return ask.split
    if not found or ((ask.root / "classes.csv").is_file() and _are_classes(ask.root, found)):
        return ""
    # A class may be called "test": then the images lie in it, and in a split they lie deeper.
    splits = [name for name in found if _is_split(ask.root / name)]
    others = [name for name in class_folders(ask.root) if name not in splits]
    if splits and others:
        raise EvaluationError(
            f"{ask.root} can be read in two ways: '{splits[0]}' is laid out as a split, and beside "
            f"it '{others[0]}' holds images. Give the folder of the split itself, "
            f"{ask.root / splits[0]}, or add a classes.csv (folder,class_name) that says which "
            "folders are classes."
        )
    return splits[0] if splits else ""


def _is_split(folder: Path) -> bool:
    described = any((folder / name).is_file() for name in _METADATA)
    direct = any(map(has_image_ending, folder.iterdir()))
    return described or (not direct and any(image_names(folder)))


def _are_classes(root: Path, folders: list[str]) -> bool:
    return any(name in read_names(root / "classes.csv").by_id for name in folders)


def class_folders(folder: Path) -> list[str]:
    """List the folders below one in which images lie, as in class folders.

    Args:
        folder: Where to look, one level deep.

    Returns:
        Sorted names.
    """
    return [
        name for name in subfolders(folder) if any(map(has_image_ending, (folder / name).iterdir()))
    ]


def _named_all(names: Names | None, folders: list[str]) -> bool:
    """Tell whether names given by hand are for all folders, the empty ones included."""
    if names is None:
        return False
    if names.by_id or names.by_name:
        return bool(names.by_id) and all(folder in names.by_id for folder in folders)
    return len(names.ordered) == len(folders)


def _beside(ask: Ask, below: str) -> list[str]:
    """Say which folders beside the splits are left out."""
    if not below:
        return []
    others = [name for name in subfolders(ask.root) if name not in (*SPLITS, below)]
    return [f"{ask.root}: {quoted(others, _SHOWN)} left out, beside the splits"] if others else []


def _metadata(folder: Path) -> list[dict[str, str]] | None:
    """Read the metadata file of an image folder, as Hugging Face lays it out."""
    table, stream = (folder / name for name in _METADATA)
    if table.is_file():
        rows = list(csv.DictReader(read_text(table).splitlines()))
    elif stream.is_file():
        try:
            rows = [json.loads(line) for line in read_text(stream).splitlines() if line.strip()]
        except ValueError as error:
            raise EvaluationError(f"{stream}: expected JSON on every line ({error}).") from error
    else:
        return None
    path = table if table.is_file() else stream
    if not rows or not all("file_name" in row and "label" in row for row in rows):
        raise EvaluationError(f"{path}: expected file_name and label for every image.")
    return rows


def _from_metadata(
    reader: Reader, ask: Ask, split: str, below: str, rows: list[dict[str, str]]
) -> Dataset:
    ids = sorted({str(row["label"]) for row in rows})
    index = {name: place for place, name in enumerate(ids)}
    prefix = f"{below}/" if below else ""

    def pairs() -> Iterator[tuple[str, int]]:
        for row in rows:
            yield prefix + row["file_name"], index[str(row["label"])]

    return listed(reader, ask, split, ids, [wordify(name) for name in ids], pairs)


FOLDERS = Reader.known("folders", read_folders)

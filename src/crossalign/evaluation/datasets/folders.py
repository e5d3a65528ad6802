"""Any folder of class folders, with the splits and label files that are common around them."""

from __future__ import annotations

import csv
import dataclasses
import json
import posixpath
from pathlib import Path

from crossalign.errors import EvaluationError
from crossalign.evaluation.datasets.base import (
    Dataset,
    Reader,
    ReadOptions,
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

_TABLE = "classes.csv"
_METADATA = ("metadata.csv", "metadata.jsonl")
_MOST_NAMES = 5  # folders in a message


def read_folders(reader: Reader, options: ReadOptions) -> Dataset:
    """Read class folders, or images listed in a ``metadata`` file.

    The classes are those of ``classes.csv`` (``folder,class_name``) if there is one, in its order;
    a class without photos is still one to choose among. Otherwise each folder with images is a
    class, and the others are left out with a note.

    Args:
        reader: The reader.
        options: What is asked of it.

    Returns:
        The data set.
    """
    root = options.root
    if not root.is_dir():
        raise reader.missing(f"{root} is not a folder")
    below = _split_folder(reader, options)
    split, home = below or "all", root / below
    metadata = _metadata(home)
    if metadata is not None:
        return _from_metadata(reader, options, split, below, metadata)
    folders, notes = subfolders(home), _beside(root, below)
    table = next((file for file in (home / _TABLE, root / _TABLE) if file.is_file()), None)
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
    elif not _named_all(options.names, folders):
        empty = [folder for folder in folders if not any(image_names(home / folder))]
        folders = [folder for folder in folders if folder not in set(empty)]
        if empty:
            notes.append(
                f"{home}: no image in {quoted(empty, _MOST_NAMES)}, so not taken for a class; a "
                f"{_TABLE} (folder,class_name) says which folders are"
            )
    files = (path for path in home.iterdir() if path.is_file() and path.name[0] != ".")
    if loose := sum(map(has_image_ending, files)):
        notes.append(f"{home}: {counted(loose, 'image')} beside the class folders left out")
    if not folders:
        raise reader.missing(f"no class folders with images in {home}")
    names = own.ordered if own is not None else [wordify(folder) for folder in folders]
    found = listed(reader, options, split, folders, names, folder_pairs(root, folders, below))
    return dataclasses.replace(found, notes=tuple(notes))


def _split_folder(reader: Reader, options: ReadOptions) -> str:
    """Find the folder of the split below the root; empty where there are no splits."""
    root, split = options.root, options.split
    found = [name for name in SPLITS if (root / name).is_dir()]
    if split is not None:
        if not (root / split).is_dir():
            raise reader.missing(
                f"no folder for the split '{split}' in {root}, which has "
                f"{', '.join(found) or 'none'}"
            )
        return split
    table = read_names(root / _TABLE).by_id if found and (root / _TABLE).is_file() else {}
    if not found or not table.keys().isdisjoint(found):
        return ""
    # A class may be called "test": then the images lie in it, and in a split they lie deeper.
    splits = [name for name in found if _is_split(root / name)]
    others = [name for name in class_folders(root) if name not in splits]
    if splits and others:
        raise EvaluationError(
            f"{root} can be read in two ways: '{splits[0]}' is laid out as a split, and beside "
            f"it '{others[0]}' holds images. Give the folder of the split itself, "
            f"{root / splits[0]}, or add a {_TABLE} (folder,class_name) that says which folders "
            "are classes."
        )
    return splits[0] if splits else ""


def _is_split(folder: Path) -> bool:
    described = any((folder / name).is_file() for name in _METADATA)
    direct = any(map(has_image_ending, folder.iterdir()))
    return described or (not direct and any(image_names(folder)))


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


def _beside(root: Path, below: str) -> list[str]:
    """Say which folders beside the splits are left out."""
    others = [name for name in subfolders(root) if name not in (*SPLITS, below)] if below else []
    text = f"{root}: {quoted(others, _MOST_NAMES)} left out, beside the splits"
    return [text] if others else []


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
    reader: Reader, options: ReadOptions, split: str, below: str, rows: list[dict[str, str]]
) -> Dataset:
    ids = sorted({str(row["label"]) for row in rows})
    index = {name: place for place, name in enumerate(ids)}
    pairs = [(posixpath.join(below, row["file_name"]), index[str(row["label"])]) for row in rows]
    names = [wordify(name) for name in ids]
    return listed(reader, options, split, ids, names, lambda: pairs)


FOLDERS = Reader.known("folders", read_folders)

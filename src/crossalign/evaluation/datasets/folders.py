"""Any folder of class folders, with the splits and label files that are common around them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

from crossalign.descriptions import wordify
from crossalign.errors import EvaluationError
from crossalign.evaluation.datasets.base import (
    Ask,
    Dataset,
    Names,
    Reader,
    folder_pairs,
    listed,
    read_names,
    read_text,
    subfolders,
)

SPLITS = ("test", "val", "validation", "valid", "dev", "train")
"""Names of folders that are taken for splits, the usual choice first."""


def read_folders(reader: Reader, ask: Ask) -> Dataset:
    """Read class folders, or images listed in a ``metadata`` file.

    The classes are those of ``classes.csv`` (``folder,class_name``) if there is one, in its order;
    a class without photos is still one to choose among. Otherwise each folder is a class.

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
    table = next(
        (
            path
            for path in (ask.root / below / "classes.csv", ask.root / "classes.csv")
            if path.is_file()
        ),
        None,
    )
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
    if not folders:
        raise reader.missing(f"no class folders in {ask.root / below}")
    names = own.ordered if own is not None else [wordify(folder) for folder in folders]
    return listed(reader, ask, split, folders, names, folder_pairs(ask.root, folders, below))


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
    # A class may be called "test"; splits are splits where there is nothing but splits.
    return found[0] if found and set(subfolders(ask.root)) == set(found) else ""


def _metadata(folder: Path) -> list[dict[str, str]] | None:
    """Read the metadata file of an image folder, as Hugging Face lays it out."""
    table, stream = folder / "metadata.csv", folder / "metadata.jsonl"
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


FOLDERS = Reader(
    name="folders",
    title="A folder of class folders",
    layout="<class>/<image> or <split>/<class>/<image>, with or without classes.csv "
    "(folder,class_name); or images beside a metadata.csv or metadata.jsonl (file_name, label)",
    source="your own photos, or a Hugging Face image folder",
    read=read_folders,
)

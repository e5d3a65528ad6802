"""Photos that people have labelled, for calibration."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from crossalign.errors import CalibrationError
from crossalign.labeling.sources import open_source
from crossalign.labeling.tables import PATH_COLUMNS, known_column, open_csv
from crossalign.texts.validation import lookalike_key

LABEL_COLUMNS = ("label", "class", "class_name", "target")
"""Names that a column of labels goes by, in the order in which they are looked for."""


def labelled_photos(
    source: str | os.PathLike[str], classes: tuple[str, ...]
) -> list[tuple[str, int]]:
    """Read photos and what they show.

    Args:
        source: A folder of class folders, named like the classes or as its ``classes.csv``
            (``folder,class_name``) says; or a ``.csv`` table with a column of paths, relative to
            its folder, and one of labels.
        classes: The class names.

    Returns:
        Path and index of the class in ``classes``, in order.

    Raises:
        CalibrationError: If there are none, or a label is not a class.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as name:
        ...     for label in ("tabby_cat", "pug"):
        ...         Path(name, label).mkdir()
        ...         _ = Path(name, label, "1.jpg").write_bytes(b"...")
        ...     [index for _, index in labelled_photos(name, ("pug", "tabby cat"))]
        [0, 1]
    """
    path = Path(source)
    if not path.exists():
        raise CalibrationError(
            f"there is no {path}: expected a folder of class folders, or a .csv table with columns "
            "path and label. Check the path."
        )
    numbers = {lookalike_key(name): index for index, name in enumerate(classes)}
    found = list(_from_folders(path, numbers) if path.is_dir() else _from_table(path, numbers))
    if not found:
        raise CalibrationError(
            f"there are no labelled photos in {path}: expected a folder with a folder of photos "
            "for each class, or a table with columns path and label."
        )
    return found


def _from_folders(path: Path, numbers: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    names: dict[str, str] = {}
    if (path / "classes.csv").is_file():
        with open_csv(path / "classes.csv") as rows:
            named = [(row.get("folder"), row.get("class_name")) for row in rows]
        names = {folder: name for folder, name in named if folder and name}
    for folder in sorted(item for item in path.iterdir() if item.is_dir()):
        if folder.name.startswith("."):
            continue
        index = _index(names.get(folder.name, folder.name), numbers, f"the folder {folder}")
        for entry in open_source(folder).entries():
            yield entry.path, index


def _from_table(path: Path, numbers: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    if path.suffix.lower() != ".csv":
        raise CalibrationError(
            f"expected a folder of class folders or a .csv table of labelled photos; got {path}."
        )
    with open_csv(path) as rows:
        columns = rows.fieldnames or ()
        image = known_column(columns, None, PATH_COLUMNS)
        label = known_column(columns, None, LABEL_COLUMNS)
        if image is None or label is None:
            raise CalibrationError(
                f"expected columns path and label in {path}; it has {', '.join(columns)}."
            )
        for number, row in enumerate(rows, start=2):
            where = f"line {number} of {path}"
            yield str(path.parent / row[image]), _index(row[label] or "", numbers, where)


def _index(name: str, numbers: Mapping[str, int], where: str) -> int:
    index = numbers.get(lookalike_key(name))
    if index is None:
        raise CalibrationError(
            f"{where} is labelled {name!r}, which is none of the {len(numbers)} classes. Labels "
            "are compared without regard to case and underscores."
        )
    return index

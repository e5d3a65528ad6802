"""Reading tables: which column holds the images, and what stands between columns."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from crossalign.errors import LabelingError, import_extra
from crossalign.images import has_image_ending
from crossalign.utils.files import failing_as

PATH_COLUMNS = ("path", "image", "file", "filename", "file_name", "filepath", "image_path")
"""Names that a column of paths goes by, in the order in which they are looked for."""

BYTES_COLUMNS = ("bytes", "image_bytes", "image", "jpg", "data")
"""Names that a column of image files goes by."""

# One cell may be a data set's longest caption; the module's own limit, 128 KiB, is for no reason.
_MOST_CELL = 2**24


@contextmanager
def open_csv(path: Path, delimiter: str = ",") -> Iterator[csv.DictReader[str]]:
    """Read a table.

    Args:
        path: The table.
        delimiter: What stands between columns.

    Yields:
        Its rows, by the names of the columns.

    Raises:
        LabelingError: If it cannot be read.
    """
    before = csv.field_size_limit(_MOST_CELL)
    try:
        with open_list(path, newline="") as lines:
            yield csv.DictReader(lines, delimiter=delimiter)
    except csv.Error as error:
        raise LabelingError(f"{path} is not a table that can be read: {error}.") from error
    finally:
        csv.field_size_limit(before)


def csv_column(path: Path, column: str | None) -> tuple[str, str]:
    """Find the column of paths, and with it what stands between columns.

    It is a comma, a semicolon where spreadsheets use the comma for decimals, or a tab: the first
    with which the column is there.

    Args:
        path: The table.
        column: The name that was asked for; None for one of the usual ones.

    Returns:
        What stands between columns, and the column's name.

    Raises:
        LabelingError: If there is no such column.
    """
    heads = {}
    for delimiter in "\t" if path.suffix.lower() == ".tsv" else ",;\t|":
        with open_csv(path, delimiter) as rows:
            heads[delimiter] = list(rows.fieldnames or ())
    for delimiter, names in heads.items():
        if (found := known_column(names, column, PATH_COLUMNS)) is not None:
            return delimiter, found
    delimiter = max(heads, key=lambda one: len(heads[one]))
    name = column_of(path, heads[delimiter], column, PATH_COLUMNS)
    if has_image_ending(name):
        raise LabelingError(
            f"expected the names of columns in the first line of {path}; it has the image "
            f"{name!r}. Put a line with {PATH_COLUMNS[0]} before it, or call the file .txt."
        )
    return delimiter, name


def known_column(names: Sequence[str], wanted: str | None, usual: Sequence[str]) -> str | None:
    """Find a column.

    Args:
        names: The table's columns.
        wanted: The name that was asked for.
        usual: Names to look for otherwise.

    Returns:
        The column that was asked for, or the first of the usual ones; None if it is not there.
    """
    return next((name for name in ((wanted,) if wanted else usual) if name in names), None)


def column_of(path: Path, names: Sequence[str], wanted: str | None, usual: tuple[str, ...]) -> str:
    """Choose the column of images.

    Args:
        path: The table, for messages.
        names: Its columns.
        wanted: The name that was asked for.
        usual: Names to look for otherwise.

    Returns:
        The column; the only one, whatever its name, if there is one.

    Raises:
        LabelingError: If there is no such column.
    """
    known = known_column(names, wanted, usual)
    if known is not None:
        return known
    if wanted is None and len(names) == 1:
        return names[0]
    raise LabelingError(
        f"expected a column {repr(wanted) if wanted else 'of ' + ' or '.join(usual[:3])} in "
        f"{path}; it has {', '.join(map(repr, names)) or 'none'}. Name the column of images "
        "(--column NAME)."
    )


def open_list(path: Path, newline: str | None = None) -> TextIO:
    """Open a list; names of files in it need not be valid text and come through as they are.

    Args:
        path: The list.
        newline: As in ``open``.

    Returns:
        The file.

    Raises:
        LabelingError: If it cannot be read.
    """
    with failing_as(LabelingError, f"{path} cannot be read: "):
        return path.open(encoding="utf-8-sig", errors="surrogateescape", newline=newline)


def pyarrow(feature: str = "parquet", extra: str = "parquet") -> tuple[Any, Any]:
    """Import pyarrow.

    Args:
        feature: Who needs it.
        extra: The extra that brings it.

    Returns:
        ``pyarrow`` and ``pyarrow.parquet``.

    Raises:
        MissingExtraError: If it is not installed.
    """
    pa = import_extra("pyarrow", feature, extra)
    return pa, import_extra("pyarrow.parquet", feature, extra)

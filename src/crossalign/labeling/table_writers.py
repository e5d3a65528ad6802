"""Tables: CSV, JSON lines and parquet, one row an image, written whole or not at all."""

from __future__ import annotations

import csv
import itertools
import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from crossalign.errors import LabelingError, import_extra
from crossalign.labeling.decisions import COLUMNS, Row
from crossalign.utils.files import open_text, whole_file

_ROWS_PER_GROUP = 4096


def check_table(path: Path) -> None:
    """Raise if a table cannot be written there, before any work is done.

    Args:
        path: The file; its ending says the format.

    Raises:
        LabelingError: If the ending is not known, or the place cannot be written.
        MissingExtraError: If the format needs what is not installed.
    """
    ending = path.suffix.lower()
    if ending not in _WRITERS:
        raise LabelingError(
            f"expected an output that ends in {', '.join(_WRITERS)}; got {path.name!r}."
        )
    if ending == ".parquet":
        pyarrow()
    if path.is_dir():
        raise LabelingError(f"cannot write {path}: a folder of that name is in the way.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise LabelingError(
            f"cannot write to {path.parent}: {error.strerror}. Check its rights and whether there "
            "is room, or choose another output."
        ) from error


def write_table(
    path: Path,
    rows: Iterable[Row],
    *,
    several: bool = False,
    on_whole: Callable[[Path], None] | None = None,
) -> None:
    """Write a table; one of that name is replaced whole or not at all.

    Args:
        path: The file; its ending says the format.
        rows: Its rows, taken one at a time.
        several: Whether decisions are lists of labels.
        on_whole: Called with the complete file before it takes its place.

    Raises:
        LabelingError: If it cannot be written.
    """
    try:
        with whole_file(path) as unfinished:
            _WRITERS[path.suffix.lower()](unfinished, rows, several)
            if on_whole is not None:
                on_whole(unfinished)
    except OSError as error:
        raise LabelingError(
            f"cannot write {path}: {error.strerror or error}. The labels are kept beside it, in "
            f"{path.name}.job: make room or mend the rights, and run the same command again; "
            "nothing is labelled twice."
        ) from error


def _csv(path: Path, rows: Iterable[Row], _several: bool) -> None:
    with open_text(path, newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(COLUMNS)
        for row in rows:
            table.writerow([_cell(value) for value in row.to_dict().values()])


def _cell(value: Any) -> Any:
    # Lists as JSON: a class name may hold any separator.
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


def _jsonl(path: Path, rows: Iterable[Row], _several: bool) -> None:
    with open_text(path) as stream:
        for row in rows:
            stream.write(json.dumps(row.to_dict(), ensure_ascii=False) + "\n")


def _parquet(path: Path, rows: Iterable[Row], several: bool) -> None:
    pa, parquet = pyarrow()
    schema = _schema(pa, several)
    iterator = iter(rows)
    with parquet.ParquetWriter(path, schema) as table:
        while group := list(itertools.islice(iterator, _ROWS_PER_GROUP)):
            values = [_for_arrow(row) for row in group]
            table.write_table(pa.Table.from_pylist(values, schema=schema))


def _schema(pa: Any, several: bool) -> Any:
    kinds = {
        **dict.fromkeys(("width", "height"), pa.int32()),
        **dict.fromkeys(("score", "margin", "confidence"), pa.float64()),
        "decision": pa.list_(pa.string()) if several else pa.string(),
        "top": pa.list_(pa.struct([("class", pa.string()), ("score", pa.float64())])),
    }
    return pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])


def _for_arrow(row: Row) -> dict[str, Any]:
    values = row.to_dict()
    for name in ("path", "error"):  # which may hold a file name that is not valid text
        if values[name] is not None:
            values[name] = values[name].encode("utf-8", "backslashreplace").decode()
    if row.top is not None:
        values["top"] = [{"class": name, "score": score} for name, score in row.top]
    return values


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


_WRITERS: dict[str, Callable[[Path, Iterable[Row], bool], None]] = {
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
}

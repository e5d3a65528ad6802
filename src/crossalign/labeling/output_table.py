"""The table of a job: CSV, JSON lines or parquet, one row an image, written whole or not at all.

It replaces what the job wrote itself, and no other file.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from crossalign.errors import LabelingError
from crossalign.labeling.decisions import COLUMNS, Decisions, Row
from crossalign.labeling.job_file import JobFile
from crossalign.labeling.ownership import check_writable, is_source
from crossalign.labeling.sources import Source
from crossalign.labeling.tables import pyarrow
from crossalign.utils.files import failing_as, file_digest, open_text, whole_file

_ROWS_PER_GROUP = 4096


def job_path(out: str | os.PathLike[str]) -> Path:
    """Name the job file of an output.

    Args:
        out: The table.

    Returns:
        The file beside it.
    """
    path = Path(out)
    return path.with_name(f"{path.name}.job")


def check_output(out: str | os.PathLike[str], source: Source) -> None:
    """Raise if a table cannot be written, or would replace the source or what no job wrote.

    Args:
        out: The table; its ending says the format. Its folder is made.
        source: The source.

    Raises:
        LabelingError: If it cannot, or would.
        MissingExtraError: If the format needs what is not installed.
    """
    table = Path(out)
    ending = table.suffix.lower()
    if ending not in _WRITERS:
        raise LabelingError(
            f"expected an output that ends in {', '.join(_WRITERS)}; got {table.name!r}."
        )
    if ending == ".parquet":
        pyarrow()
    if table.is_dir():
        raise LabelingError(f"cannot write {table}: a folder of that name is in the way.")
    check_writable(table.parent)
    if is_source(table, source):
        raise LabelingError(
            f"{table} is what the images are read from, and would be overwritten. Choose another "
            "output."
        )
    if os.path.lexists(table) and not job_path(table).exists():
        raise LabelingError(
            f"{table} is there already, and was not written by a job: {job_path(table).name} is "
            "not beside it. It is left as it is. Choose another output, or move it aside."
        )
    table.parent.mkdir(parents=True, exist_ok=True)


def write_rows(out: str | os.PathLike[str], job: JobFile, decisions: Decisions) -> None:
    """Write a job's table, unless one is there that it did not write.

    Args:
        out: The table.
        job: The job, which remembers the table as its own.
        decisions: How scores became decisions.

    Raises:
        LabelingError: If it cannot be written, or something else is in its place.
    """
    table = Path(out)
    check_ours(table, job)
    # Noted before it is in its place: a kill in between must not make it a stranger.
    note = lambda whole: job.note_file(file_digest(whole))  # noqa: E731
    write_table(table, job.rows(), several=decisions.multi_label, on_whole=note)


def check_ours(table: Path, job: JobFile) -> None:
    """Raise if a file is there that a job did not write, or that was changed afterwards.

    Args:
        table: The job's table.
        job: The job.

    Raises:
        LabelingError: If there is; it is left as it is.
    """
    if os.path.lexists(table) and not (table.is_file() and job.wrote_file(file_digest(table))):
        raise LabelingError(
            f"{table} is not as this job wrote it: it was changed since, or comes from elsewhere. "
            "It is left as it is, and so are the job's labels. Move it aside and run the same "
            "command again, or choose another output."
        )


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
    remedy = (
        f". The labels are kept beside it, in {path.name}.job: make room or mend the rights, and "
        "run the same command again; nothing is labelled twice."
    )
    with (
        failing_as(LabelingError, f"cannot write {path}: ", remedy),
        whole_file(path) as unfinished,
    ):
        _WRITERS[path.suffix.lower()](unfinished, rows, several)
        if on_whole is not None:
            on_whole(unfinished)


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


_WRITERS: dict[str, Callable[[Path, Iterable[Row], bool], None]] = {
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
}

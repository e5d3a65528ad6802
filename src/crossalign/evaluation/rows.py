"""Per-image predictions as files, and two such files side by side."""

from __future__ import annotations

import csv
import itertools
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from crossalign.errors import EvaluationError, MissingExtraError
from crossalign.evaluation.request import crops_in_run
from crossalign.evaluation.run import Setup, Walk

COLUMNS = ("encoder", "method", "run", "seed", "image", "class_id", "class", "predicted", "rank",
           "score", "confidence", "margin", "crops", "content", "error")  # fmt: skip
_ROWS_PER_GROUP = 10_000

Row: TypeAlias = dict[str, str]
"""A row of a CSV file of predictions, by column."""


def _rows(setup: Setup, walks: Sequence[Walk]) -> Iterator[tuple[Any, ...]]:
    """Give the per-image predictions of all passes, a row an image and run."""
    names, ids = setup.roster.names, setup.dataset.class_ids
    numbers: dict[tuple[str, str], int] = {}
    for one in walks:
        step = one.step
        fixed = crops_in_run(step.method, setup.request)
        start = numbers.get((step.model, step.method.name), 0)
        numbers[step.model, step.method.name] = start + step.runs
        for outcome in one.journal:
            for run in range(step.runs):
                head = (step.model, step.method.name, start + run, step.seed, outcome.key,
                        ids[outcome.label], names[outcome.label])  # fmt: skip
                if outcome.error is not None:
                    yield (*head, *[None] * 6, outcome.content, outcome.error)
                    continue
                yield (
                    *head,
                    names[outcome.predicted[run]],
                    outcome.rank[run],
                    outcome.score[run],
                    outcome.confidence[run],
                    outcome.margin[run],
                    fixed if outcome.crops is None else outcome.crops,
                    outcome.content,
                    None,
                )


def write_csv(setup: Setup, walks: Sequence[Walk], path: Path) -> None:
    """Write the predictions of all passes as CSV.

    Args:
        setup: What the passes have in common.
        walks: The passes.
        path: The file.
    """
    with path.open("w", encoding="utf-8", newline="", errors="backslashreplace") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_rows(setup, walks))


def write_parquet(setup: Setup, walks: Sequence[Walk], path: Path) -> None:
    """Write the predictions of all passes as a parquet file.

    Args:
        setup: What the passes have in common.
        walks: The passes.
        path: The file.

    Raises:
        MissingExtraError: If pyarrow is not installed.
    """
    arrow, parquet = arrow_and_parquet()
    kinds = dict.fromkeys(COLUMNS, arrow.string())
    kinds.update(dict.fromkeys(("run", "seed", "rank", "crops"), arrow.int64()))
    kinds.update(dict.fromkeys(("score", "confidence", "margin"), arrow.float64()))
    schema = arrow.schema(kinds.items())
    with parquet.ParquetWriter(path, schema) as writer:
        part: list[dict[str, Any]] = []
        for row in _rows(setup, walks):
            part.append(dict(zip(COLUMNS, row, strict=True)))
            if len(part) == _ROWS_PER_GROUP:
                writer.write_table(arrow.Table.from_pylist(part, schema))
                part = []
        if part:
            writer.write_table(arrow.Table.from_pylist(part, schema))


def arrow_and_parquet() -> tuple[Any, Any]:
    """Import what writes parquet files.

    Returns:
        ``pyarrow`` and ``pyarrow.parquet``.

    Raises:
        MissingExtraError: If they are not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("writing parquet files", "pyarrow", "parquet") from error
    return pa, parquet


_NEEDED = {"encoder", "method", "run", "image", "class", "predicted", "score", "content"}


def read_csv(path: Path) -> Iterator[Row]:
    """Read a file of predictions, a row at a time.

    Args:
        path: The file.

    Yields:
        Its rows.

    Raises:
        EvaluationError: If it is none.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if not set(reader.fieldnames or ()) >= _NEEDED:
                raise EvaluationError(
                    f"{path}: expected predictions as `crossalign evaluate` writes them, with the "
                    f"columns {', '.join(sorted(_NEEDED))}."
                )
            for row in reader:
                if None in row.values():
                    raise EvaluationError(f"{path}: line {reader.line_num} is cut off.")
                yield row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise EvaluationError(f"{path}: the predictions cannot be read ({error}).") from error


def side_by_side(
    old: Iterable[Row],
    new: Iterable[Row],
    old_key: Callable[[Row], Hashable],
    new_key: Callable[[Row], Hashable],
) -> Iterator[tuple[Row | None, Row | None]]:
    """Pair the rows of two files that have the same key.

    Both are read in step, and only rows that wait for their like are in memory: few if both files
    are in nearly the same order, however long they are.

    Args:
        old: Rows of one file.
        new: Rows of the other.
        old_key: Names a row of the first.
        new_key: Names a row of the second.

    Yields:
        Pairs as they are found, then rows that one file has alone, with None for the other.

    Example:
        >>> old, new = [{"image": "a"}, {"image": "b"}], [{"image": "b"}]
        >>> def image(row):
        ...     return row["image"]
        >>> list(side_by_side(old, new, image, image))
        [({'image': 'b'}, {'image': 'b'}), ({'image': 'a'}, None)]
    """
    keys = old_key, new_key
    waiting: tuple[dict[Hashable, deque[Row]], ...] = ({}, {})
    for rows in itertools.zip_longest(old, new):
        for side, row in enumerate(rows):
            if row is None:
                continue
            key = keys[side](row)
            like = waiting[1 - side].get(key)
            if like is None:
                waiting[side].setdefault(key, deque()).append(row)
                continue
            other = like.popleft()
            if not like:
                del waiting[1 - side][key]
            yield (other, row) if side else (row, other)
    for row in itertools.chain.from_iterable(waiting[0].values()):
        yield row, None
    for row in itertools.chain.from_iterable(waiting[1].values()):
        yield None, row

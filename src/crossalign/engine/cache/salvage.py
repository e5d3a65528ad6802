"""What can still be read of a store's broken file, copied into a sound one, row by row."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

from crossalign.engine.cache.quantization import checksum

# Tables of numbered rows: their columns, the number first, and where the checked bytes begin,
# right behind their checksum. The index knows the numbers where the table itself is broken.
_ROWS = {
    "views": (("encoder", "layout", "content", "used", "checksum", "places", "data"), 6),
    "texts": (("encoder", "digest", "used", "checksum", "data"), 5),
}
_LAST = (
    "SELECT id FROM {table} ORDER BY id DESC LIMIT 1",
    "SELECT MAX(id) FROM {table} INDEXED BY {table}_by_use",
)


def salvage(broken: sqlite3.Connection, sound: sqlite3.Connection) -> int:
    """Copy what can be read and is as it was written.

    Args:
        broken: A store's file that SQLite can open, and cannot read everywhere.
        sound: A new store's file.

    Returns:
        Embeddings copied, in rows: the views of one picture, or one text.
    """
    sound.execute("BEGIN")
    for name, value in _both_ways(broken, "settings", "name"):
        sound.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (name, value))
    encoders = list(_both_ways(broken, "encoders", "id"))
    sound.executemany("INSERT OR IGNORE INTO encoders VALUES (?, ?)", encoders)
    known = {number for number, _ in encoders}
    kept = 0
    for table, (columns, first) in _ROWS.items():
        marks = ",".join("?" * len(columns))
        insert = f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608
        for row in _numbered(broken, table):
            if row[1] in known and _as_written(row, first):
                kept += sound.execute(insert, row[1:]).rowcount
    for row in _both_ways(broken, "files", "digest"):
        sound.execute("INSERT OR IGNORE INTO files VALUES (?, ?, ?, ?)", row)
    sound.execute("COMMIT")
    return kept


def _as_written(row: tuple[Any, ...], first: int) -> bool:
    data = row[first:]
    return all(isinstance(part, bytes) for part in data) and checksum(*data) == row[first - 1]


def _numbered(broken: sqlite3.Connection, table: str) -> Iterator[tuple[Any, ...]]:
    """Read rows in the order of their numbers, stepping over those that cannot be read."""
    last, end = 0, _last(broken, table)
    while last < end:
        with contextlib.suppress(sqlite3.DatabaseError):
            query = f"SELECT * FROM {table} WHERE id > ? ORDER BY id"  # noqa: S608
            for row in broken.execute(query, (last,)):
                if not last < row[0] <= end:  # a broken page may hold any number
                    break
                last = row[0]
                yield row
            else:
                return
        last += 1


def _last(broken: sqlite3.Connection, table: str) -> int:
    found = 0
    for query in _LAST:
        with contextlib.suppress(sqlite3.DatabaseError):
            (number,) = broken.execute(query.format(table=table)).fetchone() or (0,)
            found = max(found, number or 0)
    return found


def _both_ways(broken: sqlite3.Connection, table: str, key: str) -> Iterator[tuple[Any, ...]]:
    """Read a small table from its beginning, and if that fails from its end too."""
    for order in ("ASC", "DESC"):
        with contextlib.suppress(sqlite3.DatabaseError):
            yield from broken.execute(f"SELECT * FROM {table} ORDER BY {key} {order}")  # noqa: S608
            return

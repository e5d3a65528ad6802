"""Looking after a store: what it holds, whether it is sound, and what to drop from it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossalign.engine.cache.database import Database
from crossalign.engine.cache.quantization import checksum
from crossalign.errors import StoreError

TABLES = {"views": "places, data", "texts": "data"}
"""Tables of embeddings, in the order in which they are dropped, and what their checksums guard."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one encoder has in a store.

    Args:
        encoder: Its fingerprint.
        pictures: Pictures of which it embedded views.
        texts: Texts that it embedded.
        bytes: Room that these take.
    """

    encoder: str
    pictures: int
    texts: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Info:
    """What a store holds.

    Args:
        folder: Where it is.
        bytes: Room that its contents take.
        max_bytes: Its limit; 0 where it has none.
        pictures: Pictures of which views are kept.
        views: Embeddings of whole pictures and of crops.
        texts: Embeddings of texts.
        encoders: Who made them.
    """

    folder: Path
    bytes: int
    max_bytes: int
    pictures: int
    views: int
    texts: int
    encoders: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What :meth:`crossalign.Store.verify` found.

    Args:
        checked: Rows read.
        problems: What is wrong, a line each; none in a sound store.
    """

    checked: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pruned:
    """What :meth:`crossalign.Store.prune` did.

    Args:
        dropped: Rows that could be read and were dropped: views of a picture, or a text.
        kept: Rows that are there now.
        rebuilt: Whether the file was broken, and was emptied.
    """

    dropped: int
    kept: int
    rebuilt: bool = False


def describe(database: Database, folder: Path) -> Info:
    """Say what a store holds.

    Args:
        database: Its file.
        folder: Where it is.

    Returns:
        Numbers, and who made what.
    """
    ((pictures, views, texts),) = database.read(
        "SELECT (SELECT COUNT(DISTINCT content) FROM views), "
        "(SELECT COALESCE(SUM(LENGTH(places)) / 2, 0) FROM views), "
        "(SELECT COUNT(*) FROM texts)"
    )
    shares = database.read(
        "SELECT fingerprint, "
        "(SELECT COUNT(DISTINCT content) FROM views WHERE encoder = e.id), "
        "(SELECT COUNT(*) FROM texts WHERE encoder = e.id), "
        "(SELECT COALESCE(SUM(LENGTH(data)), 0) FROM views WHERE encoder = e.id) + "
        "(SELECT COALESCE(SUM(LENGTH(data)), 0) FROM texts WHERE encoder = e.id) "
        "FROM encoders e ORDER BY fingerprint"
    )
    made = tuple(Share(*share) for share in shares)
    return Info(folder, database.size(), limit(database), pictures, views, texts, made)


def verify(database: Database) -> Verdict:
    """Read everything and check it.

    Args:
        database: A store's file.

    Returns:
        What was found. Where the file cannot be read to its end, that is one of the problems.
    """
    problems, checked = [], 0
    try:
        with database.strictly():
            problems += damage(database)
            broken, checked = broken_rows(database)
            problems += [f"{table}, row {row}: its checksum does not fit" for table, row in broken]
    except StoreError as error:
        problems.append(str(error))
    return Verdict(checked, tuple(problems))


def damage(database: Database) -> list[str]:
    """Have SQLite check the structure of the file.

    Args:
        database: A store's file.

    Returns:
        What is wrong, a line each.
    """
    lines = [str(line) for (line,) in database.read("PRAGMA integrity_check")]
    return [line for line in lines if line != "ok"]


def broken_rows(database: Database) -> tuple[list[tuple[str, int]], int]:
    """Find rows whose checksum does not fit.

    Args:
        database: A store's file.

    Returns:
        Table and number of each, and how many rows were read.
    """
    broken, checked = [], 0
    for table, columns in TABLES.items():
        query = f"SELECT id, checksum, {columns} FROM {table} WHERE id > ? ORDER BY id LIMIT 100"  # noqa: S608
        last = -1
        while found := database.read(query, last):
            checked += len(found)
            last = found[-1][0]
            broken += [(table, row[0]) for row in found if checksum(*row[2:]) != row[1]]
    return broken, checked


def count(database: Database) -> int:
    """Count rows of embeddings.

    Args:
        database: A store's file.

    Returns:
        Views of a picture, and texts, a row each.
    """
    query = "SELECT (SELECT COUNT(*) FROM views) + (SELECT COUNT(*) FROM texts)"
    return sum(number for (number,) in database.read(query))


def limit(database: Database) -> int:
    """Read a store's own limit.

    Args:
        database: Its file.

    Returns:
        Bytes; 0 where it has none.
    """
    rows = database.read("SELECT value FROM settings WHERE name = 'max_bytes'")
    return int(rows[0][0]) if rows else 0


def drop_where(rows: sqlite3.Connection, condition: str, *values: Any) -> None:
    """Drop rows of embeddings.

    Args:
        rows: The database, within a change.
        condition: Which ones, in SQL.
        *values: For its question marks.
    """
    for table in TABLES:
        rows.execute(f"DELETE FROM {table} WHERE {condition}", values)  # noqa: S608


def drop_orphans(rows: sqlite3.Connection) -> None:
    """Drop files whose picture is gone, and encoders of which nothing is there.

    Args:
        rows: The database, within a change.
    """
    rows.execute("DELETE FROM files WHERE content NOT IN (SELECT content FROM views)")
    rows.execute(
        "DELETE FROM encoders WHERE id NOT IN (SELECT encoder FROM views) "
        "AND id NOT IN (SELECT encoder FROM texts)"
    )


def drop_oldest(database: Database, rows: sqlite3.Connection, size: int) -> None:
    """Drop what was not used for longest, pictures before texts, down to a size.

    Files go with their pictures. They are dropped all where they take more than a half, since they
    only save decoding: such are copies of a few pictures.

    Args:
        database: The store's file.
        rows: The same, within a change.
        size: In bytes.
    """
    drop_orphans(rows)
    files = "SELECT COALESCE(SUM(LENGTH(digest) + LENGTH(content) + 16), 0) FROM files"
    if rows.execute(files).fetchone()[0] > size / 2:
        rows.execute("DELETE FROM files")
    excess = database.size() - size
    for table in TABLES:
        oldest = rows.execute(f"SELECT id, LENGTH(data) FROM {table} ORDER BY used, id")  # noqa: S608
        dropped = []
        while excess > 0 and (row := oldest.fetchone()):
            dropped.append(row[:1])
            excess -= row[1]
        rows.executemany(f"DELETE FROM {table} WHERE id = ?", dropped)  # noqa: S608
    drop_orphans(rows)

"""The job file: one SQLite database beside the output, which holds every image's state.

Every change is a transaction, so that a process that is killed at any moment leaves a whole file.
While a job runs it holds the file for itself; the system lets go of it when the process ends,
however it ends.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossalign.errors import LabelingError
from crossalign.labeling.decisions import Row

TODO, DONE, FAILED = 0, 1, 2
_CHANGED = 3  # within the transaction that takes stock

_FORMAT = 1
_APPLICATION = 0x58414C4A  # marks the file as ours
_SCHEMA = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE items (
    number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, path BLOB NOT NULL,
    position INTEGER NOT NULL, listing INTEGER NOT NULL, stamp TEXT NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,
    label TEXT, decision TEXT, sure REAL, hash BLOB, sketch BLOB, row TEXT
);
CREATE INDEX items_by_state ON items (state, position)
"""


@dataclass(frozen=True, slots=True)
class Result:
    """One image that is done.

    Args:
        id: Its identity within the source.
        row: Its row.
        sketch: Of its embedding, see :mod:`crossalign.labeling.sketches`; None with an error.
    """

    id: str
    row: Row
    sketch: bytes | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """What going through the source found.

    Args:
        images: Different images.
        repeated: Entries that were there before.
        gone: Images of earlier runs that are no longer in the source.
        changed: Images that are not what they were when they were labelled, and will be again.
    """

    images: int
    repeated: int
    gone: int
    changed: int = 0


class JobFile:
    """The state of a job; held by one process at a time.

    Args:
        path: The file; made if it is not there.

    Raises:
        LabelingError: If another job holds it, or it cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._rows = sqlite3.connect(path, timeout=0.5, isolation_level=None)
            self._prepare()
        except sqlite3.DatabaseError as error:
            raise self._error(error) from error

    def _prepare(self) -> None:
        self._rows.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._rows.execute("PRAGMA journal_mode = WAL")
        self._rows.execute("PRAGMA synchronous = NORMAL")
        self._rows.execute("BEGIN IMMEDIATE")
        try:
            (tables,) = self._rows.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
            (program,) = self._rows.execute("PRAGMA application_id").fetchone()
            (version,) = self._rows.execute("PRAGMA user_version").fetchone()
            if tables == 0:
                for statement in _SCHEMA.split(";"):
                    self._rows.execute(statement)
                self._rows.execute(f"PRAGMA application_id = {_APPLICATION}")
                self._rows.execute(f"PRAGMA user_version = {_FORMAT}")
            elif (program, version) != (_APPLICATION, _FORMAT):
                raise LabelingError(
                    f"expected a job file of format {_FORMAT}; {self.path} is something else. "
                    "Choose another output, or remove that file."
                )
        finally:
            self._rows.execute("COMMIT")

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it, or nothing."""
        try:
            self._rows.execute("BEGIN IMMEDIATE")
            try:
                yield self._rows
                self._rows.execute("COMMIT")
            except BaseException:
                if self._rows.in_transaction:  # some errors have ended it already
                    self._rows.execute("ROLLBACK")
                raise
        except sqlite3.DatabaseError as error:
            raise self._error(error) from error

    def _error(self, error: sqlite3.DatabaseError) -> LabelingError:
        text = str(error)
        if "locked" in text:
            return LabelingError(
                f"another job is writing this output: it holds {self.path}. Wait for it, or choose "
                "another output."
            )
        if "full" in text or "disk I/O" in text:
            return LabelingError(
                f"{self.path} cannot be written, the disk is full or failing ({text}). What was "
                "finished is kept: make room and run the same command again."
            )
        if "readonly" in text or "unable to open" in text:
            return LabelingError(
                f"{self.path} cannot be written ({text}). Check the rights of its folder, or "
                "choose another output; what was finished is kept."
            )
        return LabelingError(
            f"{self.path} cannot be used as a job file ({text}). If it is broken, remove it and "
            "label again; with a store (--store) nothing is encoded twice."
        )

    def settings(self) -> dict[str, str]:
        """What the finished rows were made with; empty for a new job."""
        return dict(self._rows.execute("SELECT name, value FROM settings"))

    def begin(self, settings: dict[str, str]) -> None:
        """Start anew: forget every row.

        Args:
            settings: What the rows will be made with.
        """
        with self._change() as rows:
            rows.execute("DELETE FROM items")
            rows.execute("DELETE FROM settings")
            rows.executemany("INSERT INTO settings VALUES (?, ?)", settings.items())

    def list(self, entries: Iterable[tuple[str, str, str]]) -> Listing:
        """Take stock of the source; finished rows of images that did not change stay as they are.

        Args:
            entries: Identity, path and stamp of each entry, in order.

        Returns:
            What was found.
        """
        (last,) = self._rows.execute("SELECT COALESCE(MAX(listing), 0) FROM items").fetchone()
        total = 0

        def numbered() -> Iterator[tuple[bytes, bytes, int, int, str]]:
            nonlocal total
            for total, (identity, path, stamp) in enumerate(entries, start=1):
                yield _raw(identity), _raw(path), total, last + 1, stamp

        with self._change() as rows:
            rows.executemany(
                "INSERT INTO items (id, path, position, listing, stamp) VALUES (?, ?, ?, ?, ?) "  # noqa: S608
                "ON CONFLICT (id) DO UPDATE SET path = excluded.path, position = excluded.position,"
                f" state = CASE WHEN state = {TODO} OR stamp = excluded.stamp THEN state"
                f" ELSE {_CHANGED} END, stamp = excluded.stamp, listing = excluded.listing "
                "WHERE listing < excluded.listing",
                numbered(),
            )
            query = "UPDATE items SET state = ? WHERE state = ?"
            changed = rows.execute(query, (TODO, _CHANGED)).rowcount
            query = "SELECT COUNT(*) FROM items WHERE listing = ?"
            (images,) = rows.execute(query, (last + 1,)).fetchone()
            if images:  # an empty source is a mistake, and takes nothing away
                rows.execute("DELETE FROM items WHERE listing <= ? AND state = ?", (last, TODO))
            (gone,) = rows.execute(
                "SELECT COUNT(*) FROM items WHERE listing <= ?", (last,)
            ).fetchone()
        return Listing(images, total - images, gone, changed)

    def is_todo(self, identity: str) -> bool:
        """Tell whether an image is still to be labelled.

        Args:
            identity: Within the source.

        Returns:
            False also for one that was not there when the source was listed.
        """
        query = "SELECT 1 FROM items WHERE id = ? AND state = ?"
        return self._rows.execute(query, (_raw(identity), TODO)).fetchone() is not None

    def count(self, *states: int) -> int:
        """Count images.

        Args:
            *states: Of these states; of all without any.

        Returns:
            How many there are.
        """
        marks = ",".join(map(str, states)) or f"{TODO},{DONE},{FAILED}"
        query = f"SELECT COUNT(*) FROM items WHERE state IN ({marks})"  # noqa: S608
        return int(self._rows.execute(query).fetchone()[0])

    def retry_errors(self) -> int:
        """Make failed images ones to be labelled.

        Returns:
            How many there were.
        """
        with self._change() as rows:
            done = rows.execute("UPDATE items SET state = ? WHERE state = ?", (TODO, FAILED))
            return done.rowcount

    def keep(self, results: Sequence[Result]) -> None:
        """Write finished images down, all of them or none.

        Args:
            results: Any number of them.
        """
        with self._change() as rows:
            rows.executemany(
                "UPDATE items SET state = ?, label = ?, decision = ?, sure = ?, hash = ?, "
                "sketch = ?, row = ? WHERE id = ?",
                [_values(result) for result in results],
            )

    def todo(self) -> Iterator[tuple[str, str]]:
        """Images to be labelled, in the order of the source.

        Yields:
            Identity and path.
        """
        query = "SELECT id, path FROM items WHERE state = ? ORDER BY position, number"
        for identity, path in self._rows.execute(query, (TODO,)):
            yield os.fsdecode(identity), os.fsdecode(path)

    def rows(self) -> Iterator[Row]:
        """All rows of finished images, in the order of the source.

        Yields:
            A row at a time; memory does not grow.
        """
        for (text,) in self._rows.execute(
            "SELECT row FROM items WHERE state <> ? ORDER BY position, number", (TODO,)
        ):
            yield Row(**json.loads(text))

    def query(self, query: str, *values: Any) -> sqlite3.Cursor:
        """Ask something else of the table ``items``.

        Args:
            query: SQL that changes nothing.
            *values: For its question marks.

        Returns:
            The rows, as they are found.
        """
        return self._rows.execute(query, values)

    def close(self) -> None:
        """Let go of the file."""
        self._rows.close()

    def __enter__(self) -> JobFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _raw(text: str) -> bytes:
    """Names of files need not be valid text; SQLite's texts must be."""
    return text.encode("utf-8", "surrogateescape")


def _values(result: Result) -> tuple[Any, ...]:
    row = result.row
    sure = row.confidence if row.confidence is not None else row.margin
    return (
        DONE if row.error is None else FAILED,
        row.label,
        row.label if isinstance(row.decision, list) else row.decision,
        sure if sure is not None else row.score,
        None if row.content_hash is None else bytes.fromhex(row.content_hash),
        result.sketch,
        json.dumps(row.to_dict(), separators=(",", ":")),
        _raw(result.id),
    )

"""The store's SQLite file: opened, read, and changed in whole transactions."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from crossalign.errors import StoreError
from crossalign.utils.files import failing_as
from crossalign.utils.sqlite import Schema, StrangerError, connect, transaction

_T = TypeVar("_T")

FILE = "embeddings.sqlite"

_PAGE = 16384  # a picture's views are some 200 KB in one piece
_BUSY_SECONDS = 60.0

_TABLES = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE encoders (id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE);
CREATE TABLE files (
    digest BLOB PRIMARY KEY, content BLOB NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE views (
    id INTEGER PRIMARY KEY, encoder INTEGER NOT NULL, layout TEXT NOT NULL, content BLOB NOT NULL,
    used INTEGER NOT NULL, checksum INTEGER NOT NULL, places BLOB NOT NULL, data BLOB NOT NULL,
    UNIQUE (encoder, layout, content)
);
CREATE TABLE texts (
    id INTEGER PRIMARY KEY, encoder INTEGER NOT NULL, digest BLOB NOT NULL, used INTEGER NOT NULL,
    checksum INTEGER NOT NULL, data BLOB NOT NULL, UNIQUE (encoder, digest)
);
CREATE INDEX views_by_use ON views (used, id);
CREATE INDEX texts_by_use ON texts (used, id);
CREATE INDEX views_by_content ON views (content);
"""
_SCHEMA = Schema(application=0x58414C4E, version=1, statements=_TABLES)


class Database:
    """One connection, shared by the threads of this process.

    When SQLite fails on it (a full disk, rights taken away, a broken file) there is one warning;
    from then on nothing is found and nothing is kept. Only :meth:`strictly` is told.

    Args:
        folder: Where the file is; made if need be.

    Raises:
        StoreError: If the folder cannot hold a store, or the file is something else.
    """

    def __init__(self, folder: Path) -> None:
        self.lock = threading.RLock()
        self._folder = folder
        self._usable = True
        self._strict = False
        self._connection = _open(folder)

    @contextlib.contextmanager
    def strictly(self) -> Iterator[None]:
        """Have a failure raised, instead of the warning, and an earlier one tried again.

        Raises:
            StoreError: If SQLite fails within.
        """
        with self.lock:
            before, self._strict = self._strict, True
            try:
                yield
            finally:
                self._strict = before

    def read(self, query: str, *values: Any) -> list[Any]:
        """Run a query.

        Args:
            query: SQL.
            *values: For its question marks.

        Returns:
            All rows; none once the database has failed.
        """
        nothing: list[Any] = []
        return self._guarded(lambda: self._connection.execute(query, values).fetchall(), nothing)

    def change(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Make a change as one transaction: all of it, or nothing.

        Args:
            work: Makes it.
        """

        def action() -> None:
            with transaction(self._connection) as rows:
                work(rows)
            self._usable = True

        self._guarded(action, None)

    def size(self) -> int:
        """Add up the pages in use, in bytes."""
        query = "SELECT page_count - freelist_count FROM pragma_page_count, pragma_freelist_count"
        return sum(int(pages) * _PAGE for (pages,) in self.read(query))

    def shrink(self) -> None:
        """Give free room back to the disk."""
        # As a script, since execute() would free one page and stop.
        self._guarded(lambda: self._connection.executescript("PRAGMA incremental_vacuum"), None)
        self.read("PRAGMA wal_checkpoint(TRUNCATE)")

    def clear(self) -> None:
        """Make a broken file an empty store.

        SQLite itself overwrites the file, so other processes that have it open see a change like
        any other.

        Raises:
            StoreError: If it cannot be written, within :meth:`strictly`.
        """

        def action() -> None:
            with contextlib.closing(_connect(Path(":memory:"))) as empty:
                empty.backup(self._connection)
            self._usable = True

        self._guarded(action, None)

    def close(self) -> None:
        """Let go of the file."""
        with self.lock:
            self._usable = False
            self._connection.close()

    def _guarded(self, action: Callable[[], _T], otherwise: _T) -> _T:
        with self.lock:
            if not (self._usable or self._strict):
                return otherwise
            try:
                return action()
            except sqlite3.DatabaseError as error:
                self._give_up(error)
                return otherwise

    def _give_up(self, error: sqlite3.DatabaseError) -> None:
        self._usable = False
        # What is wrong with the file itself comes as this very class.
        remedy = (
            f"`crossalign store prune {self._folder}` empties it: all that is lost is time."
            if type(error) is sqlite3.DatabaseError
            else "Check the disk and the rights of the folder."
        )
        if self._strict:
            raise StoreError(
                f"the store {self._folder} cannot be used ({error}). {remedy}"
            ) from error
        warnings.warn(
            f"the store {self._folder} cannot be used any more ({error}); the work goes on without "
            f"it. {remedy}",
            stacklevel=5,
        )


def _open(folder: Path) -> sqlite3.Connection:
    path = folder / FILE
    expected = f"expected a folder for the store; {folder} cannot be one ("
    with failing_as(StoreError, expected, "). Choose another place."):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        return _connect(path)
    except StrangerError as error:
        what = f"of format {error.version}" if error.ours else "another program's"
        raise StoreError(
            f"expected a store of format {_SCHEMA.version}; {path} is {what}. Choose another "
            "folder."
        ) from error
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"{path} cannot be used as a store of embeddings ({error}). Check the rights of its "
            "folder; if the file is broken, remove it: all that is lost is time."
        ) from error


def _connect(path: Path) -> sqlite3.Connection:
    pragmas = (f"page_size = {_PAGE}", "auto_vacuum = INCREMENTAL")
    return connect(path, _SCHEMA, timeout=_BUSY_SECONDS, pragmas=pragmas)

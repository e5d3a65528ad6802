"""The store's SQLite file: opened, read, and changed in whole transactions."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from crossalign.engine.cache.salvage import salvage
from crossalign.errors import StoreError

_T = TypeVar("_T")

FILE = "embeddings.sqlite"

_FORMAT = 1
_APPLICATION = 0x58414C4E  # marks the file as ours
_PAGE = 16384  # a picture's views are some 200 KB in one piece
_BUSY_SECONDS = 60.0

_SCHEMA = """
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

        def transaction() -> None:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                work(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # some errors have ended it already
                    self._connection.execute("ROLLBACK")
                raise
            self._usable = True

        self._guarded(transaction, None)

    def size(self) -> int:
        """Add up the pages in use, in bytes."""
        pages = [self.read(f"PRAGMA {name}") for name in ("page_count", "freelist_count")]
        if not all(pages):
            return 0
        return int(pages[0][0][0] - pages[1][0][0]) * _PAGE

    def shrink(self) -> None:
        """Give free room back to the disk."""
        # As a script, since execute() would free one page and stop.
        self._guarded(lambda: self._connection.executescript("PRAGMA incremental_vacuum"), None)
        self.read("PRAGMA wal_checkpoint(TRUNCATE)")

    def rebuild(self) -> int:
        """Put what can be read of a broken file in its place.

        SQLite itself overwrites the file, so other processes that have it open see a change like
        any other.

        Returns:
            Embeddings that were kept, in rows.

        Raises:
            StoreError: If it cannot be mended.
        """
        try:
            with self.lock, tempfile.TemporaryDirectory(prefix="mend-", dir=self._folder) as place:
                made = _open(Path(place))
                with contextlib.closing(made):
                    made.execute("PRAGMA journal_mode = OFF")
                    kept = salvage(self._connection, made)
                    made.backup(self._connection)
                self._usable = True
        except (sqlite3.DatabaseError, OSError) as error:
            raise StoreError(
                f"the store {self._folder} is broken and cannot be mended ({error}). Remove "
                f"{self._folder / FILE}: all that is lost is time."
            ) from error
        return kept

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
            f"`crossalign store prune {self._folder}` makes it anew from what can still be read."
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
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"expected a folder for the store; {folder} cannot be one ({error.strerror}). Choose "
            "another place."
        ) from error
    try:
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"{path} cannot be used as a store of embeddings ({error}). Check the rights of its "
            "folder; if the file is broken, remove it: all that is lost is time."
        ) from error
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables of a new store; check that an old one is ours."""
    _is_new(connection, path)  # before anything is changed in what may be another program's
    connection.execute(f"PRAGMA page_size = {_PAGE}")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("BEGIN IMMEDIATE")  # of two processes that find none, one makes it
    try:
        if _is_new(connection, path):
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {_FORMAT}")
    finally:
        connection.execute("COMMIT")


def _is_new(connection: sqlite3.Connection, path: Path) -> bool:
    """Tell an empty file from a store; refuse what is neither."""
    (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    (program,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if tables == program == version == 0:
        return True
    if (program, version) != (_APPLICATION, _FORMAT):
        what = f"of format {version}" if program == _APPLICATION else "another program's"
        raise StoreError(
            f"expected a store of format {_FORMAT}; {path} is {what}. Choose another folder."
        )
    return False


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Turn on the write-ahead log, for which SQLite does not wait by itself."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while not _turned_on(connection):
        if time.monotonic() > deadline:
            raise sqlite3.OperationalError("database is locked")
        time.sleep(0.05)


def _turned_on(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            return False
        raise
    return True

"""SQLite files of our own: opened, checked, made, and changed in whole transactions."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Schema:
    """What a kind of file holds.

    Args:
        application: Marks the file as ours (``PRAGMA application_id``).
        version: Of its format (``PRAGMA user_version``).
        statements: Make its tables, separated by semicolons.
    """

    application: int
    version: int
    statements: str


class StrangerError(Exception):
    """A file that is not of the expected kind and format; nothing in it was changed.

    Args:
        application: What it says it is.
        version: Of which format.
        schema: What was expected.
    """

    def __init__(self, application: int, version: int, schema: Schema) -> None:
        super().__init__(f"application {application:#x}, format {version}")
        self.ours = application == schema.application
        self.version = version


def connect(
    path: Path,
    schema: Schema,
    *,
    timeout: float,
    exclusive: bool = False,
    write_ahead: bool = True,
    pragmas: Sequence[str] = (),
    renew: Callable[[StrangerError], bool] = lambda _: False,
) -> sqlite3.Connection:
    """Open a file of ours, and make its tables if it is new.

    All is made in one transaction, which is rolled back whatever ends it: a file is never left with
    half of its tables.

    Args:
        path: The file; made if it is not there.
        schema: What it holds.
        timeout: Seconds to wait for another process.
        exclusive: Keep every other process out until it is closed.
        write_ahead: Whether changes go to a log beside it first.
        pragmas: Settings for a new file, such as ``page_size = 16384``.
        renew: Whether a file of another kind may be emptied and made anew.

    Returns:
        A connection for any thread, on which transactions are begun by hand.

    Raises:
        StrangerError: If it is something else.
        sqlite3.DatabaseError: If it cannot be opened, or is no database.
    """
    connection = sqlite3.connect(
        path, timeout=timeout, isolation_level=None, check_same_thread=False
    )
    try:
        if exclusive:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        try:
            _is_new(connection, schema)  # before anything of another program's is changed
        except StrangerError as stranger:
            if not renew(stranger):
                raise
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
        if write_ahead:
            _write_ahead(connection, timeout)
        connection.execute("PRAGMA synchronous = NORMAL")
        with transaction(connection):  # of two processes that find none, one makes the tables
            try:
                new = _is_new(connection, schema)
            except StrangerError:
                _empty(connection)
                new = True
            if new:
                for statement in schema.statements.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {schema.application}")
                connection.execute(f"PRAGMA user_version = {schema.version}")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Make one transaction of what happens in the block: all of it, or nothing.

    Args:
        connection: From :func:`connect`.

    Yields:
        The connection.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:  # an interruption as well
        if connection.in_transaction:  # some errors have ended it already
            connection.execute("ROLLBACK")
        raise


def _is_new(connection: sqlite3.Connection, schema: Schema) -> bool:
    """Tell an empty file from one of ours; refuse what is neither."""
    (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if tables == application == version == 0:
        return True
    if (application, version) != (schema.application, schema.version):
        raise StrangerError(application, version, schema)
    return False


def _empty(connection: sqlite3.Connection) -> None:
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (name,) in tables:
        connection.execute(f'DROP TABLE "{name}"')


def _write_ahead(connection: sqlite3.Connection, timeout: float) -> None:
    """Turn on the write-ahead log, for which SQLite does not wait by itself."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        else:
            return
        time.sleep(0.05)

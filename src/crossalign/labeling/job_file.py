"""The job file: one SQLite database beside the output, which holds every image's state.

Every change is a transaction, so that a process that is killed at any moment leaves a whole file.
While a job runs it holds the file for itself; the system lets go of it when the process ends,
however it ends.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossalign.errors import LabelingError
from crossalign.labeling.decisions import Decision, Row
from crossalign.labeling.image_scores import ImageScores
from crossalign.utils.sqlite import Schema, StrangerError, connect, transaction

TODO, DONE, FAILED = 0, 1, 2
_CHANGED = 3  # within the transaction that takes stock

_SCHEMA = Schema(
    application=0x58414C4A,
    version=2,
    statements="""
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE items (
    number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, path BLOB NOT NULL,
    position INTEGER NOT NULL, listing INTEGER NOT NULL, stamp TEXT NOT NULL,
    state INTEGER NOT NULL DEFAULT 0, hash BLOB, sketch BLOB, row TEXT
);
CREATE INDEX items_by_state ON items (state, position);
CREATE TABLE scores (number INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE given (
    number INTEGER NOT NULL, name TEXT NOT NULL, sure REAL NOT NULL, PRIMARY KEY (number, name)
) WITHOUT ROWID;
CREATE TABLE files (digest TEXT PRIMARY KEY) WITHOUT ROWID
""",
)
# What another table or column of an item holds already.
_ELSEWHERE = ("path", "content_hash")
_MOST_AT_ONCE = 512
_UNSETTLED = "being changed"
_MOVED = "moved"  # instead of a stamp
# A list may still name a file that is not there, which has no stamp: its row stays, as do those of
# images that a folder has no more.
_AWAY = f"(state = {DONE} AND excluded.stamp = '')"


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
        anew: Whether to empty one that an earlier version of crossalign made.

    Raises:
        LabelingError: If another job holds it, or it cannot be used.
    """

    def __init__(self, path: Path, *, anew: bool = False) -> None:
        self.path = path
        try:
            self._rows = connect(
                *(path, _SCHEMA),
                timeout=0.5,
                exclusive=True,
                renew=lambda other: anew and _is_earlier(other),
            )
        except StrangerError as stranger:
            raise self._stranger(stranger) from stranger
        except sqlite3.DatabaseError as error:
            raise self._error(error) from error

    def _stranger(self, stranger: StrangerError) -> LabelingError:
        if _is_earlier(stranger):
            return LabelingError(
                f"{self.path} was made by an earlier version of crossalign, whose job files hold "
                "no scores. Add --restart to label anew (with a store nothing is encoded twice), "
                "or choose another output."
            )
        return LabelingError(
            f"expected a job file of format {_SCHEMA.version}; {self.path} is something else. "
            "Choose another output, or remove that file."
        )

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it, or nothing."""
        try:
            with transaction(self._rows) as rows:
                yield rows
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
        return dict(self.query("SELECT name, value FROM settings"))

    def begin(self, settings: dict[str, str]) -> None:
        """Start anew: forget every row.

        Args:
            settings: What the rows will be made with.
        """
        with self._change() as rows:
            for table in ("scores", "given", "items", "settings"):
                rows.execute(f"DELETE FROM {table}")  # noqa: S608
            rows.executemany("INSERT INTO settings VALUES (?, ?)", settings.items())

    def scan(self, entries: Iterable[tuple[str, str, str]]) -> Listing:
        """Take stock of the source; finished rows of images that did not change stay as they are.

        Args:
            entries: Identity, path and stamp of each entry, in order.

        Returns:
            What was found.
        """
        (last,) = self.query("SELECT COALESCE(MAX(listing), 0) FROM items").fetchone()
        total = 0

        def numbered() -> Iterator[tuple[bytes, bytes, int, int, str]]:
            nonlocal total
            for total, (identity, path, stamp) in enumerate(entries, start=1):
                yield os.fsencode(identity), os.fsencode(path), total, last + 1, stamp

        with self._change() as rows:
            rows.executemany(
                "INSERT INTO items (id, path, position, listing, stamp) VALUES (?, ?, ?, ?, ?) "  # noqa: S608
                "ON CONFLICT (id) DO UPDATE SET "
                f"path = CASE WHEN {_AWAY} THEN path ELSE excluded.path END, "
                f"state = CASE WHEN state = {TODO} OR stamp = excluded.stamp OR {_AWAY} THEN state"
                f" ELSE {_CHANGED} END, stamp = CASE WHEN {_AWAY} THEN stamp ELSE excluded.stamp"
                " END, position = excluded.position, listing = excluded.listing "
                "WHERE listing < excluded.listing",
                numbered(),
            )
            changed = _turn(rows, _CHANGED, TODO)
            query = "SELECT COUNT(*) FROM items WHERE listing = ?"
            (images,) = rows.execute(query, (last + 1,)).fetchone()
            if images:  # an empty source is a mistake, and takes nothing away
                gone = "FROM items WHERE listing <= ? AND state = ?"
                for table in ("scores", "given"):
                    query = f"DELETE FROM {table} WHERE number IN (SELECT number {gone})"  # noqa: S608
                    rows.execute(query, (last, TODO))
                rows.execute(f"DELETE {gone}", (last, TODO))
        (gone,) = self.query("SELECT COUNT(*) FROM items WHERE listing <= ?", last).fetchone()
        return Listing(images, total - images, gone, changed)

    def note_file(self, digest: str) -> None:
        """Remember that this job wrote a table or an export, so that it may replace it.

        Args:
            digest: Of the file.
        """
        with self._change() as rows:
            rows.execute("INSERT OR IGNORE INTO files VALUES (?)", (digest,))

    def wrote_file(self, digest: str) -> bool:
        """Tell whether this job wrote a file.

        Args:
            digest: Of the file.

        Returns:
            False also for one that was changed afterwards.
        """
        return self._any("files WHERE digest = ?", digest)

    def is_todo(self, identity: str) -> bool:
        """Tell whether an image is still to be labelled.

        Args:
            identity: Within the source.

        Returns:
            False also for one that was not there when the source was listed.
        """
        return self._any("items WHERE id = ? AND state = ?", os.fsencode(identity), TODO)

    def count(self, *states: int) -> int:
        """Count images.

        Args:
            *states: Of these states; of all without any.

        Returns:
            How many there are.
        """
        marks = ",".join(map(str, states)) or f"{TODO},{DONE},{FAILED}"
        query = f"SELECT COUNT(*) FROM items WHERE state IN ({marks})"  # noqa: S608
        return int(self.query(query).fetchone()[0])

    def retry_errors(self) -> int:
        """Make failed images ones to be labelled.

        Returns:
            How many there were.
        """
        with self._change() as rows:
            return _turn(rows, FAILED, TODO)

    def save(
        self, results: Sequence[ImageScores], decide: Callable[[ImageScores], Decision]
    ) -> None:
        """Write finished images down, all of them or none.

        Args:
            results: What they scored.
            decide: Makes decisions of scores.
        """
        with self._change() as rows:
            for scored in results:
                digest = None if scored.content_hash is None else bytes.fromhex(scored.content_hash)
                query = "SELECT number FROM items WHERE id = ?"
                (number,) = rows.execute(query, (os.fsencode(scored.id),)).fetchone()
                query = "UPDATE items SET hash = ?, sketch = ? WHERE number = ?"
                rows.execute(query, (digest, scored.simhash, number))
                rows.execute("DELETE FROM scores WHERE number = ?", (number,))
                if scored.scores is not None:
                    rows.execute("INSERT INTO scores VALUES (?, ?)", (number, scored.scores))
                _write(rows, number, decide(scored))

    def decide_again(
        self,
        settings: dict[str, str],
        decide: Callable[[ImageScores], Decision],
        stop: Callable[[], bool] = lambda: False,
    ) -> int:
        """Make all decisions anew from the scores that were kept.

        Memory does not grow. Until the last is made neither the old settings are in force nor the
        new ones, so a run that comes after a kill makes all of them once more.

        Args:
            settings: Those that differ from before, as they are to be.
            decide: Makes decisions of scores.
            stop: Asked now and then; True ends the work, to be done again.

        Returns:
            How many images were decided about.
        """
        self._set(dict.fromkeys(settings, _UNSETTLED))
        query = (
            "SELECT number, id, path, hash, row, data FROM items JOIN scores USING (number) "
            "WHERE state = ? AND number > ? ORDER BY number LIMIT ?"
        )
        done = last = 0
        while some := self.query(query, DONE, last, _MOST_AT_ONCE).fetchall():
            if stop():
                return done
            with self._change() as rows:
                for number, identity, path, digest, text, data in some:
                    row = json.loads(text)
                    size = (row["width"], row["height"])
                    names = (os.fsdecode(identity), os.fsdecode(path))
                    scored = ImageScores(*names, digest.hex(), size, data)
                    _write(rows, number, decide(scored))
            done, last = done + len(some), some[-1][0]
        self._set(settings)
        return done

    def _set(self, settings: dict[str, str]) -> None:
        with self._change() as rows:
            rows.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", settings.items())

    def todo(self) -> Iterator[tuple[str, str]]:
        """Images to be labelled, in the order of the source.

        Yields:
            Identity and path.
        """
        query = "SELECT id, path FROM items WHERE state = ? ORDER BY position, number"
        for identity, path in self.query(query, TODO):
            yield os.fsdecode(identity), os.fsdecode(path)

    def rows(self) -> Iterator[Row]:
        """All rows of finished images, in the order of the source.

        Yields:
            A row at a time; memory does not grow.
        """
        query = "SELECT path, hash, row FROM items WHERE state <> ? ORDER BY position, number"
        for values in self.query(query, TODO):
            yield read_row(*values)

    def finished(self) -> Iterator[tuple[str, Row]]:
        """Labelled images, in the order of the source.

        Yields:
            Identity and row, one at a time; they may be noted as moved meanwhile.
        """
        last = (-1, -1)
        query = (
            "SELECT position, number, id, path, hash, row FROM items WHERE state = ? AND "
            "(position, number) > (?, ?) ORDER BY position, number LIMIT ?"
        )
        while some := self.query(query, DONE, *last, _MOST_AT_ONCE).fetchall():
            for position, number, identity, *row in some:
                last = (position, number)
                yield os.fsdecode(identity), read_row(*row)

    def note_moved(self, identity: str, path: str) -> None:
        """Write down where an image is now.

        Args:
            identity: Within the source.
            path: Its new place.
        """
        with self._change() as rows:
            query = "UPDATE items SET path = ?, stamp = ? WHERE id = ?"
            rows.execute(query, (os.fsencode(path), _MOVED, os.fsencode(identity)))

    def any_moved(self) -> bool:
        """Tell whether images of the source are where an export moved them.

        Returns:
            Whether there is one.
        """
        return self._any("items WHERE stamp = ?", _MOVED)

    def _any(self, which: str, *values: Any) -> bool:
        return self.query(f"SELECT 1 FROM {which} LIMIT 1", *values).fetchone() is not None  # noqa: S608

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


def _is_earlier(other: StrangerError) -> bool:
    return other.ours and other.version < _SCHEMA.version


def _turn(rows: sqlite3.Connection, state: int, into: int) -> int:
    """Change the state of all images that are in one; gives their number."""
    return rows.execute("UPDATE items SET state = ? WHERE state = ?", (into, state)).rowcount


def _write(rows: sqlite3.Connection, number: int, decided: Decision) -> None:
    values = {
        name: value
        for name, value in decided.row.to_dict().items()
        if value is not None and name not in _ELSEWHERE
    }
    state = DONE if decided.row.error is None else FAILED
    text = json.dumps(values, separators=(",", ":"))
    rows.execute("UPDATE items SET state = ?, row = ? WHERE number = ?", (state, text, number))
    rows.execute("DELETE FROM given WHERE number = ?", (number,))
    rows.executemany(
        "INSERT INTO given VALUES (?, ?, ?)",
        [(number, *label) for label in decided.labels],
    )


def read_row(path: bytes, digest: bytes | None, text: str) -> Row:
    """Put together a row of the table from the columns ``path``, ``hash`` and ``row`` of an item.

    Args:
        path: The image.
        digest: Names its pixels.
        text: The rest of the row, as JSON.

    Returns:
        The row.
    """
    return Row(os.fsdecode(path), None if digest is None else digest.hex(), **json.loads(text))

"""What is known so far, image by image, so that a run can stop at any moment and go on.

A journal is a small SQLite file. Outcomes are written in transactions a fraction of a second long,
so that a process that is killed leaves a whole file and loses no more than that. An image whose
outcome is there is not computed again, wherever it stands in the data set now; one whose file is
not what it was is.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossalign.errors import EvaluationError
from crossalign.evaluation.run_scores import Outcome
from crossalign.utils.files import packaged_text
from crossalign.utils.sqlite import Schema, connect, transaction

_SCHEMA = Schema(
    application=0x58414C45,
    version=0,
    statements=packaged_text("evaluation", "journal.sql"),
)
_SECONDS = 0.3  # of work that a killed process may lose
_SHORT = {
    "content": "d", "predicted": "p", "rank": "r", "confidence": "c", "margin": "m", "score": "s",
    "error": "e", "crops": "n",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Session:
    """A time at which outcomes were computed.

    Args:
        started: When it began, in ISO 8601.
        command: The command line, or what stands for it.
        images: How many images it computed.
        seconds: How long it took, until the last of them.
    """

    started: str
    command: tuple[str, ...]
    images: int
    seconds: float


class Journal:
    """Outcomes on disk; a context manager, held by one process at a time.

    Args:
        path: The file.
        identity: What the outcomes depend on, as plain values. A journal of another identity is
            begun anew, and so is a file that cannot be read: all that is lost is time.
        command: The command line, or what stands for it.
    """

    def __init__(self, path: Path, identity: dict[str, Any], command: Sequence[str] = ()) -> None:
        self.path = path
        self.done = self.computed = 0
        self._identity = json.dumps(identity, sort_keys=True)
        self._command = tuple(command)
        self._rows: sqlite3.Connection | None = None

    def __enter__(self) -> Journal:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._rows = self._opened()
        self._rows.execute("BEGIN")
        self._walk, self._session = self._rows.execute(
            "SELECT (SELECT ifnull(max(walk), 0) + 1 FROM outcomes), "
            "(SELECT ifnull(max(id), 0) + 1 FROM sessions)"
        ).fetchone()
        self._started = self._written = time.monotonic()
        self._when = dt.datetime.now(dt.timezone.utc)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._rows is None:
            return
        try:
            if kind is None:  # the whole data set was gone through; what was not met is not in it
                self._rows.execute("DELETE FROM outcomes WHERE walk <> ?", (self._walk,))
            self._write()
        finally:
            self._rows.close()
            self._rows = None

    def reuse(self, place: int, key: str, label: int, stamp: str) -> bool:
        """Take the outcome of an image that is known already.

        Args:
            place: Where the image stands in the data set.
            key: Its key.
            label: Its class.
            stamp: What tells its file from what it was before.

        Returns:
            False if it is not known, or failed: what was wrong may have been mended.
        """
        found = self._open().execute(
            "SELECT id FROM outcomes WHERE key = ? AND label = ? AND stamp = ? AND walk < ? "
            "AND NOT failed",
            (_stored(key), label, stamp, self._walk),
        )
        row = found.fetchone()
        if row is None:
            return False
        self._open().execute(
            "UPDATE outcomes SET walk = ?, place = ? WHERE id = ?", (self._walk, place, row[0])
        )
        self.done += 1
        self._now_and_then()
        return True

    def append(self, place: int, outcome: Outcome) -> None:
        """Write down one image.

        Args:
            place: Where it stands in the data set.
            outcome: What is known of it.
        """
        values = {short: getattr(outcome, name) for name, short in _SHORT.items()}
        body = {name: value for name, value in values.items() if value not in ((), None, "")}
        self._open().execute(
            "INSERT INTO outcomes (key, label, stamp, walk, place, failed, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                _stored(outcome.key), outcome.label, outcome.stamp, self._walk, place,
                outcome.error is not None, json.dumps(body, separators=(",", ":")),
            ),
        )  # fmt: skip
        self.done += 1
        self.computed += 1
        self._now_and_then()

    def sessions(self) -> list[Session]:
        """Say when the outcomes were computed, and by which commands.

        Returns:
            The sessions that computed any, the first one first.
        """
        with contextlib.closing(_reader(self.path)) as rows:
            found = rows.execute(
                "SELECT started, command, images, seconds FROM sessions ORDER BY id"
            ).fetchall()
        return [Session(when, tuple(json.loads(line)), *rest) for when, line, *rest in found]

    def __iter__(self) -> Iterator[Outcome]:
        with contextlib.closing(_reader(self.path)) as rows:
            found = rows.execute("SELECT key, label, stamp, body FROM outcomes ORDER BY place")
            for key, label, stamp, body in found:
                values = json.loads(body)
                known: dict[str, Any] = {
                    name: tuple(value) if isinstance(value, list) else value
                    for name, short in _SHORT.items()
                    if (value := values.get(short)) is not None
                }
                yield Outcome(
                    key=key.decode("utf-8", "surrogateescape"), label=label, stamp=stamp, **known
                )

    def _open(self) -> sqlite3.Connection:
        if self._rows is None:
            raise EvaluationError(f"{self.path}: the journal is not open.")
        return self._rows

    def _now_and_then(self) -> None:
        if time.monotonic() - self._written > _SECONDS:
            self._write()
            self._open().execute("BEGIN")
            self._written = time.monotonic()

    def _write(self) -> None:
        rows = self._open()
        if self.computed:
            started, command = self._when.isoformat(timespec="seconds"), json.dumps(self._command)
            taken = round(time.monotonic() - self._started, 3)
            rows.execute(
                "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?)",
                (self._session, started, command, self.computed, taken),
            )
        rows.execute("COMMIT")

    def _opened(self) -> sqlite3.Connection:
        """Open the file, for this process alone; make it anew if it is no journal, or another's."""
        try:
            try:
                return self._begun()
            except sqlite3.DatabaseError as error:
                if "locked" in str(error):
                    raise EvaluationError(
                        f"{self.path.parent.parent}: another evaluation is running there. Wait "
                        "until it has ended, or choose another --out."
                    ) from error
            for ending in ("", "-journal", "-wal", "-shm"):
                self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
            return self._begun()
        except (sqlite3.DatabaseError, OSError) as error:
            raise EvaluationError(f"{self.path}: cannot be written to ({error}).") from error

    def _begun(self) -> sqlite3.Connection:
        rows = connect(
            self.path, _SCHEMA, timeout=0.5, exclusive=True, write_ahead=False, renew=lambda _: True
        )
        try:
            if rows.execute("SELECT value FROM identity").fetchall() != [(self._identity,)]:
                with transaction(rows):
                    for table in ("identity", "outcomes", "sessions"):
                        rows.execute(f"DELETE FROM {table}")  # noqa: S608 - of those above
                    rows.execute("INSERT INTO identity VALUES (?)", (self._identity,))
        except BaseException:
            rows.close()
            raise
        return rows


def _reader(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _stored(key: str) -> bytes:
    """File names need not be valid in any encoding."""
    return key.encode("utf-8", "surrogateescape")

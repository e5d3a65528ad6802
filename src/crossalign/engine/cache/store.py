"""Embeddings on disk, so that no picture and no text is ever encoded twice.

A store is a folder with one SQLite database. Views are kept under what their embedding depends on
and nothing else: the picture's pixels, the encoder (its weights, precision and preprocessing, see
:func:`crossalign.encoders.fingerprint`) and how the crops are laid out. So new classes, other
descriptions, other scales and other methods find them again, whatever the file is called, and a
picture that changed is not mistaken for what it was.

Views are kept with 16 bits a number (see :mod:`crossalign.engine.cache.quantization`), texts with
32. A classifier with a store uses the rounded vectors also where they have just been encoded, so
that a second run repeats the first to the last digit.

Every change is one transaction. A process that is killed at any moment leaves a store that is
whole, and several processes may share one.
"""

from __future__ import annotations

import os
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from crossalign.encoders.base import Embeddings
from crossalign.engine.cache import maintenance
from crossalign.engine.cache.database import FILE, Database
from crossalign.engine.cache.maintenance import Info, Pruned, Verdict
from crossalign.engine.cache.quantization import Indices, Packed, checksum, from_bytes, text_key
from crossalign.errors import StoreError

_WHOLE = ""  # the layout of view 0, which is the same picture whatever the crops
# When a row was last used only serves to find the oldest; finer steps would mean more writing.
_USE_STEP = 3600
# Dropping a little more than needed keeps a full store from dropping something at every picture.
_SHARE_KEPT = 0.9
_KEYS_PER_QUERY = 500
LEAST_LIMIT = 1_000_000
"""Bytes below which a limit is refused: a store without a picture takes a fifth of it already."""


class Store:
    """Embeddings on disk; see the module's text. Safe to use from several threads and processes.

    A store that can no longer be written or read (a full disk, rights taken away, a broken file)
    gives one warning and the work goes on without it: it is a cache, and no result depends on it.

    Args:
        folder: Where it is; made if need be.
        max_bytes: Beyond this size, what was not used for longest is dropped; at least a megabyte,
            or 0 for no limit. The store remembers it; None leaves it as it is.

    Raises:
        StoreError: If the folder cannot be a store, or the limit is too small for one.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> with Store(folder.name) as store:
        ...     store.put_texts("an encoder", ["a cat"], np.full((1, 4), 0.5, np.float32))
        ...     store.get_texts("an encoder", ["a dog", "a cat"])
        {'a cat': array([0.5, 0.5, 0.5, 0.5], dtype=float32)}
        >>> folder.cleanup()
    """

    def __init__(self, folder: str | os.PathLike[str], *, max_bytes: int | None = None) -> None:
        if not isinstance(folder, str | os.PathLike):
            raise StoreError(f"expected a folder for the store; got {folder!r}.")
        if max_bytes is not None and (type(max_bytes) is not int or max_bytes < 0):
            raise StoreError(
                f"expected max_bytes as a whole number of bytes, 0 for no limit; got {max_bytes!r}."
            )
        if max_bytes is not None and 0 < max_bytes < LEAST_LIMIT:
            raise StoreError(
                f"expected a limit of at least {LEAST_LIMIT} bytes, or 0 for none; got "
                f"{max_bytes}, which would keep nothing."
            )
        self._folder = Path(folder)
        self._too_small = False  # whether dropping left no picture
        self._warned = False
        self._uses: dict[str, set[int]] = {table: set() for table in maintenance.TABLES}
        self._database = Database(self._folder)
        if max_bytes is not None:
            self._change(lambda rows: self._set_limit(rows, max_bytes))

    @staticmethod
    def exists(folder: str | os.PathLike[str]) -> bool:
        """Tell whether there is a store in a folder.

        Args:
            folder: Any path.

        Returns:
            True if so. Nothing is made.
        """
        return (Path(folder) / FILE).is_file()

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self._folder

    def get_file(self, digest: bytes) -> tuple[bytes, tuple[int, int]] | None:
        """Look up what picture a file holds, so that it need not be decoded.

        Args:
            digest: Of the file's bytes and of how they are decoded.

        Returns:
            Digest of the pixels, and width and height; None if the file is new.
        """
        query = "SELECT content, width, height FROM files WHERE digest = ?"
        for content, width, height in self._database.read(query, digest):
            return content, (width, height)
        return None

    def get_views(self, encoder: str, layout: str, content: bytes) -> tuple[Indices, Packed | None]:
        """Find the embeddings of a picture's views.

        Args:
            encoder: Its fingerprint.
            layout: How the crops are laid out: within one layout, a number is always the same box.
            content: Digest of the pixels.

        Returns:
            Indices that are there, rising, int64, shape (k,), and their packed embeddings, shape
            (k,); None where there are none.
        """
        found = list(self._rows(encoder, content, _WHOLE, layout))
        if not found:
            return np.empty(0, np.int64), None
        indices, packed = zip(*found, strict=True)
        return np.concatenate(indices), np.concatenate(packed)

    def put_views(
        self,
        encoder: str,
        layout: str,
        content: bytes,
        indices: Indices,
        packed: Packed,
        file: tuple[bytes, tuple[int, int]] | None = None,
    ) -> None:
        """Keep the embeddings of a picture's views beside those that are there, in one change.

        Args:
            encoder: Its fingerprint.
            layout: How the crops are laid out.
            content: Digest of the pixels.
            indices: Numbers of the views, int64, shape (k,), each once.
            packed: Their packed embeddings, shape (k,).
            file: Digest of the file's bytes, and the picture's width and height, if it came from a
                file.
        """

        def work(rows: sqlite3.Connection) -> None:
            whole = indices == 0
            for name, chosen in ((_WHOLE, whole), (layout, ~whole)):
                if chosen.any():
                    self._merge(rows, encoder, name, content, indices[chosen], packed[chosen])
            if file is not None:
                rows.execute(
                    "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", (file[0], content, *file[1])
                )
            self._keep_limit(rows)

        self._change(work)
        if self._too_small and not self._warned:
            self._warned = True
            warnings.warn(
                f"the store {self._folder} has a limit of {maintenance.limit(self._database)} "
                f"bytes, which does not hold one picture of {len(indices)} views; nothing of it is "
                "kept. Raise the limit (max_bytes, --store-size).",
                stacklevel=2,
            )

    def get_texts(self, encoder: str, texts: Iterable[str]) -> dict[str, Embeddings]:
        """Find embeddings of texts.

        Args:
            encoder: Its fingerprint.
            texts: Any number of texts.

        Returns:
            For each text that is there its embedding, float32, shape (D,).
        """
        by_key = {text_key(text): text for text in texts}
        keys, found = list(by_key), {}
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            part = keys[start : start + _KEYS_PER_QUERY]
            marks = ",".join("?" * len(part))
            for row, used, digest, stamp, data in self._database.read(
                "SELECT t.id, used, digest, checksum, data FROM texts t JOIN encoders e "  # noqa: S608
                f"ON e.id = t.encoder WHERE fingerprint = ? AND digest IN ({marks})",
                encoder,
                *part,
            ):
                if checksum(data) == stamp:
                    self._note_use("texts", row, used)
                    found[by_key[digest]] = np.frombuffer(data, "<f4").astype(np.float32)
        return found

    def put_texts(self, encoder: str, texts: Sequence[str], vectors: Embeddings) -> None:
        """Keep embeddings of texts.

        Args:
            encoder: Its fingerprint.
            texts: The texts.
            vectors: float32, shape (m, D).
        """
        packed = [vector.astype("<f4").tobytes() for vector in vectors]

        def work(rows: sqlite3.Connection) -> None:
            number = _encoder_number(rows, encoder)
            rows.executemany(
                "INSERT OR REPLACE INTO texts (encoder, digest, used, checksum, data) "
                "VALUES (?, ?, ?, ?, ?)",
                [
                    (number, text_key(text), _now(), checksum(data), data)
                    for text, data in zip(texts, packed, strict=True)
                ],
            )
            self._keep_limit(rows)

        self._change(work)

    def info(self) -> Info:
        """Say what the store holds.

        Returns:
            Numbers, and who made what.

        Raises:
            StoreError: If the store cannot be read.
        """
        with self._database.strictly():
            return maintenance.describe(self._database, self._folder)

    def verify(self) -> Verdict:
        """Read everything and check it: the database's own structure, and each row's checksum.

        Returns:
            What was found.
        """
        return maintenance.verify(self._database)

    def prune(
        self,
        *,
        max_bytes: int | None = None,
        unused_days: float | None = None,
        encoder: str | None = None,
    ) -> Pruned:
        """Drop what is broken and what is not wanted, and give the room back to the disk.

        A file that is broken in itself is emptied.

        Args:
            max_bytes: Drop what was not used for longest until this size is reached; the store's
                own limit by default.
            unused_days: Drop what was not used for that many days.
            encoder: Drop everything of the encoders whose fingerprint begins with this.

        Returns:
            What was done.

        Raises:
            StoreError: If the store can be neither read nor emptied.
        """
        with self._database.strictly():
            try:
                emptied = bool(maintenance.damage(self._database))
                broken, _ = maintenance.broken_rows(self._database)
            except StoreError as error:
                # Only what is wrong with the file itself, which comes as this very class.
                if type(error.__cause__) is not sqlite3.DatabaseError:
                    raise
                emptied, broken = True, []
            if emptied:
                self._database.clear()
            before = maintenance.count(self._database)

            def work(rows: sqlite3.Connection) -> None:
                for table, row in broken:
                    rows.execute(f"DELETE FROM {table} WHERE id = ?", (row,))  # noqa: S608
                if unused_days is not None:
                    since = _now() - int(unused_days * 86400)
                    maintenance.drop_where(rows, "used < ?", since)
                if encoder is not None:
                    theirs = "SELECT id FROM encoders WHERE SUBSTR(fingerprint, 1, ?) = ?"
                    maintenance.drop_where(rows, f"encoder IN ({theirs})", len(encoder), encoder)
                wanted = max_bytes
                if wanted is None:
                    wanted = maintenance.limit(self._database) or None
                if wanted is not None:
                    maintenance.drop_oldest(self._database, rows, wanted)
                maintenance.drop_orphans(rows)

            self._change(work)
            self._database.shrink()
            kept = maintenance.count(self._database)
        return Pruned(before - kept, kept, emptied)

    def flush(self) -> None:
        """Write down which rows were used lately, which is done with other changes otherwise."""
        if any(self._uses.values()):
            self._change(lambda _: None)

    def close(self) -> None:
        """Flush, and let go of the file."""
        self.flush()
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({str(self._folder)!r})"

    def _rows(
        self, encoder: str, content: bytes, *layouts: str
    ) -> Iterator[tuple[Indices, Packed]]:
        """What is there of a picture in two layouts, that of the whole picture first."""
        for row, used, stamp, places, data in self._database.read(
            "SELECT v.id, used, checksum, places, data FROM views v JOIN encoders e "
            "ON e.id = v.encoder WHERE fingerprint = ? AND content = ? AND layout IN (?, ?) "
            "ORDER BY layout",
            encoder,
            content,
            *layouts,
        ):
            if checksum(places, data) == stamp:  # else it is encoded again, and replaced
                self._note_use("views", row, used)
                numbers = np.frombuffer(places, "<u2").astype(np.int64)
                yield numbers, from_bytes(data, len(numbers))

    def _merge(
        self,
        rows: sqlite3.Connection,
        encoder: str,
        layout: str,
        content: bytes,
        indices: Indices,
        packed: Packed,
    ) -> None:
        for held, rounded in self._rows(encoder, content, layout, layout):
            fresh = ~np.isin(indices, held)
            if not fresh.any():
                return
            indices = np.concatenate([held, indices[fresh]])
            packed = np.concatenate([rounded, packed[fresh]])
        order = np.argsort(indices, kind="stable")
        numbers, data = indices[order].astype("<u2").tobytes(), packed[order].tobytes()
        rows.execute(
            "INSERT OR REPLACE INTO views (encoder, layout, content, used, checksum, places, data) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(_encoder_number(rows, encoder), layout, content),
                *(_now(), checksum(numbers, data), numbers, data),
            ),
        )

    def _set_limit(self, rows: sqlite3.Connection, max_bytes: int) -> None:
        rows.execute("INSERT OR REPLACE INTO settings VALUES ('max_bytes', ?)", (max_bytes,))
        self._keep_limit(rows)

    def _keep_limit(self, rows: sqlite3.Connection) -> None:
        limit = maintenance.limit(self._database)
        if limit and self._database.size() > limit:
            maintenance.drop_oldest(self._database, rows, int(_SHARE_KEPT * limit))
            self._too_small = rows.execute("SELECT 1 FROM views LIMIT 1").fetchone() is None

    def _note_use(self, table: str, row: int, used: int) -> None:
        """Remember that a row was used; it is written with the next change."""
        if used + _USE_STEP <= _now():
            with self._database.lock:
                self._uses[table].add(row)

    def _change(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Make a change, and write down with it which rows were used."""

        def with_uses(rows: sqlite3.Connection) -> None:
            now = _now()
            for table, used in self._uses.items():
                rows.executemany(
                    f"UPDATE {table} SET used = ? WHERE id = ?",  # noqa: S608
                    [(now, row) for row in used],
                )
            work(rows)

        with self._database.lock:  # nothing is noted between writing and forgetting
            self._database.change(with_uses)
            for used in self._uses.values():
                used.clear()


def _encoder_number(rows: sqlite3.Connection, fingerprint: str) -> int:
    # Asked for each time, not remembered: another process may have dropped it.
    rows.execute("INSERT OR IGNORE INTO encoders (fingerprint) VALUES (?)", (fingerprint,))
    query = "SELECT id FROM encoders WHERE fingerprint = ?"
    return int(rows.execute(query, (fingerprint,)).fetchone()[0])


def _now() -> int:
    return int(time.time())

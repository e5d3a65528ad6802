"""What is known so far, a line an image, so that a run can stop at any moment and go on.

A line is appended as soon as its image is finished. A process that is killed leaves whole lines and
at most one broken one at the end, which is cut off when the journal is opened again. The first line
says what the rest depends on. Lines of images that have changed stay until the walk is over; then
what is left is put in the order of the data set.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from crossalign.errors import EvaluationError
from crossalign.evaluation.runs import Outcome

_SHORT = {
    "key": "k", "label": "l", "content": "d", "predicted": "p", "rank": "r", "confidence": "c",
    "margin": "m", "score": "s", "error": "e",
    "stamp": "t", "crops": "n",
}  # fmt: skip
_SESSION = b'{"session"'
_EVERY = 5.0  # seconds between two notes of how long a session has taken


class Journal:
    """Outcomes on disk.

    Args:
        path: The file.
        identity: What the outcomes depend on, as plain values. A journal of another identity is
            begun anew.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self.path = path
        self._identity = identity
        self._file: IO[bytes] | None = None
        self._places: dict[bytes, int] = {}
        self._session: dict[str, Any] = {}
        self._worked, self._since, self._noted = 0, 0.0, 0.0
        self.done = 0

    def open(self) -> None:
        """Get ready to append: keep the whole lines that are there, or begin anew."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._places = {}
        whole = self._read()
        self._file = self.path.open("r+b" if self.path.exists() else "x+b")
        self._file.truncate(whole)
        self._file.seek(whole)
        if whole == 0:
            self._write({"identity": self._identity})
        self.done = len(self._places)

    def begin(self, session: Mapping[str, Any]) -> None:
        """Say who appends from now on; it is written down with the first image.

        Args:
            session: Plain values: an ``id``, and whatever is to be kept beside it.
        """
        self._session = dict(session)
        self._worked, self._since = 0, time.perf_counter()

    def find(self, key: str, label: int, stamp: str) -> int | None:
        """Look an image up.

        Args:
            key: Its key.
            label: Its class.
            stamp: By which a changed image is noticed.

        Returns:
            The place of its outcome; None if it is not there or failed, which may be mended.
        """
        return self._places.get(_name(key, label, stamp))

    def append(self, outcome: Outcome) -> int:
        """Write down one image.

        Args:
            outcome: What is known of it.

        Returns:
            The place of the outcome.
        """
        if self._worked == 0 and self._session:
            self._write(_session_line(self._session))
            self._noted = time.perf_counter()
        values = {short: getattr(outcome, name) for name, short in _SHORT.items()}
        place = self._write(
            {name: value for name, value in values.items() if value not in ((), None, "")}
        )
        self._worked += 1
        self.done += 1
        if self._session and time.perf_counter() - self._noted >= _EVERY:
            self._note()
        return place

    def settle(self, places: Sequence[int]) -> None:
        """Bring the outcomes into the order of the data set, and forget all others.

        Args:
            places: Of the outcomes that count, in that order.
        """
        self._note()
        self._stream().flush()
        lines = sum(1 for _ in self._lines())
        ordered = all(one < two for one, two in itertools.pairwise(places))
        if not ordered or lines != len(places):
            self._rewrite(places)
        self.done = len(places)

    def sessions(self) -> list[dict[str, Any]]:
        """Say who computed what is here.

        Returns:
            For each session what it gave to :meth:`begin`, the ``images`` that it computed, and the
            ``seconds`` that it took.
        """
        found: dict[str, dict[str, Any]] = {}
        with self.path.open("rb") as file:
            for line in file:
                if not line.startswith(_SESSION):
                    continue
                try:
                    values = json.loads(line)
                except ValueError:
                    continue  # cut off, or rotten
                name = values.pop("session")
                found.setdefault(name, {"id": name, "images": 0, "seconds": 0.0}).update(values)
        return list(found.values())

    def close(self) -> None:
        """Bring everything to the disk and let go of the file."""
        if self._file is not None:
            self._note()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
            self._places = {}

    def __enter__(self) -> Journal:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Outcome]:
        for _, line in self._lines():
            yield _outcome(self.path, line)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Give the whole lines of outcomes, with their places."""
        with self.path.open("rb") as file:
            place = len(next(file, b""))
            for line in file:
                if line.endswith(b"\n") and not line.startswith(_SESSION):
                    yield place, line
                place += len(line)

    def _read(self) -> int:
        """Note the places of the outcomes; give the length of the whole lines that can be used."""
        if not self.path.exists():
            return 0
        with self.path.open("rb") as file:
            head = file.readline()
            try:
                if not head.endswith(b"\n") or json.loads(head)["identity"] != self._identity:
                    return 0
            except (ValueError, KeyError, TypeError):
                return 0
            whole = len(head)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
        for place, line in self._lines():
            try:
                outcome = _outcome(self.path, line)
            except EvaluationError:
                continue  # a line that rotted is computed again, and dropped in the end
            if outcome.error is None:
                self._places[_name(outcome.key, outcome.label, outcome.stamp)] = place
        return whole

    def _rewrite(self, places: Sequence[int]) -> None:
        part = self.path.with_suffix(".part")
        file = self._stream()
        with part.open("wb") as ordered:
            ordered.write(_line({"identity": self._identity}))
            for session in self.sessions():
                ordered.write(_line(_session_line(session)))
            for place in places:
                file.seek(place)
                ordered.write(file.readline())
            ordered.flush()
            os.fsync(ordered.fileno())
        file.close()  # before it is replaced, as Windows demands
        self._file = None
        part.replace(self.path)
        self._file = self.path.open("r+b")
        self._file.seek(0, os.SEEK_END)

    def _note(self) -> None:
        """Write down how far the session has come."""
        if self._session and self._worked:
            self._noted = time.perf_counter()
            self._write(
                {
                    "session": self._session["id"],
                    "images": self._worked,
                    "seconds": round(self._noted - self._since, 3),
                }
            )

    def _stream(self) -> IO[bytes]:
        if self._file is None:
            raise EvaluationError(f"{self.path}: the journal is not open.")
        return self._file

    def _write(self, values: dict[str, Any]) -> int:
        file = self._stream()
        place = file.tell()
        file.write(_line(values))
        file.flush()  # what the system has outlives the process
        return place


def _line(values: dict[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def _session_line(session: Mapping[str, Any]) -> dict[str, Any]:
    return {"session": session["id"], **{k: v for k, v in session.items() if k != "id"}}


def _name(key: str, label: int, stamp: str) -> bytes:
    """Name an image in a few bytes, however long its key is."""
    text = f"{key}\0{label}\0{stamp}".encode(errors="surrogatepass")
    return hashlib.blake2b(text, digest_size=16).digest()


def _outcome(path: Path, line: bytes) -> Outcome:
    try:
        values = json.loads(line)
        known: dict[str, Any] = {
            name: values[short] for name, short in _SHORT.items() if short in values
        }
        for name, value in known.items():
            known[name] = tuple(value) if isinstance(value, list) else value
        return Outcome(**known)
    except (ValueError, KeyError, TypeError) as error:
        raise EvaluationError(
            f"{path}: expected a line that this program wrote; got something else ({error}). "
            "Remove the file to compute it anew."
        ) from error

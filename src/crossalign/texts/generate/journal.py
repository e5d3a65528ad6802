"""Every answer that was ever received, on disk the moment it is here.

One line of JSON an answer, appended and synced; a line that a crash tore is dropped when the
journal is opened again. What is in it is never asked for again.
"""

from __future__ import annotations

import json
import os
import threading
from collections import defaultdict
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

from crossalign.errors import WriterError
from crossalign.texts.quality import digest
from crossalign.utils.files import failing_as

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Record:
    """One answer, as the journal keeps it.

    Args:
        question: Key of the question.
        class_name: The class.
        model: The model's name.
        prompt: What it was asked.
        time: When the answer came, ISO 8601, UTC.
        answer: What it wrote, cut where it is far too long.
        hash: SHA-256 of ``answer``.
        tokens_in: Tokens of the prompt, as the endpoint counts; 0 if it does not.
        tokens_out: Tokens of the answer, likewise.
        cut: Whether the endpoint cut it off at its limit of tokens.
    """

    question: str
    class_name: str
    model: str
    prompt: str
    time: str
    answer: str
    hash: str
    tokens_in: int = 0
    tokens_out: int = 0
    cut: bool = False


class Journal:
    """The journal beside an output file; a context manager, safe to write from several threads.

    Args:
        path: The file; it is made if it is not there.

    Raises:
        WriterError: If it cannot be opened, or another process is writing to it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unreadable = 0
        self._lock = threading.Lock()
        self._records: defaultdict[str, list[Record]] = defaultdict(list)
        remedy = "). Check that the folder exists and is writable."
        with failing_as(WriterError, f"{path}: the journal cannot be opened (", remedy):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            _lock(self._file, path)
            self._read()
            os.fsync(self._file)
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:  # a thread may still be about to write
            os.close(self._file)
            self._file = -1

    def answers(self, question: str) -> list[Record]:
        """Give the answers to a question.

        Args:
            question: Its key.

        Returns:
            The records, oldest first.
        """
        with self._lock:
            return list(self._records.get(question, ()))

    def add(self, record: Record) -> bool:
        """Store an answer; it is on disk when this returns.

        Args:
            record: The answer.

        Returns:
            False if the journal is closed already.

        Raises:
            OSError: If the disk is full or fails.
        """
        # ASCII: whatever an answer holds, a terminal that shows the journal takes no harm.
        line = json.dumps({"v": _FORMAT, **asdict(record)}, ensure_ascii=True)
        with self._lock:
            if self._file < 0:
                return False
            content = f"{line}\n".encode("ascii")
            while content:
                content = content[os.write(self._file, content) :]
            os.fsync(self._file)
            self._records[record.question].append(record)
            return True

    def _read(self) -> None:
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.ftruncate(self._file, whole)  # the line that was being written when it all ended
            self.unreadable += 1
        for line in content[:whole].splitlines():
            record = _record(line)
            if record is not None:
                self._records[record.question].append(record)
            elif line.strip():
                self.unreadable += 1


def journal_path(out: Path) -> Path:
    """Name the journal of an output file.

    Args:
        out: The output file.

    Returns:
        Its neighbour ``<name>.journal.jsonl``.
    """
    return out.with_name(f"{out.name}.journal.jsonl")


def _record(line: bytes) -> Record | None:
    try:
        values: Any = json.loads(line)
        if values.pop("v") != _FORMAT:
            return None
        record = Record(**values)
        if not all(isinstance(word, str) for word in astuple(record)[:6]):
            return None
        return record if digest(record.answer) == record.hash else None
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return None


def _lock(file: int, path: Path) -> None:
    """Keep a second process out, where the system can; the lock goes with the process."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise WriterError(
            f"{path}: another process is writing to this journal. Wait until it has ended, or name "
            "another output file."
        ) from None

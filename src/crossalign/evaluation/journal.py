"""What is known so far, a line an image, so that a run can stop at any moment and go on.

A line is appended as soon as its image is finished. A process that is killed leaves whole lines and
at most one broken one at the end, which is cut off when the journal is opened again. The first line
says what the rest depends on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
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


class Journal:
    """Outcomes on disk, in the order of the data set.

    Args:
        path: The file.
        identity: What the outcomes depend on, as plain values. A journal of another identity is
            begun anew.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self.path = path
        self._identity = identity
        self._file: IO[bytes] | None = None
        self.done = 0

    def open(self) -> None:
        """Get ready to append: keep the whole lines that are there, or begin anew."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole = self._whole_bytes()
        self._file = self.path.open("r+b" if self.path.exists() else "x+b")
        self._file.truncate(whole)
        self._file.seek(whole)
        if whole == 0:
            self._write({"identity": self._identity})
        self.done = sum(1 for _ in self) if whole else 0

    def append(self, outcome: Outcome) -> None:
        """Write down one image.

        Args:
            outcome: What is known of it.
        """
        values = {short: getattr(outcome, name) for name, short in _SHORT.items()}
        self._write({name: value for name, value in values.items() if value not in ((), None, "")})
        self.done += 1

    def close(self) -> None:
        """Bring everything to the disk and let go of the file."""
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None

    def restart(self) -> None:
        """Forget all images."""
        if self._file is not None:
            self._file.truncate(0)
            self._file.seek(0)
            self._write({"identity": self._identity})
            self.done = 0

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
        with self.path.open("rb") as file:
            next(file, None)
            for line in file:
                if line.endswith(b"\n"):
                    yield _outcome(self.path, line)

    def _write(self, values: dict[str, Any]) -> None:
        if self._file is None:
            raise EvaluationError(f"{self.path}: the journal is not open.")
        text = json.dumps(values, ensure_ascii=True, separators=(",", ":"))
        self._file.write(text.encode() + b"\n")
        self._file.flush()  # what the system has outlives the process

    def _whole_bytes(self) -> int:
        """Length of the whole lines of a journal of this identity; 0 if it is another's."""
        if not self.path.exists():
            return 0
        whole = 0
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
        return whole


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

"""Where a job may write: nothing is replaced or removed that it did not write itself.

A report, shards and a FiftyOne data set are folders of files that a later run replaces. Which of
the files there are its own stands in a list beside them, :data:`LIST`, and each name is put into
the list before the file is written: whatever ends the program, what it left is known.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from crossalign.errors import LabelingError
from crossalign.labeling.sources import Source
from crossalign.utils import files

LIST = ".crossalign-files"
"""Names the files of a folder that are crossalign's own: a heading, then a name a line."""

# A folder is left where something else is in it, or where it is a link or a mount.
_LEFT = contextlib.suppress(OSError)
_HEAD = "# crossalign wrote these files, and may replace or remove them: "


class OwnFolder:
    """A folder whose files are replaced only where they were written through this class.

    Args:
        path: The folder; it need not be there.
        what: What it holds, in a word or two: another kind's files are left alone.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as name:
        ...     folder = OwnFolder(Path(name, "report"), "report")
        ...     folder.clear()
        ...     _ = folder.claim("index.html").write_text("<p>...")
        ...     _ = Path(name, "report", "notes.txt").write_text("mine")
        ...     folder.clear()
        ...     sorted(path.name for path in Path(name, "report").iterdir())
        ['.crossalign-files', 'notes.txt']
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        self._what = what
        self._own: set[str] = set()

    def check(self) -> None:
        """Raise unless the folder is new, empty or of an earlier run; nothing is written.

        Raises:
            LabelingError: If it holds files that are not known to be crossalign's own.
        """
        if self.path.exists() and not self.path.is_dir():
            raise LabelingError(f"expected a folder for {self._what}; {self.path} is a file.")
        if self._read() is None and self.path.is_dir() and any(self.path.iterdir()):
            raise LabelingError(
                f"expected an empty or a new folder for {self._what}, or one that an earlier run "
                f"wrote; {self.path} holds other files, which are left as they are. Choose another "
                "folder."
            )
        check_writable(self.path)

    def names(self) -> list[str]:
        """List what is crossalign's own, as far as it is there.

        Returns:
            Names relative to the folder.
        """
        return [name for name in sorted(self._read() or ()) if os.path.lexists(self.path / name)]

    def clear(self) -> None:
        """Make the folder, or remove crossalign's own files from it.

        Raises:
            LabelingError: As :meth:`check`.
        """
        self.check()
        self.path.mkdir(parents=True, exist_ok=True)
        self._remove()
        (self.path / LIST).write_text(f"{_HEAD}{self._what}\n", encoding="utf-8")
        self._own = set()

    def claim(self, name: str) -> Path:
        """Say that a file will be written; :meth:`clear` comes first.

        Args:
            name: Relative to the folder, with ``/`` between its parts.

        Returns:
            Its path, in a folder that is there.

        Raises:
            LabelingError: If somebody else's file is in the way.
        """
        path = self.path / name
        if name in self._own:
            return path
        if os.path.lexists(path) or not self._is_within(path):
            raise LabelingError(
                f"{path} is in the way: it was not written by crossalign and is left as it is. "
                "Move it aside, or choose another folder."
            )
        with (self.path / LIST).open("a", encoding="utf-8") as stream:
            stream.write(f"{name}\n")
        self._own.add(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def remove(self) -> None:
        """Remove crossalign's own files, and the folder where nothing else is in it."""
        if self._read() is None:
            return
        self._remove()
        (self.path / LIST).unlink(missing_ok=True)
        with _LEFT:
            self.path.rmdir()

    def _remove(self) -> None:
        own = self._read() or set()
        for name in own:
            path = self.path / name
            if not self._is_within(path) or path.is_dir():
                continue
            path.unlink(missing_ok=True)
            for left in files.unfinished_files(path):
                left.unlink(missing_ok=True)
        for parent in sorted({(self.path / name).parent for name in own}, reverse=True):
            if parent != self.path:
                with _LEFT:
                    parent.rmdir()

    def _read(self) -> set[str] | None:
        """Names in the list; None where there is none of this kind."""
        try:
            lines = (self.path / LIST).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            return None
        if not lines or lines[0] != f"{_HEAD}{self._what}":
            return None
        return {line for line in lines[1:] if line and line != LIST}

    def _is_within(self, path: Path) -> bool:
        """Tell whether a name stays in the folder, links on its way included."""
        return path.name != ".." and path.parent.resolve().is_relative_to(self.path.resolve())


def check_writable(folder: Path) -> None:
    """Raise if nothing can be written to a folder, which is not made.

    Args:
        folder: It, or what it will be in.

    Raises:
        LabelingError: If it cannot be written.
    """
    remedy = (
        f". Check the rights of {files.nearest_folder(folder)} and whether there is room, or "
        "choose another place."
    )
    with files.failing_as(LabelingError, f"cannot write to {folder}: ", remedy):
        files.check_writable(folder)


def is_source(path: Path, source: Source) -> bool:
    """Tell whether a path is the source itself, or one of the files that it is read from.

    Args:
        path: Where something will be written.
        source: The source.

    Returns:
        True also for another name of the same file.
    """
    real = path.resolve()
    return any(part == real for part in _parts(source))


def is_inside(path: Path, source: Source) -> bool:
    """Tell whether files at or below a path would become part of the source.

    Args:
        path: Where something will be written.
        source: The source.

    Returns:
        False for lists, tables and archives, to which nothing is added.
    """
    return source.folder is not None and path.resolve().is_relative_to(source.folder.resolve())


def holds(path: Path, source: Source) -> bool:
    """Tell whether a folder has the source, or a file that it is read from, somewhere below it.

    Args:
        path: The folder.
        source: The source.

    Returns:
        True also if it is the source.
    """
    real = path.resolve()
    return any(part.is_relative_to(real) for part in _parts(source))


def _parts(source: Source) -> Iterator[Path]:
    """Resolved, at the cost of one look-up a folder: a pattern may fit a million files."""
    folders: dict[Path, Path] = {}
    for part in source.parts:
        if part.is_symlink() or part.name == "..":
            yield part.resolve()
            continue
        if part.parent not in folders:
            folders[part.parent] = part.parent.resolve()
        yield folders[part.parent] / part.name if part.name else part.resolve()

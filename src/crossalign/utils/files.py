"""Files that appear whole or not at all, and names for what is in them."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, TextIO

_BLOCK = 2**20


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Write a file under another name, and give it its own when it is complete and on disk.

    The file and then its folder are synced, so that a power cut leaves the old file or the new one.
    Whatever ends the block leaves the old one, and nothing beside it; a kill may leave what
    :func:`unfinished_files` finds.

    Args:
        path: What it shall be called; its folder is there.

    Yields:
        Where to write it.

    Raises:
        OSError: If it cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield unfinished
        with unfinished.open("rb+") as stream:
            os.fsync(stream.fileno())
        unfinished.replace(path)
        _sync_folder(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8, that appears whole or not at all.

    Args:
        path: The file; its folder is there.
        text: What goes into it; lines end as they do here.

    Raises:
        OSError: If it cannot be written.
    """
    with whole_file(path) as unfinished:
        unfinished.write_bytes(text.encode("utf-8"))


def open_text(path: Path, *, newline: str | None = None) -> TextIO:
    """Open a file for text in which names of files that are not valid text are shown as well.

    Args:
        path: The file.
        newline: As in ``open``.

    Returns:
        The file.
    """
    return path.open("w", encoding="utf-8", errors="backslashreplace", newline=newline)


def packaged_text(room: str, name: str) -> str:
    """Read a text file that ships with the package.

    Args:
        room: The room that it belongs to.
        name: Its name in the room's ``data``.

    Returns:
        Its text.
    """
    return (resources.files(f"crossalign.{room}") / "data" / name).read_text(encoding="utf-8")


@contextmanager
def failing_as(error: type[Exception], before: str, after: str = ".") -> Iterator[None]:
    """Raise an error of ours in place of the system's, with the reason that it gives.

    Args:
        error: What is raised.
        before: The message up to the reason.
        after: The message after it.

    Yields:
        Nothing.

    Raises:
        Exception: ``error``, in place of an OSError.

    Example:
        >>> with failing_as(ValueError, "no such list: ", "!"):
        ...     open("/there/is/none")
        Traceback (most recent call last):
        ...
        ValueError: no such list: No such file or directory!
    """
    try:
        yield
    except OSError as failure:
        raise error(f"{before}{failure.strerror or failure}{after}") from failure


def unfinished_files(path: Path) -> list[Path]:
    """Find what :func:`whole_file` left of a file when it was killed.

    Args:
        path: What the file was to be called.

    Returns:
        Files beside it.
    """
    name = re.compile(re.escape(f".{path.name}.") + "[0-9a-f]{8}")
    if not path.parent.is_dir():
        return []
    return [other for other in path.parent.iterdir() if name.fullmatch(other.name)]


def nearest_folder(path: Path) -> Path:
    """Find the folder that a path will be in, as far as it is there.

    Args:
        path: Any path.

    Returns:
        The path itself if it is there, else the first of its parents that is.
    """
    return next((one for one in (path, *path.absolute().parents) if one.exists()), path)


def check_writable(folder: Path) -> None:
    """Find out whether files can be made in a folder, by making one that has no name.

    Args:
        folder: It, or what it will be in; nothing is made of it.

    Raises:
        OSError: If they cannot.
    """
    with tempfile.TemporaryFile(dir=nearest_folder(folder)):
        pass


def file_digest(path: Path, digest: Callable[[], Any] | None = None) -> str:
    """Name the content of a file.

    Args:
        path: The file.
        digest: Makes a hash object; BLAKE2b of 16 bytes by default.

    Returns:
        Hexadecimal digits, 32 by default.

    Raises:
        OSError: If it cannot be read.
    """
    total = hashlib.blake2b(digest_size=16) if digest is None else digest()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            total.update(block)
    found: str = total.hexdigest()
    return found


def _sync_folder(folder: Path) -> None:
    """Have the system write down that a file has its name; where it cannot, it does so in time."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    except OSError:  # some network file systems refuse
        pass
    finally:
        os.close(handle)

"""Where images come from: folders, patterns, lists, tables, tar and zip archives.

A source is a stream of entries in an order that does not change: an identity that is the same at
the next run, and a way to get at the image. It can be gone through any number of times; what is not
loaded is not read, as far as the format allows.
"""

from __future__ import annotations

import glob
import io
import itertools
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from crossalign.errors import ImageError, LabelingError
from crossalign.images import has_image_ending, stored_pixels
from crossalign.labeling.tables import (
    BYTES_COLUMNS,
    PATH_COLUMNS,
    column_of,
    csv_column,
    open_csv,
    open_list,
    pyarrow,
)
from crossalign.utils.files import failing_as

# Where a file says how many pixels it holds, if not at its start.
_HEAD = 2**24


class NamedBytes(io.BytesIO):
    """The bytes of an image file, with a name for messages.

    Args:
        data: The bytes.
        name: What to call them.
    """

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of a source.

    Args:
        id: Its identity within the source, the same at every run.
        path: What tables and messages call it: a path where it is a file.
        load: Gives the path or the bytes; to be called before the next entry is asked for. Raises
            ImageError.
        stamp: By which a changed image is noticed without reading it: size and time of a file, size
            and checksum in an archive; empty if there is none.
    """

    id: str
    path: str
    load: Callable[[], str | NamedBytes]
    stamp: str = ""


Entries: TypeAlias = Callable[[], Iterator[Entry]]


@dataclass(frozen=True, slots=True)
class Source:
    """A stream of images that can be gone through again.

    Args:
        name: What was given.
        entries: Goes through it from the start.
        files: Whether all entries are files on disk, each of its own.
        folder: The folder in which any new photo becomes part of it, where there is one.
        parts: What it is read from: the folder, the list, table or archive, the pattern's files.
    """

    name: str
    entries: Entries
    files: bool
    folder: Path | None = None
    parts: tuple[Path, ...] = ()


Reader: TypeAlias = Callable[[Path, str, "str | None"], Source]
"""Reads one kind of file: its path, its identity in the source, the column that was asked for."""


def open_source(
    source: str | os.PathLike[str], *, column: str | None = None, may_be_empty: bool = False
) -> Source:
    """Find out what a source is.

    Args:
        source: A folder, which is searched with all folders below it; a pattern such as
            ``photos/**/*.jpg`` or ``shards/*.tar``; a ``.txt`` list of paths; a ``.csv``, ``.tsv``
            or ``.parquet`` table with a column of paths, or (parquet) of image files; a ``.tar``
            archive, compressed or not, as WebDataset makes them; a ``.zip`` archive; or one image.
            Paths in a list or a table are relative to its folder. Names that start with a dot are
            left out, and so are links to folders.
        column: The table's column, if its name is not one of the usual ones.
        may_be_empty: Whether a pattern that no file fits is a source without images, as after its
            images were moved.

    Returns:
        The source. Of a table the names of its columns are read, of others nothing yet.

    Raises:
        LabelingError: If there is no such thing, if it is of another kind, or if there is no such
            column.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("b.jpg", "a.png", "notes.txt"):
        ...         _ = Path(folder, name).write_bytes(b"...")
        ...     [entry.id for entry in open_source(folder).entries()]
        ['a.png', 'b.jpg']
    """
    text, path = os.fspath(source), Path(source)
    if path.exists():
        paths = [text]
    elif glob.has_magic(text):
        paths = sorted(name for name in glob.glob(text, recursive=True) if Path(name).is_file())  # noqa: PTH207
    else:
        raise LabelingError(
            f"expected a folder, a pattern, a list (.txt), a table (.csv, .parquet) or an archive "
            f"(.tar, .zip); there is no {text!r}. Check the path."
        )
    if not paths and not may_be_empty:
        raise LabelingError(f"no file fits the pattern {text!r}. Check it.")
    if path.is_dir():
        found = Source(text, lambda: _walk(path, ""), files=True, folder=path, parts=(path,))
    elif path.exists():
        found = replace(_file(path, path.name, column), parts=(path,))
    else:
        found = _pattern(text, paths, column)
    if column is not None and paths and not any(_reader(name) in _TABLES for name in paths):
        raise LabelingError(
            f"a column ({column!r}) is for tables (.csv, .tsv, .parquet); {source} is none. Leave "
            "out --column."
        )
    return found


def _walk(folder: Path, below: str) -> Iterator[Entry]:
    """All photos of a folder, by name, then those of its folders."""
    photos, folders = [], []
    try:
        with os.scandir(folder) as found:
            for item in found:
                if item.name.startswith("."):
                    continue
                if item.is_dir(follow_symlinks=False):
                    folders.append(item.name)
                elif has_image_ending(item.name):
                    photos.append(item.name)
    except OSError as error:
        # One folder without rights does not end the job: it is a row of the table.
        reason = error.strerror or "cannot be read"
        yield _failed(below or ".", str(folder), f"{folder}: the folder cannot be listed: {reason}")
        return
    for name in sorted(photos):
        yield file_entry(below + name, f"{folder}{os.sep}{name}")
    del photos
    for name in sorted(folders):
        yield from _walk(folder / name, f"{below}{name}/")


def file_entry(identity: str, path: str) -> Entry:
    """Make an entry of a file.

    Args:
        identity: Within the source.
        path: The file; one that is not there fails when it is loaded.

    Returns:
        The entry.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path for each of millions takes longer
    except (OSError, ValueError):
        return Entry(identity, path, lambda: path)  # loading it says why
    return Entry(identity, path, lambda: path, f"{status.st_size} {status.st_mtime_ns}")


def _failed(identity: str, path: str, message: str) -> Entry:
    def load() -> str:
        raise ImageError(message)

    return Entry(identity, path, load)


def _pattern(text: str, paths: Sequence[str], column: str | None) -> Source:
    parts = [_file(Path(name), name, column) for name in paths]
    return Source(
        text,
        lambda: itertools.chain.from_iterable(part.entries() for part in parts),
        files=all(part.files for part in parts),
        folder=_grows(text, paths),
        parts=tuple(map(Path, paths)),
    )


def _grows(pattern: str, paths: Sequence[str]) -> Path | None:
    """The folder in which new photos, wherever they are, fit a pattern of photos with ``**``."""
    parts = Path(pattern).parts
    if "**" not in parts or all(_reader(name) for name in paths):
        return None
    return Path(*itertools.takewhile(lambda part: not glob.has_magic(part), parts))


def _reader(name: str) -> Reader | None:
    return next((made for end, made in _READERS.items() if name.lower().endswith(end)), None)


def _file(path: Path, identity: str, column: str | None) -> Source:
    reader = _reader(path.name)
    if reader is not None:
        return reader(path, identity, column)
    if not has_image_ending(path) and not _is_image(path):
        raise LabelingError(
            f"expected a list or a table ({', '.join(_READERS)}) or an image; {path} is neither. "
            "Paths of images, one a line, are read from a .txt file."
        )
    return Source(str(path), lambda: iter([file_entry(identity, str(path))]), files=True)


def _is_image(path: Path) -> bool:
    """Look into a file whose name says nothing."""
    with failing_as(LabelingError, f"{path} cannot be read: "), path.open("rb") as stream:
        return stored_pixels(stream.read(_HEAD)) > 0


# ------------------------------------------------------------------------------- lists and tables


def _listed(path: Path, identity: str, text: str) -> Entry:
    """An entry for a path that stands in a list or a table.

    Its identity is the path as it stands there; where several lists are read, from the list's own
    folder on, so that pictures that are called alike in different folders stay apart.
    """
    return file_entry(os.path.join(os.path.dirname(identity), text), str(path.parent / text))  # noqa: PTH118, PTH120


def _text_list(path: Path, identity: str, _column: str | None) -> Source:
    def entries() -> Iterator[Entry]:
        with open_list(path) as lines:
            for name in (line.rstrip("\r\n") for line in lines):
                if name.strip() and not name.startswith("#"):
                    yield _listed(path, identity, name)

    return Source(str(path), entries, files=True)


def _csv(path: Path, identity: str, column: str | None) -> Source:
    delimiter, name = csv_column(path, column)

    def entries() -> Iterator[Entry]:
        with open_csv(path, delimiter) as rows:
            yield from (_listed(path, identity, row[name]) for row in rows if row.get(name))

    return Source(str(path), entries, files=True)


def _parquet(path: Path, identity: str, column: str | None) -> Source:
    pa, parquet = pyarrow("reading parquet")
    try:
        schema = parquet.read_schema(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise LabelingError(f"{path} is not a parquet table that can be read: {error}.") from error
    usual = (*PATH_COLUMNS, *BYTES_COLUMNS)
    name = column_of(path, schema.names, column, usual)
    if column is None and _is_text(schema.field(name).type):
        # Bytes are what the table is for, and the path beside them need not lead anywhere.
        held = [other for other in BYTES_COLUMNS if other in schema.names]
        name = next((o for o in held if not _is_text(schema.field(o).type)), name)
    paths = _is_text(schema.field(name).type)

    def entries() -> Iterator[Entry]:
        row = 0
        with parquet.ParquetFile(path) as table:
            for batch in table.iter_batches(batch_size=64, columns=[name]):
                for value in batch.column(0):
                    yield _cell(path, identity, row, value.as_py())
                    row += 1

    return Source(str(path), entries, files=paths)


def _is_text(kind: Any) -> bool:
    return str(kind) in ("string", "large_string", "string_view")


def _cell(path: Path, identity: str, row: int, value: Any) -> Entry:
    """A cell is a path, an image file, or both as ``{"bytes": ..., "path": ...}``."""
    if isinstance(value, str) and value:
        return _listed(path, identity, value)
    names = (f"{identity}#{row}", f"{path}#{row}")
    data = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(data, bytes):
        return _failed(*names, f"{names[1]}: expected an image, got an empty cell")
    stamp = f"{len(data)} {zlib.crc32(data)}"
    return Entry(*names, lambda: NamedBytes(data, names[1]), stamp)


# --------------------------------------------------------------------------------------- archives

_DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    tarfile.TarError,
    zipfile.BadZipFile,
    NotImplementedError,
)


def _archive(
    members: Callable[[Path], Iterator[tuple[str, Callable[[], bytes], str]]],
) -> Reader:
    """Make a reader of archives from what gives their members."""

    def reader(path: Path, identity: str, _column: str | None) -> Source:
        def entries() -> Iterator[Entry]:
            try:
                for name, read, stamp in members(path):
                    if has_image_ending(name) and not _is_hidden(name):
                        yield _member(f"{identity}/{name}", f"{path}/{name}", read, stamp)
            except _DAMAGED as error:
                # What came before the damage is labelled; the rest is a row of the table.
                yield _failed(
                    f"{identity}#rest",
                    f"{path}#rest",
                    f"{path}: the archive cannot be read to its end ({error}); copy or download it "
                    "again",
                )

        return Source(str(path), entries, files=False)

    return reader


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _member(identity: str, path: str, read: Callable[[], bytes], stamp: str) -> Entry:
    def load() -> NamedBytes:
        try:
            return NamedBytes(read(), path)
        except (*_DAMAGED, RuntimeError) as error:  # RuntimeError: a password
            raise ImageError(f"{path}: cannot be read from the archive ({error})") from error

    return Entry(identity, path, load, stamp)


def _tar_members(path: Path) -> Iterator[tuple[str, Callable[[], bytes], str]]:
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile():
                # A regular file always has content.
                read = lambda: archive.extractfile(member).read()  # type: ignore[union-attr]  # noqa: E731, B023
                yield member.name, read, f"{member.size} {member.mtime}"
            # Else it remembers every member that it has passed.
            archive.members = []  # type: ignore[attr-defined]


def _zip_members(path: Path) -> Iterator[tuple[str, Callable[[], bytes], str]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                read = lambda: archive.read(member)  # noqa: E731, B023
                yield member.filename, read, f"{member.file_size} {member.CRC}"


_TABLES = (_csv, _parquet)
# How the name ends -> who reads it. The first that fits.
_READERS: dict[str, Reader] = {
    ".txt": _text_list,
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
    ".zip": _archive(_zip_members),
    **dict.fromkeys((".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2"), _archive(_tar_members)),
}

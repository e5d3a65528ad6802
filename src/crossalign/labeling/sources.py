"""Where images come from: folders, patterns, lists, tables, tar and zip archives.

A source is a stream of entries in an order that does not change: an identity that is the same at
the next run, and a way to get at the image. It can be gone through any number of times; what is not
loaded is not read, as far as the format allows.
"""

from __future__ import annotations

import csv
import glob
import io
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, TypeAlias

from crossalign.errors import ImageError, LabelingError
from crossalign.images import IMAGE_ENDINGS
from crossalign.labeling.sinks import pyarrow

PATH_COLUMNS = ("path", "image", "file", "filename", "file_name", "filepath", "image_path")
"""Names that a column of paths goes by, in the order in which they are looked for."""

BYTES_COLUMNS = ("bytes", "image_bytes", "image", "jpg", "data")
"""Names that a column of image files goes by."""

# One cell may be a data set's longest caption; the module's own limit, 128 KiB, is for no reason.
_MOST_CELL = 2**24


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
        folder: The folder that holds everything, where there is one.
    """

    name: str
    entries: Entries
    files: bool
    folder: Path | None = None


def open_source(source: str | os.PathLike[str], *, column: str | None = None) -> Source:
    """Find out what a source is.

    Args:
        source: A folder, which is searched with all folders below it; a pattern such as
            ``photos/**/*.jpg`` or ``shards/*.tar``; a ``.txt`` list of paths; a ``.csv``, ``.tsv``
            or ``.parquet`` table with a column of paths, or (parquet) of image files; a ``.tar``
            archive, compressed or not, as WebDataset makes them; a ``.zip`` archive; or one image.
            Paths in a list or a table are relative to its folder. Names that start with a dot are
            left out, and so are links to folders.
        column: The table's column, if its name is not one of the usual ones.

    Returns:
        The source. It is not read yet.

    Raises:
        LabelingError: If there is no such thing.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("b.jpg", "a.png", "notes.txt"):
        ...         _ = Path(folder, name).write_bytes(b"...")
        ...     [entry.id for entry in open_source(folder).entries()]
        ['a.png', 'b.jpg']
    """
    text = os.fspath(source)
    path = Path(text)
    if path.is_dir():
        return Source(text, lambda: _walk(path, ""), files=True, folder=path)
    if path.exists():
        return _file(path, path.name, column)
    if glob.has_magic(text):
        return _pattern(text, column)
    raise LabelingError(
        f"expected a folder, a pattern, a list (.txt), a table (.csv, .parquet) or an archive "
        f"(.tar, .zip); there is no {text!r}. Check the path."
    )


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
                elif os.path.splitext(item.name)[1].lower() in IMAGE_ENDINGS:  # noqa: PTH122
                    photos.append(item.name)
    except OSError as error:
        # One folder without rights does not end the job: it is a row of the table.
        reason = error.strerror or "cannot be read"
        yield _failed(below or ".", str(folder), f"{folder}: the folder cannot be listed: {reason}")
        return
    for name in sorted(photos):
        yield _on_disk(below + name, f"{folder}{os.sep}{name}")
    del photos
    for name in sorted(folders):
        yield from _walk(folder / name, f"{below}{name}/")


def _on_disk(identity: str, path: str) -> Entry:
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path for each of millions takes longer
    except (OSError, ValueError):
        return Entry(identity, path, lambda: path)  # loading it says why
    return Entry(identity, path, lambda: path, f"{status.st_size} {status.st_mtime_ns}")


def _failed(identity: str, path: str, message: str) -> Entry:
    def load() -> str:
        raise ImageError(message)

    return Entry(identity, path, load)


def _pattern(text: str, column: str | None) -> Source:
    paths = sorted(name for name in glob.glob(text, recursive=True) if Path(name).is_file())  # noqa: PTH207
    if not paths:
        raise LabelingError(f"no file fits the pattern {text!r}. Check it.")
    parts = [_file(Path(name), name, column) for name in paths]

    def entries() -> Iterator[Entry]:
        for part in parts:
            yield from part.entries()

    return Source(text, entries, files=all(part.files for part in parts))


def _file(path: Path, identity: str, column: str | None) -> Source:
    for ending, reader in _READERS.items():
        if path.name.lower().endswith(ending):
            return reader(path, identity, column)
    return Source(str(path), lambda: iter([_on_disk(identity, str(path))]), files=True)


# ------------------------------------------------------------------------------- lists and tables


def _listed(path: Path, text: str) -> Entry:
    """An entry for a path that stands in a list or a table."""
    return _on_disk(text, str(path.parent / text))


def _text_list(path: Path, _identity: str, _column: str | None) -> Source:
    def entries() -> Iterator[Entry]:
        with _opened(path) as lines:
            for line in lines:
                name = line.rstrip("\r\n")
                if name.strip() and not name.startswith("#"):
                    yield _listed(path, name)

    return Source(str(path), entries, files=True)


def _csv(path: Path, _identity: str, column: str | None) -> Source:
    def entries() -> Iterator[Entry]:
        delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
        before = csv.field_size_limit(_MOST_CELL)
        try:
            with _opened(path, newline="") as lines:
                rows = csv.DictReader(lines, delimiter=delimiter)
                name = _column(path, rows.fieldnames or (), column, PATH_COLUMNS)
                for row in rows:
                    if row[name]:
                        yield _listed(path, row[name])
        except csv.Error as error:
            raise LabelingError(f"{path} is not a table that can be read: {error}.") from error
        finally:
            csv.field_size_limit(before)

    return Source(str(path), entries, files=True)


def _column(path: Path, names: Any, wanted: str | None, usual: tuple[str, ...]) -> str:
    found = list(names)
    if wanted is not None and wanted in found:
        return wanted
    for name in () if wanted is not None else usual:
        if name in found:
            return name
    if wanted is None and len(found) == 1:
        return str(found[0])
    raise LabelingError(
        f"expected a column {repr(wanted) if wanted else 'of ' + ' or '.join(usual[:3])} in "
        f"{path}; it has {', '.join(map(repr, found)) or 'none'}. Name the column of images "
        "(--column NAME)."
    )


def _parquet(path: Path, identity: str, column: str | None) -> Source:
    pa, parquet = pyarrow("reading parquet")
    try:
        schema = parquet.read_schema(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise LabelingError(f"{path} is not a parquet table that can be read: {error}.") from error
    usual = (*PATH_COLUMNS, *BYTES_COLUMNS)
    name = _column(path, schema.names, column, usual)
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
                    yield _cell(path, f"{identity}#{row}", value.as_py())
                    row += 1

    return Source(str(path), entries, files=paths)


def _is_text(kind: Any) -> bool:
    return str(kind) in ("string", "large_string", "string_view")


def _cell(path: Path, place: str, value: Any) -> Entry:
    """A cell is a path, an image file, or both as ``{"bytes": ..., "path": ...}``."""
    if isinstance(value, str) and value:
        return _listed(path, value)
    data = value.get("bytes") if isinstance(value, dict) else value
    shown = f"{path.parent / place}"
    if not isinstance(data, bytes):
        return _failed(place, shown, f"{shown}: expected an image, got an empty cell")
    return Entry(place, shown, lambda: NamedBytes(data, shown), f"{len(data)} {zlib.crc32(data)}")


def _opened(path: Path, newline: str | None = None) -> TextIO:
    """Open a list; names of files in it need not be valid text and come through as they are."""
    try:
        return path.open(encoding="utf-8-sig", errors="surrogateescape", newline=newline)
    except OSError as error:
        raise LabelingError(f"{path} cannot be read: {error.strerror}.") from error


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
) -> Callable[[Path, str, str | None], Source]:
    """Make a reader of archives from what gives their members."""

    def reader(path: Path, identity: str, _column: str | None) -> Source:
        def entries() -> Iterator[Entry]:
            try:
                for name, read, stamp in members(path):
                    if Path(name).suffix.lower() in IMAGE_ENDINGS and not _is_hidden(name):
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
                read = lambda: _content(archive.extractfile(member))  # noqa: E731, B023
                yield member.name, read, f"{member.size} {member.mtime}"
            # Else it remembers every member that it has passed.
            archive.members = []  # type: ignore[attr-defined]


def _zip_members(path: Path) -> Iterator[tuple[str, Callable[[], bytes], str]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                read = lambda: archive.read(member)  # noqa: E731, B023
                yield member.filename, read, f"{member.file_size} {member.CRC}"


def _content(stream: Any) -> bytes:
    if stream is None:
        raise ValueError("the member has no content")
    data: bytes = stream.read()
    return data


# How the name ends -> who reads it. The first that fits.
_READERS: dict[str, Callable[[Path, str, str | None], Source]] = {
    ".txt": _text_list,
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
    ".zip": _archive(_zip_members),
    **dict.fromkeys((".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2"), _archive(_tar_members)),
}

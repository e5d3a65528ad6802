"""Class folders: the images of a job in a folder a decision, as copies, links or moved there."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from crossalign.errors import ImageError, LabelingError
from crossalign.images.load import read_file
from crossalign.labeling.decisions import NO_LABEL, Row
from crossalign.labeling.job_file import JobFile
from crossalign.labeling.sources import Entry, Source, file_entry
from crossalign.utils.files import whole_file

_Image: TypeAlias = tuple[str, Row, "str | bytes"]
"""Identity, row, and path or bytes."""


def finished_source(job: JobFile, source: Source) -> Source:
    """Give the finished images of a job where they are now; some may have been moved.

    Args:
        job: The job.
        source: Its source.

    Returns:
        The job's own images where they are files; else the source as it is.
    """
    if not source.files:
        return source
    return replace(source, entries=lambda: (file_entry(i, row.path) for i, row in job.finished()))


def copy_folders(path: Path, job: JobFile, source: Source) -> int:
    """Copy the images into folders. No file is ever overwritten.

    Args:
        path: The folder of the folders.
        job: The finished job.
        source: Its source.

    Returns:
        Number of images.

    Raises:
        LabelingError: If an image cannot be read any more.
    """
    return _fill(path, _contents(job, source), _copy)


def _contents(job: JobFile, source: Source) -> Iterator[_Image]:
    """The finished images that are still there, wherever they are."""
    if source.files:
        yield from _present(job)
        return
    rows = dict(job.finished())
    for entry in source.entries():
        row = rows.pop(entry.id, None)
        if row is not None:
            yield entry.id, row, _loaded(entry)


def _loaded(entry: Entry) -> bytes:
    try:
        return read_file(entry.load()) or b""
    except ImageError as error:
        raise LabelingError(f"{error}. It was there when it was labelled.") from error


def link_folders(path: Path, job: JobFile) -> int:
    """Link the images into folders. No file is ever overwritten.

    Args:
        path: The folder of the folders.
        job: The finished job; its images are files.

    Returns:
        Number of images.
    """
    return _fill(
        path, _present(job), lambda image, target: target.symlink_to(Path(image).absolute())
    )


def _fill(path: Path, images: Iterator[_Image], put: Callable[[Any, Path], None]) -> int:
    """Put each image where it belongs, as far as nothing is there."""
    written = 0
    for identity, row, content in images:
        for target in _targets(path, identity, row):
            if not os.path.lexists(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                put(content, target)
        written += 1
    return written


def move_folders(path: Path, job: JobFile) -> int:
    """Move the images into folders, and write down where they went. No file is ever overwritten.

    A link is made anew, and leads to where its image is or goes; links come first, so that a move
    that was cut short can go on.

    Args:
        path: The folder of the folders.
        job: The finished job; its images are files, with a decision each.

    Returns:
        Number of images that were moved now.

    Raises:
        LabelingError: If something is in the way; what was moved before is written down.
    """
    written = 0
    for identity, row, target, leads_to in _moves(path, job):
        if os.path.lexists(target):
            raise LabelingError(f"{target} is in the way of {row.path}. Move it aside first.")
        target.parent.mkdir(parents=True, exist_ok=True)
        if leads_to is None:
            _move(row.path, target)
        else:
            target.symlink_to(leads_to)
            Path(row.path).unlink()
        job.note_moved(identity, str(target))
        written += 1
    return written


def _moves(path: Path, job: JobFile) -> Iterator[tuple[str, Row, Path, str | None]]:
    """Identity, row, new place and, of links, where they shall lead; links come first."""
    links = {
        identity: os.path.realpath(row.path)
        for identity, row in job.finished()
        if os.path.islink(row.path)  # noqa: PTH114
    }
    wanted = set(links.values())
    new = {
        real: str(_target(path, identity, row).absolute())
        for identity, row in (job.finished() if links else ())
        if identity not in links and (real := os.path.realpath(row.path)) in wanted
    }
    for turn in (True, False) if links else (False,):
        for identity, row in job.finished():
            target = _target(path, identity, row)
            if (identity in links) != turn or target.absolute() == Path(row.path).absolute():
                continue
            if os.path.lexists(row.path):
                leads_to = links.get(identity)
                yield identity, row, target, new.get(leads_to, leads_to) if leads_to else None
            elif os.path.lexists(target):  # by a run that was killed before it wrote it down
                job.note_moved(identity, str(target))


def _present(job: JobFile) -> Iterator[_Image]:
    """The finished images that are still there."""
    for identity, row in job.finished():
        if os.path.exists(row.path):  # noqa: PTH110
            yield identity, row, row.path


def _target(path: Path, identity: str, row: Row) -> Path:
    return next(_targets(path, identity, row))


def _targets(path: Path, identity: str, row: Row) -> Iterator[Path]:
    """A path for each label; the identity keeps photos apart that are called alike."""
    undecided = row.decision if isinstance(row.decision, str) else NO_LABEL
    for name in row.labels or [undecided]:
        yield path.joinpath(_safe(name), *map(_safe, identity.strip("/").split("/")))


def _copy(content: str | bytes, target: Path) -> None:
    with whole_file(target) as unfinished:
        if isinstance(content, str):
            shutil.copyfile(content, unfinished)
        else:
            unfinished.write_bytes(content)
    if isinstance(content, str):
        shutil.copystat(content, target)


def _move(source: str, target: Path) -> None:
    try:
        os.rename(source, target)  # noqa: PTH104
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # To another disk: the original goes when the copy is whole.
        _copy(source, target)
        Path(source).unlink()


def _safe(name: str) -> str:
    """Make a name that every file system takes; two different names never become one."""
    safe = re.sub(r'[%<>:"/\\|?*\x00-\x1f]|^\.+$|[. ]$', _percent, name)
    return safe or "%"


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{ord(character):02X}" for character in match[0])

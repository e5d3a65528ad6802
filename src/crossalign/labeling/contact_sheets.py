"""Contact sheets: an HTML page a class, the doubtful images first, so that people can check labels.

A folder of static pages and small previews. Nothing is fetched when they are opened, there is no
script, and all names are escaped. However large the job, the number of previews is bounded.
"""

from __future__ import annotations

import functools
import io
import itertools
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossalign.errors import ImageError, LabelingError
from crossalign.images.load import load_reduced, read_file
from crossalign.labeling.decisions import ABSTENTIONS, Row
from crossalign.labeling.job_file import JobFile, read_row
from crossalign.labeling.ownership import OwnFolder, holds, is_inside
from crossalign.labeling.review import counts, review
from crossalign.labeling.sources import Entry, Source
from crossalign.reports.html import render
from crossalign.utils.files import failing_as, write_text
from crossalign.utils.text import count_images

SIDE = 192
"""Longest side of a preview, in pixels."""

MOST_A_LABEL = 300
MOST_A_PAGE = 100
MOST_IN_GROUP = 12
MOST_ERRORS = 50
_LISTED = 12
_KIND = "a report"


def write_sheets(
    folder: Path,
    job: JobFile,
    source: Source,
    *,
    title: str,
    most: int = MOST_A_LABEL,
    page: int = MOST_A_PAGE,
) -> Path:
    """Write the contact sheets of a finished job.

    Args:
        folder: Where; made if need be. Files of an earlier report there are replaced, and no other
            file is.
        job: The job.
        source: Its source, from which the previews are made.
        title: Heading.
        most: Images to show of each label, the most doubtful.
        page: Images on a page.

    Returns:
        The page to open first.

    Raises:
        LabelingError: As :func:`check_sheets`, or if the folder cannot be written.
    """
    check_sheets(folder, source)
    own = OwnFolder(folder, _KIND)
    _check_images(own, job)
    found = review(job, count=_LISTED)
    extra = {image.path for image in (*found.least_sure, *found.unusual)}
    extra |= {path for group in found.duplicates for path in group[:MOST_IN_GROUP]}
    with failing_as(LabelingError, f"cannot write the report to {folder}: "):
        own.clear()
        shown = {image.id: image.number for _, images in _chosen(job, most) for image in images}
        picture = functools.partial(_picture, _previews(source, own, shown, extra))
        page_of_all = render(
            "contact_sheets.html",
            title=title,
            images=count_images(job.count()),
            found=found,
            labels=_label_pages(own, job, most, page, picture, title),
            picture=picture,
            most_in_group=MOST_IN_GROUP,
            most_errors=MOST_ERRORS,
        )
        index = own.claim("index.html")
        write_text(index, page_of_all)
    return index


def check_sheets(folder: Path, source: Source) -> None:
    """Raise if contact sheets cannot be written to a folder; nothing is written.

    Args:
        folder: The folder.
        source: The source.

    Raises:
        LabelingError: If it is part of the source, holds it, or holds files of others.
    """
    if is_inside(folder, source) or holds(folder, source):
        where = "inside the source" if is_inside(folder, source) else "where the source is"
        raise LabelingError(
            f"the report's folder {folder} is {where}, whose images it would mix with. Choose "
            "another place."
        )
    OwnFolder(folder, _KIND).check()


def _check_images(own: OwnFolder, job: JobFile) -> None:
    """A list may name pictures anywhere, those of an earlier report among them."""
    names = {os.path.abspath(own.path / name) for name in own.names()}  # noqa: PTH100
    paths = job.query("SELECT path FROM items") if names else ()
    files = (os.fsdecode(path) for (path,) in paths)
    held = next((file for file in files if os.path.abspath(file) in names), None)  # noqa: PTH100
    if held is not None:
        raise LabelingError(
            f"{held} belongs to an earlier report in {own.path} and is an image of this job: it "
            "would be replaced. Choose another folder for the report."
        )


@dataclass(frozen=True, slots=True)
class _Chosen:
    """An image on the pages of a label, and how sure it is that it belongs there."""

    number: int
    id: str
    row: Row
    sure: float


@dataclass(frozen=True, slots=True)
class _Label:
    """A class, or an outcome in place of one: its pages, its images, and those on the pages."""

    label: str
    names: tuple[str, ...]
    images: int
    shown: int


@dataclass(frozen=True, slots=True)
class _Picture:
    """What a page shows of an image: its file's name, where that is, and its preview."""

    name: str
    address: str
    preview: str


def _picture(previews: dict[str, str], path: str) -> _Picture:
    file = Path(path)
    address = file.absolute().as_uri() if file.exists() else ""
    return _Picture(file.name, address, previews.get(path, ""))


def _chosen(job: JobFile, most: int) -> Iterator[tuple[str, list[_Chosen]]]:
    """The most doubtful images of each label, a label at a time."""
    query = (
        "SELECT name, sure, number, id, path, hash, row FROM (SELECT *, ROW_NUMBER() OVER "
        "(PARTITION BY name ORDER BY sure, number) AS place FROM given) JOIN items USING (number) "
        "WHERE place <= ? ORDER BY name, place"
    )
    for name, found in itertools.groupby(job.query(query, most), key=lambda values: values[0]):
        yield (
            name,
            [
                _Chosen(number, os.fsdecode(identity), read_row(*row), sure)
                for _, sure, number, identity, *row in found
            ],
        )


def _label_pages(
    own: OwnFolder, job: JobFile, most: int, size: int, picture: Any, title: str
) -> list[_Label]:
    """Write the pages of each label, in the order of the index."""
    numbers = dict(counts(job))
    places = {name: at for at, name in enumerate(numbers, start=1)}
    written = []
    for label, images in _chosen(job, most):
        total = math.ceil(len(images) / size)
        names = tuple(f"label-{places[label]:04}-{at + 1:02}.html" for at in range(total))
        cut = len(images) < numbers[label]
        for at, name in enumerate(names):
            page = render(
                "contact_sheet.html",
                title=f"{label} · {title}",
                label=label,
                outcome=label in ABSTENTIONS,
                names=names,
                at=at,
                images=count_images(numbers[label]),
                few=f", the {len(images)} most doubtful are shown" if cut else "",
                shown=images[at * size : (at + 1) * size],
                picture=picture,
            )
            write_text(own.claim(name), page)
        written.append(_Label(label, names, numbers[label], len(images)))
    return sorted(written, key=lambda one: places[one.label])


def _previews(
    source: Source, own: OwnFolder, shown: dict[str, int], extra: set[str]
) -> dict[str, str]:
    """Make previews, in one pass over the source: path of each image to its preview's address."""
    made: dict[str, str] = {}
    for number, entry in enumerate(source.entries()):
        address = f"previews/{shown.get(entry.id, f'x{number}')}.jpg"
        if (entry.id in shown or entry.path in extra) and entry.path not in made:
            data = _preview(entry)
            if data is not None:
                own.claim(address).write_bytes(data)
                made[entry.path] = address
    return made


def _preview(entry: Entry) -> bytes | None:
    try:
        data = read_file(entry.load())
        if data is None:
            return None
        image, _ = load_reduced(data, entry.path, SIDE)
    except (ImageError, MemoryError):  # it was there when it was labelled
        return None
    image.thumbnail((SIDE, SIDE))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return stream.getvalue()

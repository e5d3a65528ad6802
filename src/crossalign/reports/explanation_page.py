"""One self-contained HTML page: photos, their labels, and the regions and words that decided.

Nothing is fetched when the page is opened: pictures are inlined and there is no script. All names
and texts are escaped.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from crossalign.errors import ImageError
from crossalign.images.load import load_image
from crossalign.predictions import Prediction
from crossalign.reports.html import render, rendered, template
from crossalign.reports.maps import maps
from crossalign.reports.overlays import data_uri, matrix_of, matrix_picture, thumbnail
from crossalign.reports.summary import summarise
from crossalign.reports.svg import numbered, regions_svg
from crossalign.utils.files import whole_file

CLASSES_SHOWN = 5
DESCRIPTIONS_SHOWN = 4
_SMALL = 128  # longest side of a photo in the overview, in pixels


@dataclass(frozen=True, slots=True)
class Entry:
    """One photo of a report.

    Args:
        prediction: What was predicted for it.
        source: Where its pixels are.
        note: A line to show under the label, for example what the photo really shows.
        label: The class to explain; the predicted one by default.
        against: The class to compare it with; the best of the others by default.
    """

    prediction: Prediction
    source: str | os.PathLike[str]
    note: str = ""
    label: str | None = None
    against: str | None = None


def write_report(
    path: Path,
    entries: Iterable[Entry],
    *,
    title: str,
    introduction: str | Callable[[], str] = "",
    details: bool = False,
) -> int:
    """Write the page, photo by photo; a page of that name is replaced whole or not at all.

    Args:
        path: The HTML file; its folder is made if need be.
        entries: The photos. Their predictions are explained, so they had better hold their
            evidence.
        title: Heading of the page.
        introduction: A paragraph under the heading, or what gives it after the last photo.
        details: Whether heat maps, comparison with whole-image matching and similarity matrix are
            unfolded from the start.

    Returns:
        How many photos failed; each stands on the page with its reason, as does one that has a
        label but cannot be read again.

    Raises:
        DescriptionError: If an entry names a class that its prediction does not know.
    """
    photos: list[_Listed] = []
    # What stands above the photos is known only after the last of them, and there may be many.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as articles:
        for number, entry in enumerate(entries, start=1):
            listed, article = _photo(entry, number, details=details)
            photos.append(listed)
            articles.write(f"{article}\n")
        articles.seek(0)
        path.parent.mkdir(parents=True, exist_ok=True)
        failed = sum(one.score is None for one in photos)
        with whole_file(path) as unfinished, unfinished.open("w", encoding="utf-8") as page:
            pieces = template("explanations.html").generate(
                title=title,
                introduction=introduction() if callable(introduction) else introduction,
                photos=photos,
                failed=failed,
                articles=map(rendered, articles),
            )
            page.writelines(pieces)
    return failed


@dataclass(frozen=True, slots=True)
class _Listed:
    """A photo in the overview; one that failed has neither score nor picture."""

    name: str
    label: str = ""
    score: float | None = None
    picture: str = ""


def _photo(entry: Entry, number: int, *, details: bool) -> tuple[_Listed, str]:
    """The line of a photo in the overview, and its article."""
    error = entry.prediction.error
    if error is None:
        try:
            return _article(entry, number, details=details)
        except ImageError as gone:
            error = str(gone)
    name = Path(entry.prediction.image).name
    return _Listed(name), render("failed.html", number=number, name=name, error=error)


def _article(entry: Entry, number: int, *, details: bool) -> tuple[_Listed, str]:
    found = summarise(
        entry.prediction,
        entry.label,
        entry.against,
        classes=CLASSES_SHOWN,
        descriptions=DESCRIPTIONS_SHOWN,
    )
    photo, explanation = thumbnail(load_image(entry.source)), found.explanation
    matrix = matrix_of(explanation)
    low, high = float(matrix.min()), float(matrix.max())
    article = render(
        "photo.html",
        number=number,
        found=found,
        explanation=explanation,
        note=entry.note,
        details=details,
        address=data_uri(photo),
        frames=numbered(found.regions),
        maps=[(one, data_uri(one.picture)) for one in maps(photo, found)],
        matrix=matrix,
        strips=[
            (text, row, data_uri(matrix_picture(row[None], low, high), "PNG"))
            for text, row in zip(explanation.descriptions, matrix, strict=True)
        ],
    )
    small = thumbnail(photo, _SMALL)
    picture = regions_svg(small, small.size, [], found.name)
    return _Listed(found.name, explanation.label, explanation.score, picture), article

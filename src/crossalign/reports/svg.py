"""Drawings as SVG text, from templates: nothing runs, nothing is fetched.

All names and texts are escaped, and characters that XML does not know are replaced. Colours follow
the reader's choice of light or dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from PIL import Image

from crossalign.explain import Place, Region
from crossalign.predictions import Explanation
from crossalign.reports.colours import REGION_COLOURS
from crossalign.reports.html import render
from crossalign.reports.maps import KEY_SIZE, maps
from crossalign.reports.overlays import data_uri, heat_key, matrix_of, matrix_picture, thumbnail
from crossalign.reports.summary import Chart, Summary

Frame: TypeAlias = tuple[tuple[int, int, int, int], str]
"""A box in pixels of the image, and the text shown where the pointer rests on it."""

_CARD_COLUMN = 440
_TALLEST = 1.4  # a photo is drawn no higher than this multiple of its column's width


def regions_svg(
    image: Image.Image, size: tuple[int, int], frames: Sequence[Frame], title: str
) -> str:
    """Draw a photo with numbered frames.

    Args:
        image: The upright RGB image, or a smaller copy.
        size: Width and height of the image in which the frames are meant, in pixels.
        frames: Boxes and texts, the most important first, four at most.
        title: What a screen reader says.

    Returns:
        An ``<svg>`` element.
    """
    shown = _coloured(frames)
    return render("regions.svg", address=data_uri(image), size=size, frames=shown, title=title)


def bars_svg(chart: Chart, width: int = 460) -> str:
    """Draw a chart: each text, below it its bar and number; a paler bar is the whole image's.

    Args:
        chart: What to draw.
        width: Width in pixels.

    Returns:
        An ``<svg>`` element.
    """
    return render("bars.svg", shown=chart, width=width)


def matrix_svg(explanation: Explanation, width: int = 900) -> str:
    """Draw the similarity matrix: a row a description, a column a crop, the heaviest crop first.

    Args:
        explanation: The score, taken apart.
        width: Width in pixels.

    Returns:
        An ``<svg>`` element.
    """
    values = matrix_of(explanation)
    low, high = float(values.min()), float(values.max())
    return render(
        "matrix.svg",
        explanation=explanation,
        width=width,
        low=low,
        high=high,
        picture=data_uri(matrix_picture(values, low, high), "PNG"),
        colours=data_uri(heat_key(*KEY_SIZE), "PNG"),
        key_size=KEY_SIZE,
    )


def card_svg(image: Image.Image, summary: Summary) -> str:
    """Draw all there is to say about one photo on one card.

    Args:
        image: The upright RGB image, or a smaller copy.
        summary: What to say.

    Returns:
        An ``<svg>`` element that stands alone as a file.
    """
    small = thumbnail(image)
    scale = _CARD_COLUMN * min(1 / small.width, _TALLEST / small.height)
    return render(
        "card.svg",
        found=summary,
        explanation=summary.explanation,
        address=data_uri(small),
        size=[max(1, round(side * scale)) for side in small.size],
        frames=numbered(summary.regions),
        maps=[
            (one, data_uri(one.picture), data_uri(one.key, "PNG")) for one in maps(small, summary)
        ],
        key_size=KEY_SIZE,
    )


def numbered(
    regions: Iterable[Region | Place],
) -> list[tuple[str, tuple[int, int, int, int], str]]:
    """Give the regions of a photo their frames.

    Args:
        regions: The most important first, four at most.

    Returns:
        Colour, box and text of each.
    """
    return _coloured((region.box, region.text) for region in regions)


def _coloured(frames: Iterable[Frame]) -> list[tuple[str, tuple[int, int, int, int], str]]:
    return [(colour, *frame) for colour, frame in zip(REGION_COLOURS, frames, strict=False)]

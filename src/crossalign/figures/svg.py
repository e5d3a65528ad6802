"""Drawings as SVG text, made of nothing but this package: nothing runs, nothing is fetched.

All names and texts are escaped, and characters that XML does not know are replaced. Colours follow
the reader's choice of light or dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TypeAlias

from PIL import Image

from crossalign.figures.colours import FIRST, REGION_COLOURS, SECOND
from crossalign.figures.pictures import (
    contrast_overlay,
    data_uri,
    heat_overlay,
    matrix_picture,
    thumbnail,
)
from crossalign.figures.summary import Bar, Chart, Summary
from crossalign.figures.texts import printable, wrapped
from crossalign.predictions import Explanation

Frame: TypeAlias = tuple[tuple[int, int, int, int], str]
"""A box in pixels of the image, and the text shown where the pointer rests on it."""

_STYLE = f"""
text {{ font: 15px system-ui, sans-serif; fill: #1d1d1f; }}
.paper {{ fill: #fcfcfa; }} .quiet {{ fill: #62626a; font-size: 13px; }}
.title {{ font-size: 24px; font-weight: 600; }} .head {{ font-size: 14px; font-weight: 600; }}
.first {{ fill: {FIRST}; }} .second {{ fill: {SECOND}; }} .rest {{ fill: #b4b8bd; }}
.whole {{ opacity: .45; }} .zero {{ stroke: #8a8d93; }} .key {{ fill: #000; font-weight: 700; }}
.number {{ font-variant-numeric: tabular-nums; text-anchor: end; }}
@media (prefers-color-scheme: dark) {{ text {{ fill: #ececee; }} .paper {{ fill: #17181a; }}
.quiet {{ fill: #a2a3ab; }} .first {{ fill: #56b4e9; }} .second {{ fill: #ff8f4d; }}
.rest {{ fill: #5a5e66; }} .key {{ fill: #000; }} }}
"""


def clean(text: str) -> str:
    r"""Make any text safe inside HTML and XML, in elements and in quoted attributes.

    Args:
        text: Anything.

    Returns:
        The text, escaped; characters that XML cannot hold as ``\xNN`` or ``\uNNNN``.
    """
    return escape(printable(text))


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
    width, height = size
    unit = max(width, height) / 100.0
    frames_drawn, keys = [], []
    for rank, (box, text) in enumerate(frames[: len(REGION_COLOURS)]):
        left, top, right, bottom = box
        colour = REGION_COLOURS[rank]
        place = f'x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" fill="none"'
        frames_drawn.append(
            f'<rect {place} stroke="#000" stroke-opacity=".55" stroke-width="{unit * 1.3:.2f}"/>'
            f'<rect {place} stroke="{colour}" stroke-width="{unit * 0.7:.2f}">'
            f"<title>{clean(text)}</title></rect>"
        )
        keys.append(
            f'<g transform="translate({left} {top})"><rect width="{unit * 5:.2f}" '
            f'height="{unit * 5:.2f}" fill="{colour}"/><text x="{unit * 2.5:.2f}" '
            f'y="{unit * 3.9:.2f}" text-anchor="middle" '
            f'style="font:700 {unit * 4:.2f}px sans-serif;fill:#000">{rank + 1}</text></g>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{clean(title)}"><image href="{data_uri(image)}" width="{width}" '
        f'height="{height}" preserveAspectRatio="none"/>'
        f"{''.join(frames_drawn[::-1])}{''.join(keys[::-1])}</svg>"
    )


def bars_svg(chart: Chart, width: int = 460) -> str:
    """Draw a chart: each text, below it its bar and number; a paler bar is the whole image's.

    Args:
        chart: What to draw.
        width: Width in pixels.

    Returns:
        An ``<svg>`` element.
    """
    body, height = _chart(chart, width)
    return _document(width, height, chart.title, body)


def matrix_svg(explanation: Explanation, width: int = 900) -> str:
    """Draw the similarity matrix: a row a description, a column a crop, the heaviest crop first.

    Args:
        explanation: The score, taken apart.
        width: Width in pixels.

    Returns:
        An ``<svg>`` element.
    """
    order = (-explanation.crop_weights).argsort(kind="stable")
    values = explanation.similarity[order].T
    row, left, top = 24, width * 0.45, 58
    height = top + row * len(values) + 8
    low, high = float(values.min()), float(values.max())
    picture = data_uri(matrix_picture(values, low, high), "PNG")
    lines = [
        _text(0, 18, f"Similarity matrix of {explanation.label}", "head"),
        _text(0, 40, "description, heaviest crop first", "quiet"),
        _text(
            left,
            40,
            f"cosine from {low:.2f} (dark) to {high:.2f} (bright)",
            "quiet",
        ),
        _image(picture, left, top, width - left, row * len(values)),
    ]
    for index, text in enumerate(explanation.descriptions):
        (line,) = _wrapped(text, left - 16, lines=1)
        lines.append(_text(0, top + row * index + 17, line))
    return _document(width, height, f"Similarity matrix of {explanation.label}", "".join(lines))


def card_svg(image: Image.Image, summary: Summary) -> str:
    """Draw all there is to say about one photo on one card.

    Args:
        image: The upright RGB image, or a smaller copy.
        summary: What to say.

    Returns:
        An ``<svg>`` element that stands alone as a file.
    """
    explanation, small = summary.explanation, thumbnail(image)
    gap, half = 28, 440
    width = 2 * half + 3 * gap
    right = half + 2 * gap
    high = round(half * small.height / small.width)
    body = [
        _text(gap, 44, explanation.label, "title"),
        _text(gap, 70, f"{summary.name}: {summary.headline}", "quiet"),
        _text(gap, 90, summary.certainty, "quiet"),
    ]
    top = 110
    frames = [(region.box, region.text) for region in summary.regions]
    photo = regions_svg(small, explanation.size, frames, f"{summary.name}, {explanation.label}")
    body.append(_placed(photo, gap, top, half, high))
    body.append(_picture(heat_overlay(small, explanation), right, top, half, high))
    top += high + 22
    body.append(_text(right, top, f"Where the evidence for {explanation.label} lies", "quiet"))
    columns = [[_keys(summary, half), _chart(summary.classes, half)], []]
    if summary.contrast is not None:
        between = contrast_overlay(small, summary.contrast)
        legend = f"Blue speaks for {explanation.label}, orange for {summary.rival}"
        columns[1].append(
            (_picture(between, 0, 0, half, high) + _text(0, high + 22, legend, "quiet"), high + 30)
        )
    columns[1 if summary.contrast is None else 0].append(_chart(summary.decisive, half))
    columns[1].append(_chart(summary.meeting, half))
    bottoms = []
    for x, column in zip((gap, right), columns, strict=True):
        y: float = top + 22
        for drawn, height in column:
            body.append(f'<g transform="translate({x} {y:.0f})">{drawn}</g>')
            y += height + 18
        bottoms.append(y)
    return _document(width, max(bottoms), f"{summary.name}: {explanation.label}", "".join(body))


# --------------------------------------------------------------------------------------- pieces


def _document(width: float, height: float, title: str, body: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{clean(title)}">'
        f"<title>{clean(title)}</title><style>{_STYLE}</style>"
        f'<rect class="paper" width="100%" height="100%"/>{body}</svg>'
    )


def _keys(summary: Summary, width: float) -> tuple[str, float]:
    """List the regions: key, words, and what the region adds."""
    parts, y = [_text(0, 14, "Regions that add most, and their words", "head")], 24.0
    for rank, region in enumerate(summary.regions):
        lines = _wrapped(region.text, width - 100, lines=2)
        parts.append(
            f'<rect x="0" y="{y + 3:.0f}" width="20" height="20" rx="3" '
            f'fill="{REGION_COLOURS[rank]}"/>'
            + _text(6, y + 18, str(rank + 1), "key")
            + _lines(lines, 30, y + 18)
            + _text(width, y + 18, f"{region.adds:.3f}", "number")
        )
        y += 12 + 19 * len(lines)
    return "".join(parts), y


def _chart(chart: Chart, width: float) -> tuple[str, float]:
    low, _ = chart.reach
    scale = (width - 64) / chart.span
    zero = -low * scale
    titles, notes = _wrapped(chart.title, width, lines=2), wrapped(chart.note, int(width / 6), 2)
    parts = [_lines(titles, 0, 14, "head")]
    y = 6.0 + 19 * len(titles)
    if chart.note:
        parts.append(_lines(notes, 0, y + 9, "quiet"))
        y += 19 * len(notes)
    top = y
    for bar in chart.bars:
        lines = _wrapped(bar.text, width - 4, lines=2)
        parts.append(_lines(lines, 0, y + 15))
        y += 4 + 19 * len(lines)
        for value, paler in _lengths(bar):
            start, length = zero + min(value, 0.0) * scale, max(abs(value) * scale, 1.0)
            parts.append(
                f'<rect class="{bar.side}{paler}" x="{start:.1f}" y="{y:.0f}" '
                f'width="{length:.1f}" height="9" rx="2"/>'
                + _text(width, y + 10, f"{value:.3f}", "number quiet")
            )
            y += 15
        y += 2
    if low < 0 and chart.bars:
        parts.append(
            f'<line class="zero" x1="{zero:.1f}" x2="{zero:.1f}" y1="{top:.0f}" y2="{y:.0f}"/>'
        )
    return "".join(parts), y


def _lengths(bar: Bar) -> list[tuple[float, str]]:
    return [(bar.value, "")] + ([] if bar.whole is None else [(bar.whole, " whole")])


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text{style} x="{x:.0f}" y="{y:.0f}">{clean(text)}</text>'


def _lines(lines: Sequence[str], x: float, y: float, kind: str = "") -> str:
    return "".join(_text(x, y + 19 * index, line, kind) for index, line in enumerate(lines))


def _wrapped(text: str, width: float, lines: int) -> list[str]:
    """Break a text into lines; SVG does not, so its width is estimated from an average letter."""
    return wrapped(text, int(width / 7.4), lines)


def _picture(image: Image.Image, x: float, y: float, width: float, height: float) -> str:
    return _image(data_uri(image), x, y, width, height)


def _image(address: str, x: float, y: float, width: float, height: float) -> str:
    # Pixels of a matrix are meant; photos are shown no larger than they are.
    style = ' style="image-rendering:pixelated"' if "image/png" in address[:16] else ""
    return (
        f'<image href="{address}" x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" preserveAspectRatio="none"{style}/>'
    )


def _placed(svg: str, x: float, y: float, width: float, height: float) -> str:
    """Put one drawing into another."""
    return svg.replace(
        "<svg ", f'<svg x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" ', 1
    )

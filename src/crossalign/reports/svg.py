"""Drawings as SVG text, made of nothing but this package: nothing runs, nothing is fetched.

All names and texts are escaped, and characters that XML does not know are replaced. Colours follow
the reader's choice of light or dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TypeAlias

from PIL import Image

from crossalign.predictions.prediction import Explanation
from crossalign.reports.colours import FIRST, REGION_COLOURS, SECOND
from crossalign.reports.labels import printable, rounded, text_width, wrapped
from crossalign.reports.maps import KEY_SIZE, Map, maps
from crossalign.reports.overlays import data_uri, heat_key, matrix_picture, thumbnail
from crossalign.reports.summary import Bar, Chart, Summary, region_note

Block: TypeAlias = tuple[str, float]
"""A piece of a drawing, and its height in pixels."""

Frame: TypeAlias = tuple[tuple[int, int, int, int], str]
"""A box in pixels of the image, and the text shown where the pointer rests on it."""

# Kinds of text: size in pixels, whether bold, and height of a line.
_FONTS = {
    "": (15, False, 19),
    "quiet": (13, False, 18),
    "head": (14, True, 19),
    "title": (24, True, 31),
}
_NUMBER = 58  # room for a number to the right of its bar
_TALLEST = 1.4  # a photo is drawn no higher than this multiple of its column's width

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
    row, left = 24, width * 0.5
    low, high = float(values.min()), float(values.max())
    title = f"Similarity matrix of {explanation.label}"
    head, top = _paragraph(title, width, "head", lines=3)
    key, deep = _key(heat_key(*KEY_SIZE), f"cosine {low:.2f}", f"{high:.2f}")
    lines = [
        head,
        _text(0, top + 16, "a row a description; a column a crop, the heaviest first", "quiet"),
        _moved(key, left, top),
    ]
    top += deep + 6
    lines.append(
        _image(
            data_uri(matrix_picture(values, low, high), "PNG"),
            *(left, top, width - left, row * len(values)),
        )
    )
    for index, text in enumerate(explanation.descriptions):
        (line,) = _wrapped(text, left - 16, 1)
        lines.append(_text(0, top + row * index + 17, line))
    return _document(width, top + row * len(values) + 8, title, "".join(lines))


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
    said = [
        _paragraph(explanation.label, width - 2 * gap, "title", lines=4),
        _paragraph(f"{summary.name}: {summary.headline}", width - 2 * gap, "quiet", lines=4),
        _paragraph(summary.certainty, width - 2 * gap, "quiet", lines=4),
    ]
    frames = [(region.box, region.text) for region in summary.regions]
    photo = regions_svg(small, explanation.size, frames, f"{summary.name}, {explanation.label}")
    wide, high = _fitted(small.size, half)
    shown = [_map(each, half) for each in maps(small, summary)]
    left = [
        (_placed(photo, 0, 0, wide, high), high),
        _keys(summary, half),
        _chart(summary.classes, half),
    ]
    left.append(_chart(summary.decisive, half))
    right = [*shown, _chart(summary.meeting, half)]
    body, top = _stacked(said, gap, 18, 2)
    bottoms = []
    for x, column in ((gap, left), (gap + half + gap, right)):
        drawn, bottom = _stacked(column, x, top + 14, 18)
        body += drawn
        bottoms.append(bottom)
    return _document(width, max(bottoms), f"{summary.name}: {explanation.label}", body)


# --------------------------------------------------------------------------------------- pieces


def _document(width: float, height: float, title: str, body: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{clean(title)}">'
        f"<title>{clean(title)}</title><style>{_STYLE}</style>"
        f'<rect class="paper" width="100%" height="100%"/>{body}</svg>'
    )


def _stacked(blocks: Sequence[Block], x: float, y: float, gap: float) -> Block:
    """Put blocks below each other; gives back where they end."""
    drawn = []
    for body, height in blocks:
        if body:
            drawn.append(_moved(body, x, y))
            y += height + gap
    return "".join(drawn), y


def _keys(summary: Summary, width: float) -> Block:
    """List the regions: key, words, and what the region adds."""
    parts, y = [_text(0, 14, "Regions: their words, and what they add to the score", "head")], 22.0
    for rank, region in enumerate(summary.regions):
        words, deep = _paragraph(region.text, width - 30 - _NUMBER, lines=3)
        note, more = _paragraph(region_note(region), width - 30, "quiet", lines=2)
        parts.append(
            f'<rect x="0" y="{y + 1:.0f}" width="20" height="20" rx="3" '
            f'fill="{REGION_COLOURS[rank]}"/>'
            + _text(6, y + 16, str(rank + 1), "key")
            + _moved(words, 30, y)
            + _moved(note, 30, y + deep)
            + _text(width, y + 15, rounded(region.adds), "number")
        )
        y += deep + more + 8
    return "".join(parts), y


def _map(shown: Map, width: float) -> Block:
    """A heading, a picture, and the key to its colours."""
    head, top = _paragraph(shown.title, width, "head", lines=7)
    wide, high = _fitted(shown.picture.size, width)
    key, deep = _key(shown.key, shown.low, shown.high)
    note, more = _paragraph(shown.note, width, "quiet", lines=2)
    top += 4
    return (
        head
        + _picture(shown.picture, 0, top, wide, high)
        + _moved(key, 0, top + high + 4)
        + _moved(note, 0, top + high + 4 + deep),
        top + high + 4 + deep + more,
    )


def _key(colours: Image.Image, low: str, high: str) -> Block:
    size, _, height = _FONTS["quiet"]
    start = text_width(low) * size + 8
    return (
        _text(0, 14, low, "quiet")
        + _image(data_uri(colours, "PNG"), start, 4, *KEY_SIZE)
        + _text(start + KEY_SIZE[0] + 8, 14, high, "quiet"),
        float(height + 2),
    )


def _chart(chart: Chart, width: float) -> Block:
    low, _ = chart.reach
    scale = (width - _NUMBER - 6) / chart.span
    zero = -low * scale
    head, y = _paragraph(chart.title, width, "head", lines=7)
    note, deep = _paragraph(chart.note, width, "quiet", lines=4)
    parts = [head, _moved(note, 0, y)]
    y += deep
    for group, bars in chart.groups:
        heading, deep = _paragraph(group, width, "quiet", lines=4)
        parts.append(_moved(heading, 0, y + 10))
        y += deep + 11 if group else 0.0
        for bar in bars:
            words, deep = _paragraph(bar.text, width, lines=2)
            parts.append(_moved(words, 0, y))
            y += deep + 5
            top = y
            for value, paler in _lengths(bar):
                start, length = zero + min(value, 0.0) * scale, max(abs(value) * scale, 1.0)
                parts.append(
                    f'<rect class="{bar.side}{paler}" x="{start:.1f}" y="{y:.0f}" '
                    f'width="{length:.1f}" height="9" rx="2"/>'
                    + _text(width, y + 9, rounded(value), "number quiet")
                )
                y += 15
            if low < 0:
                parts.append(
                    f'<line class="zero" x1="{zero:.1f}" x2="{zero:.1f}" y1="{top - 2:.0f}" '
                    f'y2="{y - 4:.0f}"/>'
                )
            y += 4
    return "".join(parts), y


def _lengths(bar: Bar) -> list[tuple[float, str]]:
    return [(bar.value, "")] + ([] if bar.whole is None else [(bar.whole, " whole")])


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text{style} x="{x:.0f}" y="{y:.0f}">{clean(text)}</text>'


def _paragraph(text: str, width: float, kind: str = "", *, lines: int) -> Block:
    """A text in lines that fit; nothing, of no height, for no text."""
    if not text:
        return "", 0.0
    size, _, step = _FONTS[kind]
    shown = _wrapped(text, width, lines, kind)
    drawn = "".join(_text(0, size + step * index, line, kind) for index, line in enumerate(shown))
    return drawn, float(step * len(shown))


def _wrapped(text: str, width: float, lines: int, kind: str = "") -> list[str]:
    """Break a text into lines; SVG does not, so its width is estimated."""
    size, bold, _ = _FONTS[kind]
    return wrapped(text, width / size, lines, bold=bold)


def _moved(body: str, x: float, y: float) -> str:
    return f'<g transform="translate({x:.0f} {y:.0f})">{body}</g>' if body else ""


def _fitted(size: tuple[int, int], width: float) -> tuple[float, float]:
    """Width and height of a photo in a column; a very high one does not fill its width."""
    scale = min(width / size[0], _TALLEST * width / size[1])
    return max(1.0, round(size[0] * scale)), max(1.0, round(size[1] * scale))


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

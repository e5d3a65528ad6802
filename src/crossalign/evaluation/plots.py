"""Plots as SVG text, made of nothing but this package.

Colours are Okabe and Ito's, told apart with every kind of colour vision, and every series also has
a mark of its own. A plot follows the reader's choice of light or dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 40, 52
_ROW = 28
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1d1d1f}.t{font-weight:600;font-size:15px}"
    ".q{fill:#62626a;font-size:12px}.g{stroke:#dcdcd8;stroke-width:1}.p{fill:#fcfcfa}"
    ".d{stroke:#8a8d93;stroke-dasharray:4 4}"
    "@media(prefers-color-scheme:dark){text{fill:#ececee}.q{fill:#a2a3ab}.g{stroke:#36373c}"
    ".p{fill:#17181a}}"
)


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a plot.

    Args:
        name: For the legend.
        points: Pairs (x, y), in order.
        intervals: Ends (low, high) around each y; none if empty.
        marks: Whether points are drawn, and not only the line.
        joined: Whether the line is drawn; not where points have no order.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    intervals: tuple[tuple[float, float], ...] = ()
    marks: bool = False
    joined: bool = True


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Choose round numbers along an axis.

    Args:
        low: Its lower end.
        high: Its upper end.
        most: How many at most.

    Returns:
        Rising numbers that cover both ends.

    Example:
        >>> ticks(0.41, 0.78)
        [0.4, 0.5, 0.6, 0.7, 0.8]
    """
    width = high - low if high > low else max(abs(low), 1.0) * 0.1
    power = 10.0 ** math.floor(math.log10(width / most))
    for step in (power * factor for factor in (1, 2, 2.5, 5, 10, 20)):
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last == first:
            last += 1
        if last - first + 1 <= most:
            break
    return [round(place * step, 12) for place in range(first, last + 1)]


def lines_svg(
    series: Sequence[Series], *, title: str, x: str, y: str, diagonal: bool = False
) -> str:
    """Draw lines over a common pair of axes.

    Args:
        series: What to draw.
        title: Heading.
        x: What the horizontal axis shows.
        y: What the vertical axis shows.
        diagonal: Whether to draw the line on which both are equal.

    Returns:
        An ``<svg>`` element.
    """
    xs = [point[0] for line in series for point in line.points]
    ys = [point[1] for line in series for point in line.points]
    ys += [end for line in series for interval in line.intervals for end in interval]
    if diagonal:
        xs, ys = [*xs, 0.0, 1.0], [*ys, 0.0, 1.0]
    across, up = _Axis(xs, _LEFT, _WIDTH - _RIGHT), _Axis(ys, _HEIGHT - _BOTTOM, _TOP)
    body = _grid(across, up, x, y)
    if diagonal:
        body.append(
            f'<line class="d" x1="{across(0):.1f}" y1="{up(0):.1f}" x2="{across(1):.1f}" '
            f'y2="{up(1):.1f}"/>'
        )
    for number, line in enumerate(series):
        body += _line(line, COLOURS[number % len(COLOURS)], number, across, up)
    height = _HEIGHT + _legend(series, body)
    return _document(height, title, body)


def dots_svg(rows: Sequence[tuple[str, float, float, float]], *, title: str, x: str) -> str:
    """Draw numbers with intervals, a row each.

    Args:
        rows: Name, value, lower and upper end.
        title: Heading.
        x: What the numbers are.

    Returns:
        An ``<svg>`` element.
    """
    left = _LEFT + 6 * max(len(row[0]) for row in rows)
    bottom = _TOP + _ROW * len(rows)
    across = _Axis([end for row in rows for end in row[1:]], left, _WIDTH - _RIGHT - 8)
    body = []
    for value in across.ticks:
        place = across(value)
        body.append(
            f'<line class="g" x1="{place:.1f}" y1="{_TOP}" x2="{place:.1f}" y2="{bottom}"/>'
            f'<text class="q" x="{place:.1f}" y="{bottom + 18}" text-anchor="middle">'
            f"{_number(value)}</text>"
        )
    body.append(
        f'<text class="q" x="{(left + _WIDTH) / 2:.0f}" y="{bottom + 38}" text-anchor="middle">'
        f"{escape(x)}</text>"
    )
    for number, (name, value, low, high) in enumerate(rows):
        y = _TOP + _ROW * (number + 0.5)
        body.append(
            f'<text x="{left - 12}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>'
            f'<line x1="{across(low):.1f}" y1="{y:.1f}" x2="{across(high):.1f}" y2="{y:.1f}" '
            f'stroke="{COLOURS[0]}" stroke-width="3" stroke-opacity=".45"/>'
            f'<circle cx="{across(value):.1f}" cy="{y:.1f}" r="5" fill="{COLOURS[0]}"><title>'
            f"{escape(name)}: {value:.4f} ({low:.4f} to {high:.4f})</title></circle>"
        )
    return _document(bottom + 50, title, body)


class _Axis:
    """From values to pixels."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self.ticks = ticks(min(values), max(values))
        self.start, self.end = start, end
        self._low, self._high = self.ticks[0], self.ticks[-1]

    def __call__(self, value: float) -> float:
        share = (value - self._low) / (self._high - self._low)
        return self.start + share * (self.end - self.start)


def _grid(across: _Axis, up: _Axis, x: str, y: str) -> list[str]:
    bottom = _HEIGHT - _BOTTOM
    body = []
    for value in up.ticks:
        place = up(value)
        body.append(
            f'<line class="g" x1="{_LEFT}" y1="{place:.1f}" x2="{_WIDTH - _RIGHT}" '
            f'y2="{place:.1f}"/><text class="q" x="{_LEFT - 8}" y="{place + 4:.1f}" '
            f'text-anchor="end">{_number(value)}</text>'
        )
    body += [
        f'<text class="q" x="{across(value):.1f}" y="{bottom + 18}" text-anchor="middle">'
        f"{_number(value)}</text>"
        for value in across.ticks
    ]
    middle = (_TOP + bottom) / 2
    body.append(
        f'<text class="q" x="{(_LEFT + _WIDTH) / 2:.0f}" y="{bottom + 38}" text-anchor="middle">'
        f'{escape(x)}</text><text class="q" x="14" y="{middle:.0f}" text-anchor="middle" '
        f'transform="rotate(-90 14 {middle:.0f})">{escape(y)}</text>'
    )
    return body


def _line(line: Series, colour: str, number: int, across: _Axis, up: _Axis) -> list[str]:
    places = [(across(x), up(y)) for x, y in line.points]
    body = []
    for (x, _), (low, high) in zip(places, line.intervals, strict=False):
        body.append(
            f'<line x1="{x:.1f}" y1="{up(low):.1f}" x2="{x:.1f}" y2="{up(high):.1f}" '
            f'stroke="{colour}" stroke-width="2" stroke-opacity=".5"/>'
        )
    if line.joined:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        body.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" '
            f'stroke-linejoin="round"{_DASHES[number % len(_DASHES)]}/>'
        )
    if line.marks:
        for (x, y), (value_x, value_y) in zip(places, line.points, strict=True):
            body.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"><title>'
                f"{escape(line.name)}: {_number(value_x)}, {value_y:.4f}</title></circle>"
            )
    return body


_DASHES = ("", ' stroke-dasharray="7 3"', ' stroke-dasharray="2 3"', ' stroke-dasharray="9 3 2 3"')


def _legend(series: Sequence[Series], body: list[str]) -> int:
    """Write the names below the plot; gives the height that takes."""
    if len(series) < 2:
        return 0
    x, y = float(_LEFT), float(_HEIGHT + 6)
    for number, line in enumerate(series):
        width = 40 + 7.5 * len(line.name)
        if x + width > _WIDTH and x > _LEFT:
            x, y = float(_LEFT), y + 20
        body.append(
            f'<line x1="{x:.0f}" y1="{y - 4:.0f}" x2="{x + 24:.0f}" y2="{y - 4:.0f}" '
            f'stroke="{COLOURS[number % len(COLOURS)]}" stroke-width="3"'
            f'{_DASHES[number % len(_DASHES)]}/><text x="{x + 30:.0f}" y="{y:.0f}">'
            f"{escape(line.name)}</text>"
        )
        x += width
    return int(y) - _HEIGHT + 14


def _number(value: float) -> str:
    return f"{value:.6g}"


def _document(height: int, title: str, body: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
        f'role="img" aria-label="{escape(title)}"><style>{_STYLE}</style>'
        f'<rect class="p" width="{_WIDTH}" height="{height}"/>'
        f'<text class="t" x="16" y="24">{escape(title)}</text>{"".join(body)}</svg>\n'
    )

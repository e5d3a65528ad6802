"""Plots as SVG text, made of nothing but this package.

Colours are Okabe and Ito's, told apart with every kind of colour vision, and every series also has
a mark of its own. A plot follows the reader's choice of light or dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
        if last == first:  # a share of 1 has nothing above it, and a count of 0 nothing below
            first, last = (first - 1, last) if first > 0 else (first, last + 1)
        if last - first + 1 <= most:
            break
    return [round(place * step, 12) for place in range(first, last + 1)]


def ratio_ticks(low: float, high: float) -> list[float]:
    """Choose round numbers along an axis on which equal ratios are equally long.

    Args:
        low: Its lower end, above 0.
        high: Its upper end.

    Returns:
        Numbers of the kind 1, 2, 5, 10, ... between the ends; both ends if there are not two.

    Example:
        >>> ratio_ticks(1, 101)
        [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    round_ones = (10.0**power * step for power in range(first, last + 1) for step in (1, 2, 5))
    found = [value for value in round_ones if low <= value <= high]
    return found if len(found) > 1 else [low, high]


def lines_svg(series: Sequence[Series], *, title: str, x: str, y: str, ratios: bool = False) -> str:
    """Draw lines over a common pair of axes.

    Args:
        series: What to draw.
        title: Heading.
        x: What the horizontal axis shows.
        y: What the vertical axis shows.
        ratios: Whether equal ratios are equally long on the horizontal axis, as suits counts.

    Returns:
        An ``<svg>`` element.
    """
    xs = [point[0] for line in series for point in line.points]
    ys = [point[1] for line in series for point in line.points]
    ys += [end for line in series for interval in line.intervals for end in interval]
    across = _Axis(xs, _LEFT, _WIDTH - _RIGHT, ratios=ratios)
    up = _Axis(ys, _HEIGHT - _BOTTOM, _TOP)
    body = _grid(across, up, x, y)
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


@dataclass(frozen=True, slots=True)
class Panel:
    """How well one method's confidence foretells its accuracy.

    Args:
        name: Its heading.
        bins: Confidence, accuracy and number of images of each bin.
    """

    name: str
    bins: tuple[tuple[float, float, int], ...]


def panels_svg(panels: Sequence[Panel], *, title: str, x: str, y: str) -> str:
    """Draw a small plot a method: a dot a bin, as large as the bin, and its way to the diagonal.

    Args:
        panels: The methods.
        title: Heading.
        x: What the horizontal axes show, from 0 to 1.
        y: What the vertical axes show, from 0 to 1.

    Returns:
        An ``<svg>`` element.
    """
    rows = -(-len(panels) // _COLUMNS)
    body = []
    for number, panel in enumerate(panels):
        left = _LEFT + (number % _COLUMNS) * _PANEL_STEP
        top = _TOP + 22 + (number // _COLUMNS) * (_PANEL + 56)
        body += _panel(panel, left, top, left == _LEFT)
    bottom = _TOP + 22 + rows * (_PANEL + 56)
    middle = (_TOP + bottom) / 2
    right = _LEFT + (min(len(panels), _COLUMNS) - 1) * _PANEL_STEP + _PANEL
    body.append(
        f'<text class="q" x="{(_LEFT + right) / 2:.0f}" y="{bottom - 4}" text-anchor="middle">'
        f'{escape(x)}</text><text class="q" x="14" y="{middle:.0f}" text-anchor="middle" '
        f'transform="rotate(-90 14 {middle:.0f})">{escape(y)}</text>'
    )
    return _document(bottom + 10, title, body)


_COLUMNS, _PANEL, _PANEL_STEP = 3, 152, 192
_NAME = 26  # characters that fit above a panel


def _panel(panel: Panel, left: int, top: int, first: bool) -> list[str]:
    across, up = _Axis((0, 1), left, left + _PANEL), _Axis((0, 1), top + _PANEL, top)
    name = panel.name if len(panel.name) <= _NAME else "…" + panel.name[1 - _NAME :]
    body = [
        f'<text x="{left}" y="{top - 8}"><title>{escape(panel.name)}</title>{escape(name)}</text>'
    ]
    for value in (0, 0.5, 1):
        body.append(
            f'<line class="g" x1="{left}" y1="{up(value):.1f}" x2="{left + _PANEL}" '
            f'y2="{up(value):.1f}"/><line class="g" x1="{across(value):.1f}" y1="{top}" '
            f'x2="{across(value):.1f}" y2="{top + _PANEL}"/><text class="q" '
            f'x="{across(value):.1f}" y="{top + _PANEL + 16}" text-anchor="middle">'
            f"{_number(value)}</text>"
        )
        if first:
            body.append(
                f'<text class="q" x="{left - 8}" y="{up(value) + 4:.1f}" text-anchor="end">'
                f"{_number(value)}</text>"
            )
    body.append(
        f'<line class="d" x1="{left}" y1="{top + _PANEL}" x2="{left + _PANEL}" y2="{top}"/>'
    )
    total = sum(count for _, _, count in panel.bins)
    for sure, right, count in panel.bins:
        radius = max(2.0, 13 * math.sqrt(count / total))
        body.append(
            f'<line x1="{across(sure):.1f}" y1="{up(sure):.1f}" x2="{across(sure):.1f}" '
            f'y2="{up(right):.1f}" stroke="{COLOURS[0]}" stroke-width="2" stroke-opacity=".5"/>'
            f'<circle cx="{across(sure):.1f}" cy="{up(right):.1f}" r="{radius:.1f}" '
            f'fill="{COLOURS[0]}" fill-opacity=".75"><title>confidence {sure:.3f}, accuracy '
            f"{right:.3f}, {count} images</title></circle>"
        )
    return body


class _Axis:
    """From values to pixels."""

    def __init__(
        self, values: Sequence[float], start: float, end: float, *, ratios: bool = False
    ) -> None:
        low, high = min(values), max(values)
        ratios = ratios and 0 < low < high
        self.ticks = ratio_ticks(low, high) if ratios else ticks(low, high)
        self.start, self.end = start, end
        self._scale: Callable[[float], float] = math.log if ratios else float
        margin = (high / low) ** 0.03 if ratios else 1.0
        ends = (low / margin, high * margin) if ratios else (self.ticks[0], self.ticks[-1])
        self._low, self._high = map(self._scale, ends)

    def __call__(self, value: float) -> float:
        share = (self._scale(value) - self._low) / (self._high - self._low)
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
        body.append(_sample(line, number, x, y))
        body.append(f'<text x="{x + 30:.0f}" y="{y:.0f}">{escape(line.name)}</text>')
        x += width
    return int(y) - _HEIGHT + 14


def _sample(line: Series, number: int, x: float, y: float) -> str:
    """Show in the legend what is drawn in the plot: a line, dots, or both."""
    colour = COLOURS[number % len(COLOURS)]
    drawn = ""
    if line.joined:
        drawn += (
            f'<line x1="{x:.0f}" y1="{y - 4:.0f}" x2="{x + 24:.0f}" y2="{y - 4:.0f}" '
            f'stroke="{colour}" stroke-width="3"{_DASHES[number % len(_DASHES)]}/>'
        )
    if line.marks:
        drawn += f'<circle cx="{x + 12:.0f}" cy="{y - 4:.0f}" r="4" fill="{colour}"/>'
    return drawn


def _number(value: float) -> str:
    return f"{value:.6g}"


def _document(height: int, title: str, body: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
        f'role="img" aria-label="{escape(title)}"><style>{_STYLE}</style>'
        f'<rect class="p" width="{_WIDTH}" height="{height}"/>'
        f'<text class="t" x="16" y="24">{escape(title)}</text>{"".join(body)}</svg>\n'
    )

"""Charts as SVG text: numbers become pixels here, and templates draw them.

Colours are told apart with every kind of colour vision, and every series also has a mark of its
own. A chart follows the reader's choice of light or dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crossalign.reports.html import render

_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 40, 52
_ROW = 28


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


@dataclass(frozen=True, slots=True)
class Panel:
    """How well one method's confidence foretells its accuracy.

    Args:
        name: Its heading.
        bins: Confidence, accuracy and number of images of each bin.
    """

    name: str
    bins: tuple[tuple[float, float, int], ...]

    @property
    def dots(self) -> list[tuple[float, float, float, int]]:
        """Confidence, accuracy, radius in pixels and number of images of each bin that has any."""
        total = sum(count for _, _, count in self.bins)
        return [
            (sure, right, max(2.0, 13 * math.sqrt(count / total)), count)
            for sure, right, count in self.bins
            if count
        ]


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
    legend = _legend(series)
    return render(
        "lines.svg",
        title=title,
        x=x,
        y=y,
        series=series,
        across=_Axis(xs, _LEFT, _WIDTH - _RIGHT, ratios=ratios),
        up=_Axis(ys, _HEIGHT - _BOTTOM, _TOP),
        legend=legend,
        width=_WIDTH,
        height=int(legend[-1][1]) + 14 if legend else _HEIGHT,
    )


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
    return render(
        "dots.svg",
        title=title,
        x=x,
        rows=[(y * _ROW + _TOP + _ROW / 2, *row) for y, row in enumerate(rows)],
        across=across,
        top=_TOP,
        bottom=bottom,
        width=_WIDTH,
        height=bottom + 50,
    )


def panels_svg(
    panels: Sequence[Panel],
    *,
    title: str,
    x: str,
    y: str,
    large: bool = False,
    mark: tuple[float, str] | None = None,
) -> str:
    """Draw a reliability diagram a method: a dot a bin, as large as it, and how far it is off.

    Args:
        panels: The methods.
        title: Heading.
        x: What the horizontal axes show, from 0 to 1.
        y: What the vertical axes show, from 0 to 1.
        large: Whether each is as wide as can be; otherwise three are beside each other.
        mark: A place on the horizontal axes, and what is written there.

    Returns:
        An ``<svg>`` element.
    """
    columns, size, most = (1, 360, 6) if large else (3, 152, 3)
    down, top = size + 56, _TOP + 22
    placed = []
    for number, panel in enumerate(panels):
        left, upper = _LEFT + number % columns * (size + 40), top + number // columns * down
        across = _Axis((0, 1), left, left + size, most=most)
        placed.append((panel, across, _Axis((0, 1), upper + size, upper, most=most)))
    bottom = top + -(-len(panels) // columns) * down
    return render(
        "panels.svg",
        title=title,
        x=x,
        y=y,
        panels=placed,
        letters=60 if large else 26,  # fit above a panel
        mark=mark,
        bottom=bottom,
        width=_LEFT + size + 24 if large else _WIDTH,
        height=bottom + 10,
    )


class _Axis:
    """From values to pixels."""

    def __init__(
        self,
        values: Sequence[float],
        start: float,
        end: float,
        *,
        ratios: bool = False,
        most: int = 6,
    ) -> None:
        low, high = min(values), max(values)
        ratios = ratios and 0 < low < high
        self.ticks = ratio_ticks(low, high) if ratios else ticks(low, high, most)
        self.start, self.end = start, end
        self._scale: Callable[[float], float] = math.log if ratios else float
        margin = (high / low) ** 0.03 if ratios else 1.0
        ends = (low / margin, high * margin) if ratios else (self.ticks[0], self.ticks[-1])
        self._low, self._high = map(self._scale, ends)

    def __call__(self, value: float) -> float:
        share = (self._scale(value) - self._low) / (self._high - self._low)
        return self.start + share * (self.end - self.start)


def _legend(series: Sequence[Series]) -> list[tuple[float, float]]:
    """Where the names of several lines stand below the chart; nowhere if there is one alone."""
    x, y = float(_LEFT), float(_HEIGHT + 6)
    places = []
    for line in series if len(series) > 1 else ():
        width = 40 + 7.5 * len(line.name)
        if x + width > _WIDTH and x > _LEFT:
            x, y = float(_LEFT), y + 20
        places.append((x, y))
        x += width
    return places

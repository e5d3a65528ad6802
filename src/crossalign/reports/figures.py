"""The same pictures as matplotlib figures (extra ``plots``), to save, to show or to build upon.

    from crossalign import load_image
    from crossalign.reports import figures

    axes = figures.plot_regions(load_image("photo.jpg"), prediction.explain())
    axes.figure.savefig("regions.pdf")

Each function draws into the axes it is given, or into those of a new figure, and gives them back.
Text and background follow matplotlib's style. Names and texts are shown as they are: a dollar sign
begins no formula.
"""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from crossalign.errors import DescriptionError, MissingExtraError
from crossalign.explain import Contrast, Place, Region
from crossalign.predictions import Explanation
from crossalign.reports import maps
from crossalign.reports.colours import FIRST, REGION_COLOURS, SECOND
from crossalign.reports.labels import rounded, wrapped
from crossalign.reports.overlays import thumbnail
from crossalign.reports.summary import Chart, Side, Summary, shown_regions

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIDES: dict[Side, str] = {"first": FIRST, "second": SECOND, "rest": "#9a9ea5"}
_MAX_SIDE = 1200
_LETTERS = 34
# Sizes of text in points; one line of small text, and room for the number of a bar, in inches.
_SMALL, _MEDIUM, _LARGE = 9.0, 10.5, 15.0
_LINE, _NUMBER = 0.175, 0.5
_BAR = 0.62  # thickness of a bar, in lines
_HEADING, _LEADING = 0.2, 1.4
_KEY_LINES = 1.2
_CARD_WIDTH, _TALLEST = 13.0, 5.5
_REGIONS = "Regions, and their words"


def require_matplotlib() -> None:
    """Find out before the work is done, not after.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtraError("a figure by matplotlib", "matplotlib", "plots")


def plot_regions(
    image: Image.Image,
    explanation: Explanation,
    *,
    regions: Sequence[Region | Place] | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw a photo with the numbered frames of its top regions, and their words below it.

    Args:
        image: The upright RGB image.
        explanation: The score, taken apart.
        regions: Up to four regions, see :func:`crossalign.explain.places`; by default the best
            that do not overlap much.
        axes: Where to draw.

    Returns:
        The axes.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    axes = _photo(axes, thumbnail(image, _MAX_SIDE), explanation.size)
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import Normal, Stroke

    shown = shown_regions(explanation) if regions is None else regions
    words = []
    for rank, (region, colour) in enumerate(zip(shown, REGION_COLOURS, strict=False), start=1):
        left, top, right, bottom = region.box
        frame = Rectangle(
            (left, top), right - left, bottom - top, fill=False, edgecolor=colour, linewidth=2
        )
        frame.set_path_effects([Stroke(linewidth=3.5, foreground="#000000", alpha=0.5), Normal()])
        axes.add_patch(frame)
        axes.annotate(
            str(rank),
            (left, top),
            (3.0, -3.0),  # its frame inside the region's
            textcoords="offset points",
            color="black",
            fontweight="bold",
            verticalalignment="top",
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 2.5},
        )
        words += _region_lines(rank, region, _size(axes)[0])
    _title(axes, _REGIONS)
    _below(axes, words)
    return axes


def plot_heat_map(
    image: Image.Image,
    of: Explanation | Contrast,
    *,
    description: int | str | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw where the evidence lies: for a class, or for one class and for another.

    Args:
        image: The upright RGB image.
        of: An explanation, or a contrast of two.
        description: Number or text of a description of an explanation, to see where that one alone
            is answered.
        axes: Where to draw.

    Returns:
        The axes.

    Raises:
        MissingExtraError: If matplotlib is not installed.
        DescriptionError: If there is no such description.
    """
    small = thumbnail(image, _MAX_SIDE)
    if not isinstance(of, Contrast):
        return _plot_map(maps.heat(small, of, description=description), of.size, axes)
    if description is not None:
        raise DescriptionError(
            f"expected no description with a contrast of two classes; got {description!r}."
        )
    return _plot_map(maps.difference(small, of), of.size, axes)


def plot_bars(chart: Chart, *, axes: Axes | None = None) -> Axes:
    """Draw a chart; a paler bar is what the whole image gives.

    Args:
        chart: What to draw, from :func:`crossalign.reports.summary.summarise`.
        axes: Where to draw.

    Returns:
        The axes.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    own = axes is None
    axes = _axes(axes)
    width = _size(axes)[0]
    rows = list(_rows(chart, width))
    needed = _needed(iter(rows))
    heads = len(_title_lines(chart.title, width))
    figure = axes.get_figure(root=True)
    if own and figure is not None:
        figure.set_figheight(needed * _LINE + (heads + 1) * _HEADING)
    # In axes of others texts shrink if need be; a figure of ours is as high as they are.
    share = _size(axes)[1] / (needed * _LINE)
    size = _SMALL if own or share > 0.999 else _SMALL * share
    low, _ = chart.reach
    axes.set_xlim(low, low + chart.span * width / max(width - _NUMBER, width / 2.0))
    axes.set_ylim(needed, 0.0)
    across = axes.get_yaxis_transform()
    for row in rows:
        style = "italic" if row.heading else "normal"
        for place, line in enumerate(row.lines, start=1):
            axes.text(
                *(0.0, row.top + place - 0.2, line),
                transform=across,
                fontsize=size,
                fontstyle=style,
                parse_math=False,
            )
        for middle, value, opacity in row.bars:
            axes.barh(middle, value, _BAR, color=_SIDES[row.side], alpha=opacity)
            axes.text(
                *(1.0, middle, rounded(value)),
                transform=across,
                fontsize=size,
                ha="right",
                va="center_baseline",
            )
        if low < 0 and row.bars:
            ends = row.bars[0][0] - _BAR / 2.0, row.bars[-1][0] + _BAR / 2.0
            axes.plot((0.0, 0.0), ends, color="#8a8d93", linewidth=1.0)
    axes.set_axis_off()
    _title(axes, chart.title)
    return axes


def plot_matrix(explanation: Explanation, *, axes: Axes | None = None) -> Axes:
    """Draw the similarity matrix: a row a description, a column a crop, the heaviest crop first.

    Args:
        explanation: The score, taken apart.
        axes: Where to draw.

    Returns:
        The axes.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    axes = _axes(axes)
    order = (-explanation.crop_weights).argsort(kind="stable")
    drawn = axes.imshow(explanation.similarity[order].T, aspect="auto", cmap="viridis")
    labels = ["\n".join(wrapped(text, _LETTERS, lines=2)) for text in explanation.descriptions]
    axes.set_yticks(range(len(labels)), labels, parse_math=False)
    axes.set_xlabel("crop, the heaviest first")
    _title(axes, f"Similarity matrix of {explanation.label}")
    figure = axes.get_figure(root=True)
    if figure is not None:
        figure.colorbar(drawn, ax=axes, label="cosine")
    return axes


def card(image: Image.Image, summary: Summary) -> Figure:
    """Draw all there is to say about one photo.

    Args:
        image: The upright RGB image.
        summary: What to say.

    Returns:
        A figure that no window shows yet.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    margin, gap, width = 0.3, 0.35, _CARD_WIDTH
    shown = maps.maps(thumbnail(image, _MAX_SIDE), summary)
    charts = (summary.classes, summary.decisive, summary.meeting)
    wide = _column(max(2, 1 + len(shown)), margin, gap)
    narrow = _column(len(charts), margin, gap)
    photo = min(wide * image.height / image.width, _TALLEST)
    words = [
        line
        for rank, region in enumerate(summary.regions, start=1)
        for line in _region_lines(rank, region, wide)
    ]
    titles = [_title_lines(title, wide) for title in (_REGIONS, *(m.title for m in shown))]
    notes = [_KEY_LINES + len(wrapped(m.note, _ems(wide), 3)) for m in shown]
    above = _HEADING * max(map(len, titles))
    below = _LINE * (1 + max([len(words), *notes]))
    head = _headlines(summary, width - 2 * margin)
    chart_heads = [_HEADING * len(_title_lines(chart.title, narrow)) for chart in charts]
    chart_rows = [_needed(_rows(chart, narrow)) * _LINE for chart in charts]
    tops = [0.3 + sum(size * _LEADING / 72.0 for _, size, _ in head) + 0.15 + above]
    tops.append(tops[0] + photo + below + _HEADING)
    ends = [sum(pair) for pair in zip(chart_heads, chart_rows, strict=True)]
    height = tops[1] + max(ends) + margin
    figure = Figure(figsize=(width, height))

    def place(column: int, size: float, top: float, tall: float) -> Axes:
        left = margin + column * (size + gap)
        return figure.add_axes(
            (left / width, 1.0 - (top + tall) / height, size / width, tall / height)
        )

    y = 0.3
    for text, size, weight in head:
        figure.text(
            *(margin / width, 1.0 - y / height, text),
            fontsize=size,
            fontweight=weight,
            va="top",
            parse_math=False,
        )
        y += size * _LEADING / 72.0
    regions = place(0, wide, tops[0], photo)
    plot_regions(image, summary.explanation, regions=summary.regions, axes=regions)
    for column, each in enumerate(shown, start=1):
        _plot_map(each, summary.explanation.size, place(column, wide, tops[0], photo))
    for column, chart in enumerate(charts):
        top = tops[1] + chart_heads[column]
        plot_bars(chart, axes=place(column, narrow, top, chart_rows[column]))
    return figure


def save_card(
    path: str | os.PathLike[str], image: Image.Image, summary: Summary, *, dpi: float = 100.0
) -> None:
    """Save :func:`card` as a PNG file.

    Args:
        path: The file, whatever its name ends in.
        image: The upright RGB image.
        summary: What to say.
        dpi: Pixels an inch; the card is 13 inches wide.

    Raises:
        MissingExtraError: If matplotlib is not installed.
        OSError: If the file cannot be written.
    """
    figure = card(image, summary)
    with warnings.catch_warnings():
        # A name in a script that the font does not know shows as boxes; that is no failure.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        figure.savefig(path, format="png", dpi=dpi)


@dataclass(frozen=True, slots=True)
class _Row:
    """Lines of text, and the bars below them; places in lines from the top of a chart.

    ``bars`` are place, value and opacity of each.
    """

    top: float
    lines: list[str]
    heading: bool
    side: Side
    bars: list[tuple[float, float, float]]
    bottom: float


def _rows(chart: Chart, width: float) -> Iterator[_Row]:
    """Lay a chart out: the texts of its groups and bars, below each other."""
    y = 0.0
    if chart.note:
        lines = wrapped(chart.note, _ems(width), 5)
        yield _Row(y, lines, False, "rest", [], float(len(lines)))
        y = float(len(lines))
    y += 0.2
    for group, bars in chart.groups:
        if group:
            lines = wrapped(group, _ems(width), 4)
            yield _Row(y + 0.2, lines, True, "rest", [], y + 0.2 + len(lines))
            y += 0.3 + len(lines)
        for bar in bars:
            lines = wrapped(bar.text, _ems(width), 3)
            place = y + len(lines) + 0.1 + _BAR / 2.0
            drawn = [(place, bar.value, 1.0)]
            if bar.whole is not None:
                drawn.append((place + 0.85, bar.whole, 0.45))
            bottom = drawn[-1][0] + 0.7
            yield _Row(y, lines, False, bar.side, drawn, bottom)
            y = bottom


def _needed(rows: Iterator[_Row]) -> float:
    """Height of a chart in lines."""
    return max((row.bottom for row in rows), default=1.0)


def _axes(axes: Axes | None) -> Axes:
    if axes is not None:
        return axes
    require_matplotlib()
    from matplotlib.figure import Figure

    return Figure(layout="constrained").add_subplot()


def _photo(axes: Axes | None, image: Image.Image, size: tuple[int, int]) -> Axes:
    axes = _axes(axes)
    axes.imshow(image, extent=(0, size[0], size[1], 0))
    axes.set_anchor("NW")
    axes.set_axis_off()
    return axes


def _plot_map(shown: maps.Map, size: tuple[int, int], axes: Axes | None) -> Axes:
    """Draw a map, its key below it."""
    axes = _photo(axes, shown.picture, size)
    from matplotlib.offsetbox import AnnotationBbox, HPacker, OffsetImage, TextArea

    parts: list[Artist] = [
        TextArea(shown.low, textprops={"fontsize": _SMALL}),
        OffsetImage(np.asarray(shown.key), zoom=0.7),
        TextArea(shown.high, textprops={"fontsize": _SMALL}),
    ]
    key = AnnotationBbox(
        HPacker(children=parts, align="center", pad=0, sep=5),
        *((0, 0), (0, -5)),
        xycoords="axes fraction",
        boxcoords="offset points",
        box_alignment=(0, 1),
        frameon=False,
        pad=0,
        annotation_clip=False,
    )
    axes.add_artist(key)
    _title(axes, shown.title)
    _below(axes, wrapped(shown.note, _ems(_size(axes)[0]), 3), _KEY_LINES)
    return axes


def _region_lines(rank: int, region: Region | Place, width: float) -> list[str]:
    """The words of a region, how far they stand out, and what it adds."""
    indent = " " * 6
    room = _ems(width) - 3.0
    verb = "adds " if isinstance(region, Region) else ""
    words = wrapped(f"{region.text}  ({verb}{rounded(region.value)})", room, 3)
    note = region.note
    lines = words + (wrapped(note, room, 2) if note else [])
    return [f"{rank}    {lines[0]}", *(indent + line for line in lines[1:])]


def _below(axes: Axes, lines: Sequence[str], skipped: float = 0.0) -> None:
    """Write below a photo."""
    for place, line in enumerate(lines):
        axes.annotate(
            line,
            (0, 0),
            (0, -6 - 72 * _LINE * (skipped + place)),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=_SMALL,
            va="top",
            annotation_clip=False,
            parse_math=False,
        )


def _headlines(summary: Summary, width: float) -> list[tuple[str, float, str]]:
    """Lines of text above a card, their size in points and weight."""
    label = wrapped(summary.explanation.label, _ems(width, _LARGE), 4, bold=True)
    found = [(line, _LARGE, "bold") for line in label]
    for text in (summary.reason, f"{summary.name}: {summary.headline}", summary.certainty):
        if text:
            found += [(line, _MEDIUM, "normal") for line in wrapped(text, _ems(width, _MEDIUM), 4)]
    return found


def _title_lines(title: str, width: float) -> list[str]:
    return wrapped(title, _ems(width, _MEDIUM), 7, bold=True)


def _title(axes: Axes, title: str) -> None:
    lines = "\n".join(_title_lines(title, _size(axes)[0]))
    axes.set_title(lines, loc="left", fontsize=_MEDIUM, fontweight="bold", parse_math=False)


def _ems(width: float, size: float = _SMALL) -> float:
    """How many times the font size fits into inches; whole pixels may widen letters a little."""
    return 0.96 * width * 72.0 / size


def _size(axes: Axes) -> tuple[float, float]:
    """Size of axes in inches; those that a layout enlarges will be no smaller later."""
    figure = axes.get_figure(root=True)
    if figure is None:
        return 5.0, 4.0
    box = axes.get_position(original=True)
    return float(box.width * figure.get_figwidth()), float(box.height * figure.get_figheight())


def _column(count: int, margin: float, gap: float) -> float:
    """Width of one of several columns of a card, in inches."""
    return (_CARD_WIDTH - 2 * margin - (count - 1) * gap) / count

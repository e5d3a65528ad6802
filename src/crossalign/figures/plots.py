"""The same pictures as matplotlib figures (extra ``plots``), to save, to show or to build upon.

    from crossalign import load_image
    from crossalign.figures import plots

    axes = plots.plot_regions(load_image("photo.jpg"), prediction.explain())
    axes.figure.savefig("regions.pdf")

Each function draws into the axes it is given, or into those of a new figure, and gives them back.
Text and background follow matplotlib's style. Names and texts are shown as they are: a dollar sign
begins no formula.
"""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image

from crossalign.errors import MissingExtraError
from crossalign.explain import Contrast, Region
from crossalign.figures.colours import FIRST, REGION_COLOURS, SECOND
from crossalign.figures.pictures import contrast_overlay, heat_overlay, thumbnail
from crossalign.figures.summary import Chart, Side, Summary, distinct_regions
from crossalign.figures.texts import printable, wrapped
from crossalign.predictions import Explanation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIDES: dict[Side, str] = {"first": FIRST, "second": SECOND, "rest": "#9a9ea5"}
_MAX_SIDE = 1200
_LETTERS = 34


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
    regions: Sequence[Region] | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw a photo with the numbered frames of its top regions, and their words below it.

    Args:
        image: The upright RGB image.
        explanation: The score, taken apart.
        regions: Up to four regions, see :func:`crossalign.explain.top_regions`; by default the best
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

    shown = distinct_regions(explanation) if regions is None else regions
    words = []
    for rank, (region, colour) in enumerate(zip(shown, REGION_COLOURS, strict=False), start=1):
        left, top, right, bottom = region.box
        frame = Rectangle(
            (left, top), right - left, bottom - top, fill=False, edgecolor=colour, linewidth=2
        )
        frame.set_path_effects([Stroke(linewidth=3.5, foreground="#000000", alpha=0.5), Normal()])
        axes.add_patch(frame)
        axes.text(
            *(left, top, str(rank)),
            color="black",
            fontweight="bold",
            verticalalignment="top",
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 2.5},
        )
        lines = wrapped(region.text, 46, lines=2)
        words.append(f"{rank}  {region.adds:.3f}  " + "\n                ".join(lines))
    _caption(axes, words)
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
    if isinstance(of, Contrast):
        overlay = contrast_overlay(small, of)
        title = f"Blue speaks for {of.first.label}, orange for {of.second.label}"
    else:
        overlay = heat_overlay(small, of, description=description)
        title = f"Where the evidence for {of.label} lies"
    axes = _photo(axes, overlay, of.size)
    _caption(axes, wrapped(title, 56, lines=2))
    return axes


def plot_bars(chart: Chart, *, axes: Axes | None = None) -> Axes:
    """Draw a chart; a paler bar is what the whole image gives.

    Args:
        chart: What to draw, from :func:`crossalign.figures.summary.summarise`.
        axes: Where to draw.

    Returns:
        The axes.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    axes = _axes(axes)
    twice = any(bar.whole is not None for bar in chart.bars)
    thick = 0.38 if twice else 0.62
    for place, bar in enumerate(chart.bars):
        colour = _SIDES[bar.side]
        shift = thick / 2 if twice else 0.0
        axes.barh(place - shift, bar.value, thick, color=colour)
        axes.annotate(f" {bar.value:.3f}", (max(bar.value, 0.0), place - shift), va="center")
        if bar.whole is not None:
            axes.barh(place + shift, bar.whole, thick, color=colour, alpha=0.45)
            axes.annotate(f" {bar.whole:.3f}", (max(bar.whole, 0.0), place + shift), va="center")
    labels = ["\n".join(wrapped(bar.text, _LETTERS, lines=2)) for bar in chart.bars]
    axes.set_yticks(range(len(labels)), labels, parse_math=False)
    axes.set_ylim(max(len(labels), 5) - 0.5, -0.5)  # the first on top, and no bar very thick
    axes.tick_params(left=False, bottom=False, labelbottom=False)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_position("zero" if chart.reach[0] < 0 else ("axes", 0))
    axes.margins(x=0.16)
    _title(axes, chart.title, chart.note)
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

    aspect = image.height / image.width
    rows = max(len(summary.decisive.bars), len(summary.meeting.bars))
    heights = [min(4.2 * aspect, 6.0) + 0.9, 1.0 + 0.42 * rows]
    figure = Figure(figsize=(13.0, sum(heights) + 0.6), layout="constrained")
    halves = figure.add_gridspec(2, 1, height_ratios=heights)
    pictures = halves[0].subgridspec(1, 2 if summary.contrast is None else 3)
    plot_regions(
        image, summary.explanation, regions=summary.regions, axes=figure.add_subplot(pictures[0])
    )
    plot_heat_map(image, summary.explanation, axes=figure.add_subplot(pictures[1]))
    if summary.contrast is not None:
        plot_heat_map(image, summary.contrast, axes=figure.add_subplot(pictures[2]))
    charts = halves[1].subgridspec(1, 3, width_ratios=(0.7, 1.0, 1.0))
    for place, chart in enumerate((summary.classes, summary.decisive, summary.meeting)):
        plot_bars(chart, axes=figure.add_subplot(charts[place]))
    said = f"{summary.name}: {summary.explanation.label} {summary.headline}\n{summary.certainty}"
    figure.suptitle(printable(said), x=0.01, ha="left", parse_math=False)
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


def _axes(axes: Axes | None) -> Axes:
    if axes is not None:
        return axes
    require_matplotlib()
    from matplotlib.figure import Figure

    return Figure(layout="constrained").add_subplot()


def _photo(axes: Axes | None, image: Image.Image, size: tuple[int, int]) -> Axes:
    axes = _axes(axes)
    axes.imshow(image, extent=(0, size[0], size[1], 0))
    axes.set_axis_off()
    return axes


def _caption(axes: Axes, lines: Sequence[str]) -> None:
    """Write below a photo."""
    text = "\n".join(lines)
    axes.set_title(text, loc="left", y=-0.04, va="top", fontsize="small", parse_math=False)


def _title(axes: Axes, title: str, note: str = "") -> None:
    lines = wrapped(title, 40, lines=2) + (wrapped(note, _LETTERS, lines=3) if note else [])
    axes.set_title("\n".join(lines), loc="left", fontsize="medium", parse_math=False)

"""Where in the picture the evidence lies."""

from __future__ import annotations

import math
import operator
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from crossalign.errors import CrossalignError, DescriptionError
from crossalign.explain.contrast import Contrast
from crossalign.images.crops import Boxes
from crossalign.predictions import Explanation, LocalEvidence
from crossalign.utils.validation import one_of, whole_number

HeatMap = npt.NDArray[np.float64]
"""Shape (height, width): evidence for each pixel."""

CropsShown: TypeAlias = Literal["local", "scoring"]
"""Which crops a map is drawn from: small, even ones that look closer, or those that scored."""

# What answers a class less than half as far above the mean crop as the best place is no part of it.
_LEAST_SHARE = 0.5


def heat_map(
    explanation: Explanation,
    *,
    description: int | str | None = None,
    max_side: int | None = None,
    crops: CropsShown = "local",
) -> HeatMap:
    """Show where a class is, or where the evidence for its score lies.

    *Local* crops, small and even, show where: :func:`spread` lays their cosines with the class,
    less the mean, over the picture; what is less than half as high as the highest place is left
    out, and the rest adds up to 1. It is 0 everywhere if all crops answer alike.

    *Scoring* crops show what the score is made of: each brings its positive evidence, the sum of
    its positive terms, and the map adds up to that of all crops, which is the score where no term
    is below zero. They are often too large to say where anything is. They are what is shown where
    there are no local crops, see :attr:`~crossalign.Explanation.local`.

    Args:
        explanation: The score, taken apart.
        description: Number or text of a description, to see where that one alone is answered; by
            local crops, what it says beyond its class. All of them by default.
        max_side: Longest side of the map in pixels; that of the image by default.
        crops: Which crops.

    Returns:
        float64, shape (height, width) of the upright image or smaller, no value below zero.

    Raises:
        DescriptionError: If there is no such description.
        ImageError: If the image must be read again and cannot.
        CrossalignError: If ``max_side`` is below 1, or the crops are neither of the two.
    """
    local = _local(explanation, crops)
    if local is None:
        terms = _columns(explanation, description)
        positive = np.maximum(terms, 0.0).sum(axis=1)
        return spread(explanation.boxes, explanation.size, positive, max_side=max_side)
    amounts = local.answers.astype(np.float64)
    if description is not None:
        amounts = local.distinct[:, _number_of(explanation, description)].astype(np.float64)
    heat = np.maximum(
        spread(local.boxes, local.size, amounts - amounts.mean(), max_side=max_side), 0.0
    )
    heat = np.maximum(heat - _LEAST_SHARE * heat.max(), 0.0)
    shares: HeatMap = heat / (float(heat.sum()) or 1.0)
    return shares


def signed_heat_map(
    of: Explanation | Contrast,
    *,
    description: int | str | None = None,
    max_side: int | None = None,
    crops: CropsShown = "local",
) -> HeatMap:
    """Show where a class is more and less than elsewhere, or where A and where B is.

    By *local* crops: their cosines with the class less the mean, or with A less those with B,
    :func:`spread` over the picture, as a difference of cosines.

    By *scoring* crops: what each adds to the score, or to the difference of two. The map adds up to
    the score, or to the difference.

    Args:
        of: An explanation, or a contrast of two.
        description: As in :func:`heat_map`; for an explanation alone.
        max_side: Longest side of the map in pixels; that of the image by default.
        crops: Which crops, as in :func:`heat_map`.

    Returns:
        float64, shape (height, width) of the upright image or smaller.

    Raises:
        DescriptionError: If there is no such description.
        ImageError: If the image must be read again and cannot.
        CrossalignError: If ``max_side`` is below 1, or the crops are neither of the two.
    """
    if isinstance(of, Contrast) and description is not None:
        raise DescriptionError(
            "expected no description with a contrast, whose two classes have different ones; "
            f"got {description!r}. Ask its 'first' or 'second' explanation."
        )
    first, second = (of.first, of.second) if isinstance(of, Contrast) else (of, None)
    local = _local(first, crops)
    if local is None:
        by_crop = of.by_crop
        if isinstance(of, Explanation):
            by_crop = _columns(of, description).sum(axis=1)
        return spread(of.boxes, of.size, by_crop, max_side=max_side)
    other = None if second is None else _local(second, crops)
    if other is not None:
        amounts = local.answers.astype(np.float64) - other.answers
    else:
        number = None if description is None else _number_of(first, description)
        values = local.answers if number is None else local.distinct[:, number]
        amounts = values - values.mean(dtype=np.float64)
    return spread(local.boxes, local.size, amounts, max_side=max_side)


def spread(
    boxes: Boxes,
    size: tuple[int, int],
    amounts: npt.NDArray[np.float64],
    *,
    max_side: int | None = None,
) -> HeatMap:
    """Spread an amount over each box, and even out how often boxes cover a place.

    Random crops cover the middle of a picture more often than its rim, so amounts merely spread
    over their boxes would show little but that. With e_i the amount of box i, A_i its area, and the
    sums over the boxes that cover pixel p,

    ``h(p) = (sum e_i / A_i + k m) / (sum 1 / A_i + k)``

    is what p gets if each amount is spread evenly over its box, divided by what p would get if all
    boxes brought the same: the mean amount of the boxes that see p, in which small boxes, which
    know better where they look, count more. So that a single crop at the rim does not outshine all
    others, p is also seen by one more box of ordinary coverage ``k = N / (width height)`` and the
    mean amount m. The map is h scaled so that it adds up to the sum of all e_i; where no box is,
    it is 0. Equal amounts give an even map, and the order of the boxes does not matter, to the last
    bit.

    With amounts on both sides of zero, h is scaled so that the same map of their sizes would add up
    to the sum of the sizes; then what lies above zero is multiplied, and what lies below divided,
    by the one number that makes all add up to the sum of all e_i.

    Args:
        boxes: ``(left, top, right, bottom)`` in pixels inside the image, none empty, shape (N, 4).
        size: Width and height of the image in pixels.
        amounts: e, shape (N,).
        max_side: Longest side of the map; a pixel of a smaller map holds the sum over the part of
            the image that it stands for. That of the image by default, and never more.

    Returns:
        float64, shape (height, width); no value below zero if no amount is.

    Raises:
        CrossalignError: If ``max_side`` is below 1.

    Example:
        >>> boxes = np.array([[0, 0, 2, 2], [1, 0, 4, 2]])
        >>> spread(boxes, (4, 2), np.array([0.0, 6.0])).round(3).tolist()[0]
        [0.359, 0.629, 1.006, 1.006]
    """
    width, height = _map_size(size, max_side)
    # Sorted, because floating-point sums depend on the order.
    order = np.lexsort((amounts, *boxes.T))
    boxes, amounts = boxes[order], amounts[order]
    edges_x = np.unique(np.concatenate([[0, size[0]], boxes[:, 0], boxes[:, 2]]))
    edges_y = np.unique(np.concatenate([[0, size[1]], boxes[:, 1], boxes[:, 3]]))
    # Between the edges nothing changes, so it is enough to compute one value for each cell.
    corners = [np.searchsorted(edges_x, boxes[:, side]) for side in (0, 2)]
    corners += [np.searchsorted(edges_y, boxes[:, side]) for side in (1, 3)]
    cells = len(edges_y) - 1, len(edges_x) - 1
    areas = np.outer(np.diff(edges_y), np.diff(edges_x))
    density = 1.0 / np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    covered = _stack(cells, corners, np.ones(len(boxes), np.int64)) > 0
    ordinary = len(boxes) / (size[0] * size[1])
    coverage = _stack(cells, corners, density) + ordinary

    def mean_of(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        brought = _stack(cells, corners, density * values) + ordinary * values.mean()
        return np.where(covered, brought / coverage, 0.0)

    sizes = np.abs(amounts)
    whole = float((mean_of(sizes) * areas).sum())
    if whole <= 0.0:
        return np.zeros((height, width))
    cell_map = _adding_up(mean_of(amounts) * (sizes.sum() / whole), areas, float(amounts.sum()))
    if (width, height) == size:
        rows = np.repeat(cell_map, np.diff(edges_y), axis=0)
        return np.repeat(rows, np.diff(edges_x), axis=1)
    small: HeatMap = _shares(edges_y, height) @ (cell_map * areas) @ _shares(edges_x, width).T
    return small


def _adding_up(
    values: npt.NDArray[np.float64], areas: npt.NDArray[np.int64], total: float
) -> npt.NDArray[np.float64]:
    """Multiply what is above zero by r and what is below by 1 / r, so that all adds up to a total.

    With U and V the sums of both sides, r solves r U - V / r = total. Where one side is empty, the
    other alone adds up to the total.
    """
    above, below = np.maximum(values, 0.0), np.maximum(-values, 0.0)
    up, down = float((above * areas).sum()), float((below * areas).sum())
    root = math.hypot(total, 2.0 * math.sqrt(up) * math.sqrt(down))
    if up > 0.0:
        above *= (root + total) / (2.0 * up)
    if down > 0.0:
        below *= (root - total) / (2.0 * down)
    return above - below


def _stack(
    cells: tuple[int, int], corners: list[npt.NDArray[np.intp]], values: npt.NDArray[np.generic]
) -> npt.NDArray[np.float64]:
    """Add each value to all cells of its box, by running sums over differences at its corners."""
    left, right, top, bottom = corners
    steps = np.zeros((cells[0] + 1, cells[1] + 1), dtype=values.dtype)
    np.add.at(steps, (top, left), values)
    np.add.at(steps, (bottom, right), values)
    np.subtract.at(steps, (top, right), values)
    np.subtract.at(steps, (bottom, left), values)
    total: npt.NDArray[np.float64] = steps.cumsum(axis=0).cumsum(axis=1)[:-1, :-1]
    return total


def _shares(edges: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.float64]:
    """Which share of each interval between edges falls into each of ``count`` equal parts."""
    parts = np.linspace(edges[0], edges[-1], count + 1)
    low = np.maximum(parts[:-1, None], edges[None, :-1])
    high = np.minimum(parts[1:, None], edges[None, 1:])
    shares: npt.NDArray[np.float64] = np.maximum(high - low, 0.0) / np.diff(edges)
    return shares


def _local(explanation: Explanation, crops: CropsShown) -> LocalEvidence | None:
    """The local crops if they are wanted and there; None for those that scored."""
    one_of("crops of a map", crops, get_args(CropsShown), error=CrossalignError)
    return explanation.local if crops == "local" else None


def _columns(explanation: Explanation, description: int | str | None) -> npt.NDArray[np.float64]:
    if description is None:
        return explanation.terms
    return explanation.terms[:, [_number_of(explanation, description)]]


def _number_of(explanation: Explanation, description: int | str) -> int:
    texts = explanation.descriptions
    if isinstance(description, str):
        index = texts.index(description) if description in texts else -1
    else:
        index = operator.index(description)
    if not 0 <= index < len(texts):
        raise DescriptionError(
            f"expected a description of {explanation.label!r}, its text or its number from 0 to "
            f"{len(texts) - 1}; got {description!r}."
        )
    return index


def _map_size(size: tuple[int, int], max_side: int | None) -> tuple[int, int]:
    if max_side is None:
        return size
    whole_number("max_side", max_side, 1, error=CrossalignError)
    width, height = size
    scale = min(1.0, max_side / max(size))
    return max(1, round(width * scale)), max(1, round(height * scale))

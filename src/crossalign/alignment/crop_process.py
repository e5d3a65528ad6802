"""The crops of an image as a random process over boxes: what they tell about one another.

The model that :mod:`crossalign.alignment.adaptive` predicts with, and the order in which it wants
the crops.
"""

from __future__ import annotations

import functools
import math
import statistics
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from crossalign.alignment.checks import _check_scale
from crossalign.errors import AlignmentError

Floats: TypeAlias = npt.NDArray[np.float64]

MAX_BUDGET = 500
"""Most crops that are ordered; its cost grows with their cube."""

# The model's constants, all without a unit: near the greatest likelihood of the built-in model's
# crops, except that a crop's own part is three times as large, for the sake of rougher encoders.
_OWN_VARIANCE = 0.1  # of a crop's own part, beside 1 for the part that overlapping crops share
COSINE_SPREAD = 0.13  # prior spread of the cosines, beside a slope of 1
_EXPECTED_SLOPE = 0.5  # cosine lost from full overlap with the whole to none; for the order alone
_DRAWS = 32  # of the weights to come


@dataclass(frozen=True, slots=True, eq=False)
class CropOrder:
    """In which order the crops of an image come, and what they tell about one another.

    Args:
        indices: Of the boxes, first crop first, shape (N,).
        factor: Lower Cholesky factor of the prior covariance of the crops' differences from the
            whole image, in that order, shape (N, N).
        apart: One minus each crop's overlap with the whole image, in that order, shape (N,).
    """

    indices: npt.NDArray[np.int64]
    factor: Floats
    apart: Floats


def order_crops(boxes: npt.ArrayLike, shown: npt.ArrayLike, scale: float) -> CropOrder:
    """Order the crops of an image so that the first tell most about the full answer.

    Greedy: the next crop is the one that leaves least expected variance in the weighted sum over
    all crops. Takes about a millisecond for 60 crops.

    Args:
        boxes: ``(left, top, right, bottom)``, shape (N, 4), 1 to 500 of them.
        shown: What the encoder sees of the whole image, ``(left, top, right, bottom)``; see
            :func:`crossalign.images.crops.shown`.
        scale: Crop scale S_c.

    Returns:
        The order and the model, a permutation of all N boxes.

    Raises:
        AlignmentError: If shapes do not fit, or the scale is not finite.

    Example:
        >>> order_crops(
        ...     [(40, 0, 90, 50), (0, 0, 90, 90), (0, 40, 50, 90)], (5, 0, 95, 90), 50.0
        ... ).indices
        array([1, 0, 2])
    """
    scale = _check_scale(scale)
    covariance, apart = _covariance(*_check_boxes(boxes, shown))
    count = len(apart)
    weights = _expected_weights(covariance, apart, scale)
    order = np.empty(count, np.int64)
    factor = np.zeros((count, count))
    variance = np.diagonal(covariance).copy()
    shares = covariance @ weights.T  # of each crop with the full sum, given the crops before it
    waiting = np.ones(count, bool)
    for place in range(count):
        gain = np.where(waiting, np.sum(shares**2, axis=1) / variance, -1.0)
        # Equal crops come in their given order, not in that of the last bits of their gain.
        chosen = int(np.argmax(gain >= gain.max() * (1.0 - 1e-9)))
        known = factor[:, :place] @ factor[chosen, :place]
        column = (covariance[:, chosen] - known) / math.sqrt(variance[chosen])
        column[order[:place]] = 0.0
        factor[:, place] = column
        order[place] = chosen
        waiting[chosen] = False
        shares -= np.outer(column, weights @ column)
        # A crop keeps some of its own variance whatever is known of the others.
        variance = np.maximum(variance - column**2, _OWN_VARIANCE)
    return CropOrder(order, factor[order], apart[order])


def _covariance(boxes: Floats, shown: Floats) -> tuple[Floats, Floats]:
    """Prior covariance of the crops' differences from the whole image, and their distance to it."""
    left, top, right, bottom = np.concatenate([shown[None], boxes]).T
    across = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
    down = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
    lengths = np.sqrt((right - left) * (bottom - top))
    overlaps = np.maximum(across, 0.0) * np.maximum(down, 0.0) / np.outer(lengths, lengths)
    shared = overlaps**2 + _OWN_VARIANCE * np.eye(len(overlaps))
    differences = shared - shared[0] - shared[:, :1] + shared[0, 0]
    return differences[1:, 1:], 1.0 - overlaps[0, 1:]


def _expected_weights(covariance: Floats, apart: Floats, scale: float) -> Floats:
    """Draws of the crops' weights before anything is known of the image, shape (draws, N)."""
    if scale == 0.0:
        return np.ones((1, len(apart)))
    noise = normal_draws(len(apart)) @ np.linalg.cholesky(covariance).T
    losses = _EXPECTED_SLOPE * (apart + COSINE_SPREAD * noise)
    exponents = -scale * np.clip(losses, 0.0, 2.0)
    weights: Floats = np.exp(exponents - exponents.max(axis=1, keepdims=True))
    return weights


@functools.lru_cache(maxsize=64)
def normal_draws(count: int) -> Floats:
    """The same standard normal draws every time, each with its opposite; shape (draws, count)."""
    words = np.random.Philox(key=0).random_raw(_DRAWS // 2 * count)
    quantile = statistics.NormalDist().inv_cdf
    half = np.array([quantile(((int(word) >> 11) + 0.5) * 2.0**-53) for word in words])
    half = half.reshape(_DRAWS // 2, count)
    draws = np.concatenate([half, -half])
    draws.setflags(write=False)
    return draws


def _check_boxes(boxes: npt.ArrayLike, shown: npt.ArrayLike) -> tuple[Floats, Floats]:
    rows, whole = np.asarray(boxes, np.float64), np.asarray(shown, np.float64)
    if rows.ndim != 2 or rows.shape[1:] != (4,) or not 1 <= len(rows) <= MAX_BUDGET:
        raise AlignmentError(
            f"expected boxes of shape (N, 4) with N from 1 to {MAX_BUDGET}; got {rows.shape}."
        )
    every = np.concatenate([rows, np.reshape(whole, (-1, 4))]) if whole.size == 4 else rows[:0]
    if not len(every) or not np.isfinite(every).all() or not np.all(every[:, :2] < every[:, 2:]):
        raise AlignmentError(
            "expected boxes and the part shown as (left, top, right, bottom) with left < right and "
            f"top < bottom, all finite; got a part shown of {shown!r}, or a box without an area or "
            "without an end."
        )
    return rows, whole

"""What a set of predictions is worth.

Everything takes and gives NumPy arrays. ``right`` arrays hold, for each of n images, whether it was
labelled right: booleans, or shares between 0 and 1 where there were several runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from crossalign.alignment.calibration import wilson as wilson_interval
from crossalign.errors import EvaluationError

Numbers: TypeAlias = npt.NDArray[np.float64]
Labels: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with its interval.

    Args:
        value: The number.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and spread over runs.

    Args:
        mean: Mean.
        sd: Standard deviation of a run, with n - 1 below; None with a single run.
        runs: How many there were.
    """

    mean: float
    sd: float | None
    runs: int


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """How well confidence foretells accuracy.

    Args:
        error: Expected calibration error: mean gap between confidence and accuracy over bins,
            weighted by their images.
        confidence: Mean confidence of each bin that has images, shape (B,).
        accuracy: Share labelled right in each, shape (B,).
        count: Images in each, shape (B,).
    """

    error: float
    confidence: Numbers
    accuracy: Numbers
    count: Labels


def spread(values: npt.ArrayLike) -> Spread:
    """Give mean and standard deviation over runs.

    Args:
        values: One number a run, shape (R,).

    Returns:
        Both.

    Example:
        >>> spread([1, 3])
        Spread(mean=2.0, sd=1.4142135623730951, runs=2)
    """
    array = _numbers("values", values)
    sd = float(array.std(ddof=1)) if len(array) > 1 else None
    return Spread(float(array.mean()), sd, len(array))


def wilson(right: float, total: int) -> Interval:
    """Give Wilson's score interval of a share (Wilson, 1927).

    Args:
        right: Number of successes, which may be a mean over runs, 0 to ``total``.
        total: Number of trials, from 1 up.

    Returns:
        The share and its 95 % interval, inside [0, 1].

    Raises:
        EvaluationError: If the numbers are out of range.

    Example:
        >>> interval = wilson(8, 10)
        >>> round(interval.low, 3), round(interval.high, 3)
        (0.49, 0.943)
    """
    if total < 1 or not 0 <= right <= total:
        raise EvaluationError(f"expected 0 to {total} successes of at least one; got {right}.")
    share, (low, high) = right / total, wilson_interval(right, total)
    # Rounding must not push an end past the share itself.
    return Interval(share, min(share, low), max(share, high))


def per_class_mean(labels: npt.ArrayLike, right: npt.ArrayLike) -> float:
    """Average the accuracies of the classes, each counting alike (balanced accuracy).

    Args:
        labels: True classes, integers, shape (n,).
        right: Shape (n,).

    Returns:
        Mean over the classes that have images.
    """
    true, hits = _labels("labels", labels), _numbers("right", right, len(np.asarray(labels)))
    counts = np.bincount(true)
    sums = np.bincount(true, weights=hits)
    return float((sums[counts > 0] / counts[counts > 0]).mean())


def calibration(confidence: npt.ArrayLike, right: npt.ArrayLike, bins: int = 15) -> Calibration:
    """Measure calibration in bins of equal width (Guo et al., ICML 2017).

    Args:
        confidence: Of the predicted class, between 0 and 1, shape (n,).
        right: Shape (n,).
        bins: Number of bins; bin b holds confidences in (b / bins, (b + 1) / bins].

    Returns:
        The expected calibration error and its bins.

    Example:
        >>> round(calibration([0.9, 0.9, 0.6, 0.6], [1, 1, 1, 0]).error, 3)
        0.1
    """
    sure = _numbers("confidence", confidence)
    hits = _numbers("right", right, len(sure))
    place = np.clip(np.ceil(sure * bins).astype(np.int64) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    used = count > 0
    mean = np.bincount(place, weights=sure, minlength=bins)[used] / count[used]
    share = np.bincount(place, weights=hits, minlength=bins)[used] / count[used]
    error = float(np.sum(count[used] * np.abs(mean - share)) / len(sure))
    return Calibration(error, mean, share, count[used])


def risk_coverage(confidence: npt.ArrayLike, right: npt.ArrayLike) -> tuple[Numbers, Numbers]:
    """Give the share of mistakes among the most confident images, for every share of them.

    Images of equal confidence are taken together, so the order of the images does not matter
    (Geifman and El-Yaniv, NeurIPS 2017).

    Args:
        confidence: Shape (n,).
        right: Shape (n,).

    Returns:
        Coverage, rising to 1, and the risk at each, both of shape (k,), k the number of different
        confidences.

    Example:
        >>> coverage, risk = risk_coverage([0.9, 0.8, 0.7, 0.7], [1, 1, 0, 1])
        >>> coverage.tolist(), risk.tolist()
        ([0.25, 0.5, 1.0], [0.0, 0.0, 0.25])
    """
    sure = _numbers("confidence", confidence)
    hits = _numbers("right", right, len(sure))
    order = np.argsort(-sure, kind="stable")
    last = np.flatnonzero(np.append(np.diff(sure[order]) != 0, True))
    wrong = np.cumsum(1.0 - hits[order])
    return (last + 1) / len(sure), wrong[last] / (last + 1)


def area_under_risk(confidence: npt.ArrayLike, right: npt.ArrayLike) -> float:
    """Give the area under the risk-coverage curve as one number; smaller is better.

    Args:
        confidence: Shape (n,).
        right: Shape (n,).

    Returns:
        Mean risk over coverages, each step of coverage at the risk of its end.
    """
    coverage, risk = risk_coverage(confidence, right)
    return float(np.sum(np.diff(coverage, prepend=0.0) * risk))


def confusion(labels: npt.ArrayLike, predicted: npt.ArrayLike) -> dict[tuple[int, int], int]:
    """Count mistakes and hits by class, keeping only what occurs.

    Args:
        labels: True classes, integers, shape (n,).
        predicted: Predicted classes, integers, shape (n,).

    Returns:
        Counts by (true class, predicted class), the most frequent first.
    """
    pairs = np.stack([_labels("labels", labels), _labels("predicted", predicted)], axis=1)
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {(int(found[i, 0]), int(found[i, 1])): int(counts[i]) for i in order}


def _numbers(name: str, values: npt.ArrayLike, length: int | None = None) -> Numbers:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) == 0 or length not in (None, len(array)):
        wanted = "n" if length is None else str(length)
        raise EvaluationError(
            f"expected {name} of shape ({wanted},) with at least one image; got {array.shape}."
        )
    if not np.isfinite(array).all():
        raise EvaluationError(f"expected finite numbers in {name}; some are not.")
    return array


def _labels(name: str, values: npt.ArrayLike) -> Labels:
    array = np.asarray(values)
    if array.ndim != 1 or len(array) == 0 or array.dtype.kind not in "iu" or array.min() < 0:
        raise EvaluationError(
            f"expected {name} as class indices from 0 up, shape (n,); got {array.dtype} of shape "
            f"{array.shape}."
        )
    return array.astype(np.int64)

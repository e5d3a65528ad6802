"""What a set of predictions is worth.

Everything takes and gives NumPy arrays. ``right`` arrays hold, for each of n images, whether it was
labelled right: booleans, or shares between 0 and 1 where there were several runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from crossalign.errors import EvaluationError

Numbers: TypeAlias = npt.NDArray[np.float64]
Labels: TypeAlias = npt.NDArray[np.int64]


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

"""What a difference between two methods on the same images is worth.

Images are what chance draws. A method that ran several times has one number an image, the share of
its runs that were right, so nothing here depends on the order of the runs.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from crossalign.alignment.calibration import Z_95
from crossalign.errors import EvaluationError

Steps: TypeAlias = npt.NDArray[np.int64]

_MOST_STEPS = 2**22
_DRAWS = 99_999
_FINEST = 1e-12


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
class Comparison:
    """Two methods on the same images.

    Args:
        difference: Accuracy of the second less that of the first, over all runs.
        low: Lower end of the 95 % interval of the difference, not adjusted for other comparisons.
        high: Its upper end.
        images: Images that both could read.
        first_better: Images that the first labelled right in a larger share of its runs; with one
            run each, the images that only the first labelled right.
        second_better: Images that the second did.
        p: Of the paired sign-flip test, two-sided; with one run each it is McNemar's exact test.
    """

    difference: float
    low: float
    high: float
    images: int
    first_better: int
    second_better: int
    p: float


def compare(first: npt.ArrayLike, second: npt.ArrayLike) -> Comparison:
    """Compare two methods on the same images, so that no gain is claimed that is noise.

    Args:
        first: Whether each run of the first method labelled each image right, shape (R, n) or (n,).
        second: The same for the second method, shape (S, n) or (n,).

    Returns:
        The difference with its interval and its test, both over all runs.

    Raises:
        EvaluationError: If the two are not of the same images.

    Example:
        >>> found = compare([[1, 1, 0, 0], [1, 0, 0, 0]], [1, 1, 1, 1])
        >>> found.difference, found.second_better, found.p
        (0.625, 3, 0.25)
    """
    one, two = _runs("first", first), _runs("second", second)
    if one.shape[1] != two.shape[1]:
        raise EvaluationError(
            f"expected two methods on the same images; got {one.shape[1]} and {two.shape[1]}."
        )
    # Whole numbers: sums of shares would tie or not as they happen to be rounded.
    unit = math.lcm(len(one), len(two))
    steps = two.sum(axis=0) * (unit // len(two)) - one.sum(axis=0) * (unit // len(one))
    interval = paired_interval(steps / unit)
    return Comparison(
        difference=interval.value,
        low=interval.low,
        high=interval.high,
        images=len(steps),
        first_better=int((steps < 0).sum()),
        second_better=int((steps > 0).sum()),
        p=sign_flip(steps),
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """Test exactly whether two methods that share images differ (McNemar, 1947).

    Of the images that just one of them labelled right, each would have had half under the null
    hypothesis.

    Args:
        only_first: Images that only the first labelled right.
        only_second: Images that only the second labelled right.

    Returns:
        Two-sided p value of the exact binomial test.

    Example:
        >>> round(mcnemar(3, 11), 4)
        0.0574
    """
    total, least = only_first + only_second, min(only_first, only_second)
    if 2 * least == total:
        return 1.0
    from scipy.stats import binomtest

    # Of some thousand images a p value can be too small for a double; it is never 0.
    return max(float(binomtest(least, total).pvalue), sys.float_info.min)


def sign_flip(steps: npt.ArrayLike, *, seed: int = 0) -> float:
    """Test whether differences have mean zero, by flipping their signs (Fisher, 1935).

    Under the null hypothesis the two methods could change places on every image, so each
    difference could as well have had the other sign (so it is a test of differences that lie
    symmetrically about zero: with a mean of zero and a skew, as where one method ran 20 times and
    the other once, it can reject more often than it says). The p value is the share of all 2^k
    ways to give the k differences signs that are as far from zero as what came out. It is computed
    from the distribution of the sum itself, not from random draws: the sum's characteristic
    function is a product of cosines (one for each image), and a Fourier transform gives its masses.
    Where all differences are of one size, as with one run each, it is McNemar's exact test.

    Args:
        steps: Difference of each image in whole steps, such as hits of the second method's R runs
            less hits of the first's; integers, shape (n,).
        seed: For random signs, which are drawn in place of the above where the steps are so many
            that the exact distribution would need more than some 100 MB (99,999 draws; p is then
            (b + 1) / (draws + 1), never 0).

    Returns:
        Two-sided p value, above 0; exact to 1e-12, and smaller ones of differences of several sizes
        are given as 1e-12.

    Example:
        >>> sign_flip([2, 1, 1, 0])
        0.25
        >>> sign_flip([-1, 1, 1, 1, 0]) == mcnemar(1, 3)
        True
    """
    moved = np.asarray(steps)
    if moved.ndim != 1 or moved.dtype.kind not in "iu":
        raise EvaluationError(
            f"expected differences in whole steps, shape (n,); got {moved.dtype} of shape "
            f"{moved.shape}."
        )
    moved = moved[moved != 0].astype(np.int64)
    sizes, counts = np.unique(np.abs(moved), return_counts=True)
    if len(sizes) < 2:
        return mcnemar(int((moved < 0).sum()), int((moved > 0).sum()))
    common = math.gcd(*sizes.tolist())
    sizes, far = sizes // common, abs(int(moved.sum())) // common
    if far == 0:
        return 1.0
    if int(sizes @ counts) > _MOST_STEPS:
        return _drawn(sizes, counts, far, seed)
    return min(1.0, max(_FINEST, 2 * _tail(sizes, counts, far)))


def _tail(sizes: Steps, counts: Steps, far: int) -> float:
    """Probability that the sum of ``counts`` random signs of each size is ``far`` or more."""
    reach = int(sizes @ counts)
    length = 2 ** (2 * reach).bit_length()  # no two sums share a place
    angles = np.arange(length // 2 + 1) * (2 * np.pi / length)
    spectrum = np.ones_like(angles)
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        spectrum *= np.cos(size * angles) ** count
    return float(np.fft.irfft(spectrum, length)[far : reach + 1].sum())


def _drawn(sizes: Steps, counts: Steps, far: int, seed: int) -> float:
    random = np.random.default_rng(seed)
    sums = np.zeros(_DRAWS, np.int64)
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        sums += size * (2 * random.binomial(count, 0.5, _DRAWS) - count)
    return (int((np.abs(sums) >= far).sum()) + 1) / (_DRAWS + 1)


def paired_interval(differences: npt.ArrayLike) -> Interval:
    """Give the 95 % interval of a difference of accuracies on the same images.

    That of Agresti and Min (2005): the normal interval after half an image has been added to each
    of the four outcomes (both right, none, only the first, only the second). So it has a width even
    where the methods agree on every image. With several runs an image enters with its mean over
    them.

    Args:
        differences: For each image the share of runs right of the second method less that of the
            first, between -1 and 1, shape (n,).

    Returns:
        Mean difference, and the interval, within -1 and 1.

    Example:
        >>> interval = paired_interval([0] * 98)
        >>> round(interval.low, 4), interval.value, round(interval.high, 4)
        (-0.0196, 0.0, 0.0196)
    """
    gap = np.asarray(differences, dtype=np.float64)
    if gap.ndim != 1 or len(gap) == 0 or not (np.abs(gap) <= 1).all():
        raise EvaluationError(
            "expected differences between -1 and 1, one for each of at least one image; got shape "
            f"{gap.shape}."
        )
    count = len(gap) + 2
    centre = float(gap.sum()) / count
    variance = (float(gap @ gap) + 1) / count - centre**2
    half = Z_95 * math.sqrt(variance / count)
    return Interval(float(gap.mean()), max(-1.0, centre - half), min(1.0, centre + half))


def holm(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Adjust p values for having made several comparisons (Holm, 1979).

    Args:
        values: p values, shape (k,), at least one.

    Returns:
        Adjusted p values in the same order, shape (k,); compare them with 0.05 as they stand.

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
        [0.03, 0.06, 0.06]
    """
    given = np.asarray(values, dtype=np.float64)
    order = np.argsort(given)
    adjusted = np.empty_like(given)
    adjusted[order] = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1)).clip(max=1)
    return adjusted


def _runs(name: str, right: npt.ArrayLike) -> Steps:
    array = np.atleast_2d(np.asarray(right))
    if array.ndim != 2 or array.size == 0 or not np.isin(array, (0, 1)).all():
        raise EvaluationError(
            f"expected {name} as hits and misses, shape (runs, images) with at least one of each; "
            f"got {array.dtype} of shape {array.shape}."
        )
    return array.astype(np.int64)

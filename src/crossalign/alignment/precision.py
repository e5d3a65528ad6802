"""A threshold from which on labels are as precise as wished, also on photos not yet seen.

The surest of some labelled photos are right more often than the others, and how many of the surest
have to be taken is read off the same photos. So the share of right ones among them flatters: the
longest run of surest photos whose own precision reaches a wish falls below it on new photos about
every second time. Here a run is taken only if its precision could not have come out as high by
chance (the exact binomial test), and the level of that test is set for looking at runs of every
length: if all of them were just as precise as wished, one would pass in 1 - ``CONFIDENCE`` of all
cases. That probability is computed, not simulated, with a path that is taken out of the count where
it first passes.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from crossalign.errors import AlignmentError

Numbers: TypeAlias = npt.NDArray[np.float64]

CONFIDENCE = 0.9
"""In so many of all cases a promised precision holds on new photos."""

DIGITS = 6
"""Decimals of a confidence: it is compared, shown and stored with so many."""

Z_95 = 1.959963984540054
"""Of a two-sided interval of 95 %: how many standard deviations reach to either side."""

_SHORTEST = 0.05  # share of the photos: what keeps fewer helps few, and costs the others power
_LEVELS = 32
# For more photos the level is no longer computed. The limit for many, over lengths from 5 % to
# 100 %, is 0.0107 (Pickands' formula for the maximum of an Ornstein-Uhlenbeck process).
_MOST_STEPS = 500
_LEVEL_OF_MANY = 0.01


@dataclass(frozen=True, slots=True)
class Threshold:
    """The least confidence at which labels are as precise as was wished.

    Args:
        confidence: The threshold, of 6 decimals.
        wanted: Precision that was wished for.
        precision: Precision that the photos at or above it reached. It was chosen by them, so it
            is higher than that of other photos; promised is ``wanted`` alone.
        low: Lower end of the 95 % interval of that precision (Wilson), as if not chosen.
        high: Upper end.
        coverage: Share of the photos that are at or above it.
    """

    confidence: float
    wanted: float
    precision: float
    low: float
    high: float
    coverage: float


def threshold_for(
    confidence: npt.ArrayLike, right: npt.ArrayLike, wanted: float
) -> Threshold | None:
    """Find the least confidence from which on labels are as precise as wished.

    Args:
        confidence: Confidence of each answer, shape (n,), 0 to 1; 6 decimals count.
        right: Whether it was right, shape (n,).
        wanted: Precision, above 0 and up to 1.

    Returns:
        The threshold; None where the photos do not show that any reaches that precision, be it that
        they are too few. On new photos like these the precision above it is below ``wanted`` in at
        most 10 % of all cases (1 - ``CONFIDENCE``). A precision of 1 can never be shown.

    Raises:
        AlignmentError: If there are no answers, confidences are not between 0 and 1, or some answer
            is neither right nor wrong.

    Example:
        >>> threshold_for([0.9] * 30 + [0.3] * 10, [1] * 30 + [0] * 10, 0.9).coverage
        0.75
        >>> threshold_for([0.9] * 20, [1] * 20, 0.9)  # too few to promise 0.9
    """
    values, hits = np.asarray(confidence, np.float64), np.asarray(right, np.float64)
    valid = values.ndim == 1 and values.size > 0 and values.shape == hits.shape
    if not valid or not ((values >= 0) & (values <= 1)).all() or not np.isin(hits, (0, 1)).all():
        raise AlignmentError(
            "expected confidences between 0 and 1, at least one, and as many answers, each right "
            f"or wrong; got shapes {values.shape} and {hits.shape}."
        )
    values = np.round(values, DIGITS)
    order = np.argsort(-values, kind="stable")
    ranked, count = values[order], len(order)
    found = np.cumsum(hits[order])
    last_of_ties = np.append(ranked[1:] < ranked[:-1], True)
    shortest = math.ceil(_SHORTEST * count)
    level = _level(count, wanted) if wanted < 1 else 0.0
    fits = last_of_ties & (found > wanted * np.arange(1, count + 1))
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, count + 1)))])
    for taken in (np.flatnonzero(fits)[::-1] + 1).tolist():
        if taken < shortest:
            break
        if _tail(int(found[taken - 1]), taken, wanted, factorials) <= level:
            low, high = wilson(float(found[taken - 1]), taken)
            return Threshold(
                confidence=float(ranked[taken - 1]),
                wanted=wanted,
                precision=float(found[taken - 1] / taken),
                low=low,
                high=high,
                coverage=taken / count,
            )
    return None


def photos_needed(wanted: float) -> int | None:
    """Say how many photos, all of them right, show that labels are as precise as wished.

    Args:
        wanted: Precision, above 0 and up to 1.

    Returns:
        The least number; None for a precision of 1, which no number shows.

    Example:
        >>> photos_needed(0.8), photos_needed(0.9), photos_needed(0.95), photos_needed(1.0)
        (11, 22, 45, None)
    """
    return None if wanted >= 1 else math.ceil(math.log(1.0 - CONFIDENCE) / math.log(wanted))


def wilson(right: float, total: int) -> tuple[float, float]:
    """95 % interval of a share: Wilson's score interval (1927).

    Args:
        right: How many were right, 0 to ``total``; a mean over runs need not be whole.
        total: Of how many, at least 1.

    Returns:
        Its ends, between 0 and 1, with the share between them.

    Raises:
        AlignmentError: If the numbers are out of range.

    Example:
        >>> low, high = wilson(8, 10)
        >>> round(low, 3), round(high, 3)
        (0.49, 0.943)
    """
    if total < 1 or not 0 <= right <= total:
        raise AlignmentError(f"expected 0 to {total} successes of at least one; got {right}.")
    z, share = Z_95, right / total
    middle = share + z * z / (2 * total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    # Rounding must not push an end past the share itself.
    low, high = (middle - half) / scale, (middle + half) / scale
    return max(0.0, min(share, low)), min(1.0, max(share, high))


def _tail(right: int, total: int, share: float, factorials: Numbers) -> float:
    """Probability that of ``total`` photos so many are right, or more, each with ``share``."""
    hits = np.arange(right, total + 1)
    ways = factorials[total] - factorials[hits] - factorials[total - hits]
    logs = ways + hits * math.log(share) + (total - hits) * math.log1p(-share)
    return min(1.0, float(np.exp(logs).sum()))


@functools.lru_cache(maxsize=64)
def _level(count: int, wanted: float) -> float:
    """Level of the test of each run, so that one of all passes in 1 - CONFIDENCE of the cases.

    Followed are the numbers of right photos among the first n, for n from 1 on, each right with the
    wished probability: all of them, and those that passed at no length so far for each of some
    levels.
    """
    steps = min(count, _MOST_STEPS)
    levels = np.geomspace(1.0, 0.02, _LEVELS) * (1.0 - CONFIDENCE)
    shortest = math.ceil(_SHORTEST * steps)
    every = np.zeros(steps + 1)
    every[0] = 1.0
    waiting = np.tile(every, (_LEVELS, 1))
    for taken in range(1, steps + 1):
        for state in (every[None], waiting):
            moved = state[:, :taken] * wanted
            state[:, :taken] *= 1.0 - wanted
            state[:, 1 : taken + 1] += moved
        if taken >= shortest:
            tails = np.cumsum(every[taken::-1])[::-1]
            waiting[:, : taken + 1] *= tails > levels[:, None]
    passed = 1.0 - waiting.sum(axis=1)
    # Rounding of the sums must not hide that the strictest test fits.
    fits = np.flatnonzero(passed <= 1.0 - CONFIDENCE + 1e-9)
    level = float(levels[fits[0]]) if len(fits) else 0.0
    return level if count == steps else min(level, _LEVEL_OF_MANY)

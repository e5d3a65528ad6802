"""One image's score in each run, and what is kept of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from crossalign import alignment
from crossalign.alignment.weights import weigh
from crossalign.encoders.base import Embeddings
from crossalign.errors import EvaluationError
from crossalign.methods import Method

Indices: TypeAlias = npt.NDArray[np.int64]
"""Crops that enter each run, shape (R, P)."""


def resampling(pool: int, count: int, runs: int, seed: int) -> Indices:
    """Draw the crops of each run from a pool, with replacement, the same for every image.

    Args:
        pool: Crops in the pool.
        count: Crops in a run, P.
        runs: Number of runs, R.
        seed: For the draws.

    Returns:
        Indices from 0 to ``pool - 1``, shape (R, P); the first rows of more runs are those of
        fewer.

    Example:
        >>> resampling(pool=100, count=60, runs=2, seed=0).shape
        (2, 60)
    """
    if min(pool, count, runs) < 1:
        raise EvaluationError(
            f"expected a pool, a count and runs of at least 1; got {pool}, {count} and {runs}."
        )
    words = np.random.Philox(key=seed).random_raw(runs * count)
    # Raw words are the same in every NumPy version; the bias of the remainder is below 1e-15.
    indices: Indices = (words % np.uint64(pool)).astype(np.int64).reshape(runs, count)
    return indices


def resampled_scores(
    image: Embeddings, crops: Embeddings, indices: Indices, classes: Embeddings, method: Method
) -> npt.NDArray[Any]:
    """Score one image once for each run of the published protocol.

    Args:
        image: Unit embedding of the whole image, shape (D,).
        crops: Unit embeddings of the pool, shape (N, D).
        indices: Crops of each run, shape (R, P).
        classes: Pooled class vectors, shape (C, D).
        method: Says how crops are weighed and pooled.

    Returns:
        Scores, shape (R, C).
    """
    vectors = [
        alignment.pool(
            weigh(
                method.crop_weighting,
                image,
                crops[chosen],
                method.crop_scale,
                top=method.top,
                classes=classes,
            ),
            crops[chosen],
            method.form,
        )
        for chosen in indices
    ]
    scores: npt.NDArray[Any] = alignment.scores(np.stack(vectors), classes)
    return scores


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is kept of one image.

    Args:
        key: Its key.
        label: Its class.
        content: Digest of its pixels, in hexadecimal; empty if it could not be read.
        predicted: Best class in each run.
        rank: Place of its class in each run, 0 for a hit; equal scores rank in class order.
        confidence: Of the best class in each run, between 0 and 1.
        margin: Lead of the best class over the runner-up in each run.
        score: Of the best class in each run.
        error: Why it could not be used, in words.
        stamp: Size and time of its file, by which a changed file is noticed without reading it; of
            an image in an archive, a digest of its bytes.
        crops: How many crops were taken of it; None where it is the same for every image.
    """

    key: str
    label: int
    content: str = ""
    predicted: tuple[int, ...] = ()
    rank: tuple[int, ...] = ()
    confidence: tuple[float, ...] = ()
    margin: tuple[float, ...] = ()
    score: tuple[float, ...] = ()
    error: str | None = None
    stamp: str = ""
    crops: int | None = None


def outcome_of(
    key: str,
    label: int,
    content: str,
    scores: npt.NDArray[Any],
    temperature: float,
    column: npt.NDArray[np.int64] | None = None,
) -> Outcome:
    """Reduce an image's scores to what is kept.

    Args:
        key: Its key.
        label: Its class.
        content: Digest of its pixels.
        scores: Shape (R, U).
        temperature: Confidences are ``softmax(scores / temperature)``.
        column: Place of each class's score, shape (C,), where classes share a name and so a score;
            by default each has its own. Sharing changes no confidence and no margin.

    Returns:
        The outcome.
    """
    narrow = np.asarray(scores, dtype=np.float64)
    wide = narrow if column is None else narrow[:, column]
    own = wide[:, label : label + 1]
    before = (wide == own) & (np.arange(wide.shape[1]) < label)
    best = wide.argmax(axis=1)
    top = wide.max(axis=1)
    sure = 1.0 / np.exp((narrow - top[:, None]) / temperature).sum(axis=1)
    margin = np.zeros(len(narrow))
    if narrow.shape[1] > 1:
        margin = top - np.partition(narrow, -2, axis=1)[:, -2]
    return Outcome(
        key=key,
        label=label,
        content=content,
        predicted=tuple(best.tolist()),
        rank=tuple(((wide > own) | before).sum(axis=1).tolist()),
        confidence=_rounded(sure),
        margin=_rounded(margin),
        score=_rounded(top),
    )


def _rounded(values: npt.NDArray[np.float64]) -> tuple[float, ...]:
    """Seven decimals: what single precision holds of a score."""
    return tuple(round(value, 7) for value in values.tolist())

"""Which regions, which words, and which of them together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from crossalign.errors import CrossalignError
from crossalign.explain.contrast import Contrast
from crossalign.predictions import Explanation
from crossalign.utils.validation import finite_number, whole_number

Added: TypeAlias = npt.NDArray[np.float64]
"""What each crop or description adds to a score, in units of the score."""

Box: TypeAlias = tuple[int, int, int, int]
"""``(left, top, right, bottom)`` in pixels of the upright image."""


LEAST_LIFT = 0.5
"""By how many standard deviations over the crops a description must be answered better in a crop
than in the whole photo, and than in the mean crop, to be shown beside that crop."""

LIKE_THE_PHOTO = "like the whole photo"
"""What stands beside a crop in which no description stands out."""

WHOLE_PHOTO = "the whole photo"
"""What stands beside a crop that is the whole photo."""

# Below this a spread of cosines is rounding: float32 embeddings of equal crops.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Standout:
    """A description that a crop answers notably better than the other crops of its photo do.

    Args:
        description: Its number among the descriptions of its class.
        text: The description.
        similarity: s, its cosine with the crop.
        lift: By how much that is above its cosine with the whole photo or its mean cosine over all
            crops, whichever is larger.
    """

    description: int
    text: str
    similarity: float
    lift: float


@dataclass(frozen=True, slots=True)
class Region:
    """A crop and what it adds.

    Args:
        crop: Its number, the row of the terms.
        box: Where it is.
        weight: Its weight w, 0 to 1.
        adds: What it adds to the score; in a contrast, to the difference of the scores, so that
            what is below zero speaks for the second class.
        label: The class it speaks for.
        words: The description of that class that stands out here, see :func:`standout`; None where
            none does.
        whole: Whether it is the whole photo.
    """

    crop: int
    box: Box
    weight: float
    adds: float
    label: str
    words: Standout | None
    whole: bool = False

    @property
    def text(self) -> str:
        """The description that stands out here, or in words that none does."""
        if self.words is not None:
            return self.words.text
        return WHOLE_PHOTO if self.whole else LIKE_THE_PHOTO

    @property
    def value(self) -> float:
        """What is shown beside it: what it adds."""
        return self.adds

    @property
    def note(self) -> str:
        """How far its words stand out here; empty where none do.

        Example:
            >>> words = Standout(description=0, text="a tail", similarity=0.31, lift=0.02)
            >>> Region(0, (0, 0, 9, 9), 0.5, 0.1, "cat", words).note
            "cosine 0.310, at least 0.020 above the whole photo's"
        """
        if self.words is None:
            return ""
        similarity, lift = self.words.similarity, self.words.lift
        return f"cosine {similarity:.3f}, at least {lift:.3f} above the whole photo's"


@dataclass(frozen=True, slots=True)
class Words:
    """A description and what it adds.

    Args:
        label: Its class.
        description: Its number among the descriptions of its class.
        text: The description.
        weight: Its weight v, 0 to 1.
        adds: What it adds to the score; in a contrast, to the difference of the scores.
        crop: Number of the crop that answers it best, by similarity.
        box: Where that is.
    """

    label: str
    description: int
    text: str
    weight: float
    adds: float
    crop: int
    box: Box


@dataclass(frozen=True, slots=True)
class Pair:
    """A crop meeting a description.

    Args:
        crop: Number of the crop.
        box: Where it is.
        description: Number of the description.
        text: The description.
        similarity: s, their cosine.
        adds: What the two together add to the score.
    """

    crop: int
    box: Box
    description: int
    text: str
    similarity: float
    adds: float


def standout(explanation: Explanation, crop: int) -> Standout | None:
    """Say which words to show beside a crop, if any.

    Every crop answers some description best, and where it looks much like the whole photo, which
    one that is says nothing about the crop. With s_j the cosine of the whole photo with description
    j, and m_j and d_j the mean and the standard deviation of s_ij over all crops, each crop
    counting once, description j stands out in crop i where

    ``s_ij - max(m_j, s_j) > LEAST_LIFT d_j``  and  ``s_ij >= mean of s_ik over all k``:

    the crop answers it better than the photo and its crops do by more than crops differ anyway, and
    no worse than it answers the class as a whole. Of these the one of the highest cosine is chosen.
    A crop in which none stands out is like the whole photo, as far as these descriptions can tell.

    Args:
        explanation: The score, taken apart.
        crop: Number of the crop.

    Returns:
        The description; None where none stands out, as with a single crop.

    Raises:
        CrossalignError: If there is no such crop.
    """
    similarity = explanation.similarity.astype(np.float64)
    whole_number("crop", crop, 0, len(similarity) - 1, error=CrossalignError)
    here = similarity[crop]
    usual = np.maximum(similarity.mean(axis=0), explanation.whole_similarity)
    lifts = here - usual
    least = np.maximum(LEAST_LIFT * similarity.std(axis=0), _ROUNDING)
    stands_out = (lifts > least) & (here >= here.mean() - _ROUNDING)
    if not stands_out.any():
        return None
    best = int(np.argmax(np.where(stands_out, here, -np.inf)))
    return Standout(
        description=best,
        text=explanation.descriptions[best],
        similarity=float(here[best]),
        lift=float(lifts[best]),
    )


def top_regions(
    of: Explanation | Contrast, count: int = 5, *, max_overlap: float = 1.0
) -> tuple[Region, ...]:
    """List the crops that add most to a score, or decide most between two.

    Args:
        of: An explanation, or a contrast of two; there, size counts and not the sign.
        count: How many at most.
        max_overlap: Leave out a crop whose overlap with a better one (intersection over union, 0 to
            1) is larger. Of random crops many show nearly the same; 0.5 gives regions that differ.

    Returns:
        Regions, the largest share first; equal ones in the order of the crops.

    Raises:
        CrossalignError: If ``count`` or ``max_overlap`` is out of range.
    """
    _check_count(count)
    finite_number("max_overlap", max_overlap, 0, 1, error=CrossalignError)
    added = of.by_crop
    order = _apart(_largest_first(_strength(of, added)), of.boxes, count, max_overlap)
    return tuple(_region(of, index, float(added[index])) for index in order)


def top_words(of: Explanation | Contrast, count: int = 5) -> tuple[Words, ...]:
    """List the descriptions that add most to a score, or decide most between two.

    Args:
        of: An explanation, or a contrast of two; there, size counts and not the sign.
        count: How many at most.

    Returns:
        Descriptions, the largest share first; equal ones in their own order.

    Raises:
        CrossalignError: If ``count`` is below 1.
    """
    _check_count(count)
    sides = (of.first, of.second) if isinstance(of, Contrast) else (of,)
    texts = [(side, index) for side in sides for index in range(len(side.descriptions))]
    added = of.by_description
    order = _largest_first(_strength(of, added))[:count]
    return tuple(_words(*texts[index], float(added[index])) for index in order)


def top_pairs(explanation: Explanation, count: int = 5) -> tuple[Pair, ...]:
    """List the (crop, description) pairs that add most to a score.

    Args:
        explanation: The score, taken apart.
        count: How many at most.

    Returns:
        Pairs, the largest term first; equal ones crop by crop.

    Raises:
        CrossalignError: If ``count`` is below 1.
    """
    _check_count(count)
    columns = explanation.terms.shape[1]
    places = (divmod(i, columns) for i in _largest_first(explanation.terms.ravel())[:count])
    return tuple(
        Pair(
            crop=crop,
            box=explanation.box(crop),
            description=column,
            text=explanation.descriptions[column],
            similarity=float(explanation.similarity[crop, column]),
            adds=float(explanation.terms[crop, column]),
        )
        for crop, column in places
    )


def _region(of: Explanation | Contrast, index: int, adds: float) -> Region:
    speaks_for = of
    if isinstance(speaks_for, Contrast):
        speaks_for = speaks_for.first if adds >= 0 else speaks_for.second
    return Region(
        crop=index,
        box=speaks_for.box(index),
        weight=float(speaks_for.crop_weights[index]),
        adds=adds,
        label=speaks_for.label,
        words=standout(speaks_for, index),
        whole=speaks_for.box(index) == (0, 0, *speaks_for.size),
    )


def _words(explanation: Explanation, index: int, adds: float) -> Words:
    crop = int(np.argmax(explanation.similarity[:, index]))
    return Words(
        label=explanation.label,
        description=index,
        text=explanation.descriptions[index],
        weight=float(explanation.description_weights[index]),
        adds=adds,
        crop=crop,
        box=explanation.box(crop),
    )


def _largest_first(values: Added) -> list[int]:
    order: list[int] = np.argsort(-values, kind="stable").tolist()
    return order


def _apart(
    order: Iterable[int], boxes: npt.NDArray[np.int64], count: int, max_overlap: float
) -> list[int]:
    """Keep the first ``count`` of them that do not overlap one chosen before by more."""
    chosen: list[int] = []
    for index in order:
        if len(chosen) == count:
            break
        if max_overlap >= 1 or not chosen or _overlap(boxes[index], boxes[chosen]) <= max_overlap:
            chosen.append(index)
    return chosen


def _overlap(box: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> float:
    """Largest intersection over union of a box with others."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1) + np.prod(box[2:] - box[:2])
    return float(np.max(shared / (areas - shared)))


def _strength(of: Explanation | Contrast, added: Added) -> Added:
    """What counts: how much is added, and between two classes whichever it is added for."""
    return np.abs(added) if isinstance(of, Contrast) else added


def _check_count(count: int) -> None:
    whole_number("count", count, 1, error=CrossalignError)

"""Why A and not B: the terms of two scores of one image, as differences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossalign.errors import CrossalignError, DescriptionError
from crossalign.images.crops import Boxes
from crossalign.predictions import Explanation, Prediction


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """The difference of two scores of one image, taken apart.

    Both classes meet the same crops, so crop i adds ``a_i - b_i`` to the difference of the scores
    A and B. Descriptions are not common to them: taken as they are, all of A's would speak for A
    and all of B's for B, whatever they say, because nearly all cosines of an encoder are positive.
    So a term is measured against the middle of what both classes give the same crop for the same
    weight. With a_ij and b_ik the terms of the two scores and ``m_i = (a_i + b_i) / 2``,

    ``terms[i] = [a_ij - v_j m_i for each j] + [v_k m_i - b_ik for each k]``

    which adds up to a_i - b_i in each row, and over all rows to A - B: what is above zero speaks
    for the first class, what is below for the second. In the ``sum`` form, terms do not change if
    all cosines of the image grow by one constant.

    Args:
        first: Explanation of the first class, of M_1 descriptions.
        second: Explanation of the second class, of M_2 descriptions, on the same N crops.
        terms: float64, shape (N, M_1 + M_2), adding up to :attr:`difference`.
    """

    first: Explanation
    second: Explanation
    terms: npt.NDArray[np.float64]

    @property
    def difference(self) -> float:
        """By how much the first score is above the second."""
        return self.first.score - self.second.score

    @property
    def boxes(self) -> Boxes:
        """The crops ``(left, top, right, bottom)`` in pixels, shape (N, 4)."""
        return self.first.boxes

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright image in pixels."""
        return self.first.size

    @property
    def by_crop(self) -> npt.NDArray[np.float64]:
        """What each crop adds to the difference, shape (N,); below zero for the second class."""
        total: npt.NDArray[np.float64] = self.first.by_crop - self.second.by_crop
        return total

    @property
    def by_description(self) -> npt.NDArray[np.float64]:
        """What each description adds, shape (M_1 + M_2,): the first class's, then the second's."""
        total: npt.NDArray[np.float64] = self.terms.sum(axis=0)
        return total

    def __repr__(self) -> str:
        return (
            f"Contrast({self.first.image!r}, {self.first.label!r} against {self.second.label!r}, "
            f"difference={self.difference:.4f})"
        )


def contrast(first: Explanation, second: Explanation) -> Contrast:
    """Set two explanations of one image against each other.

    Args:
        first: Explanation of one class.
        second: Explanation of another, of the same prediction.

    Returns:
        The difference of the scores, taken apart.

    Raises:
        CrossalignError: If the two do not rest on the same crops.
    """
    same = np.array_equal(first.boxes, second.boxes) and np.array_equal(
        first.crop_weights, second.crop_weights
    )
    if not same or first.size != second.size:
        raise CrossalignError(
            f"expected two explanations of the same prediction; got {first.image!r} with "
            f"{len(first.boxes)} crops and {second.image!r} with {len(second.boxes)}, cut or "
            "weighed in other ways. Explain both classes from one prediction."
        )
    middle = (first.by_crop + second.by_crop)[:, None] / 2.0
    terms = np.concatenate(
        [
            first.terms - middle * _shares(first),
            middle * _shares(second) - second.terms,
        ],
        axis=1,
    )
    return Contrast(first, second, terms)


def why(prediction: Prediction, label: str | None = None, against: str | None = None) -> Contrast:
    """Say why an image is one class and not another.

    Args:
        prediction: The prediction. One that does not hold its embeddings has its image read again,
            once.
        label: The first class; the predicted one by default.
        against: The second class; by default the best of the others.

    Returns:
        The difference of the scores, taken apart.

    Raises:
        DescriptionError: If there is no such class, or no other.
        ImageError: If the image could not be used, or must be read again and cannot.
        CrossalignError: If this prediction was not made by a classifier.
    """
    kept = prediction.with_evidence()
    first = kept.explain(label)
    others = [name for name, _ in kept.ranked(2) if name != first.label]
    if against == first.label or (against is None and not others):
        raise DescriptionError(
            f"expected another class to compare {first.label!r} with; got "
            f"{'none' if against is None else repr(against)}."
        )
    return contrast(first, kept.explain(others[0] if against is None else against))


def _shares(explanation: Explanation) -> npt.NDArray[np.float64]:
    """Description weights that add up to 1 in double precision."""
    weights: npt.NDArray[np.float64] = explanation.description_weights.astype(np.float64)
    total: npt.NDArray[np.float64] = weights / weights.sum()
    return total

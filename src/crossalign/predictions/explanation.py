"""Scores taken apart: what each crop, and each description, adds to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from crossalign.alignment import Form
from crossalign.encoders.base import Embeddings
from crossalign.images.crops import Boxes
from crossalign.predictions.local import LocalEvidence

Scores: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """The score of one class, taken apart.

    ``terms[i, j]`` is what crop i meeting description j adds to the score; all terms add up to it.

    Args:
        image: Name of the image.
        label: The class explained.
        score: Its score.
        size: Width and height of the upright image in pixels.
        boxes: Crops ``(left, top, right, bottom)`` in pixels, shape (N, 4).
        crop_weights: w, float32, shape (N,), adding up to 1.
        descriptions: The class's M texts.
        description_weights: v, float32, shape (M,), adding up to 1.
        similarity: s, float32, shape (N, M).
        terms: float64, shape (N, M).
        whole_similarity: Cosine of the whole image with each description, float32, shape (M,).
        whole_score: What the score would be with the whole image as the only crop.
    """

    image: str
    label: str
    score: float
    size: tuple[int, int]
    boxes: Boxes
    crop_weights: npt.NDArray[np.float32]
    descriptions: tuple[str, ...]
    description_weights: npt.NDArray[np.float32]
    similarity: npt.NDArray[np.float32]
    terms: npt.NDArray[np.float64]
    whole_similarity: npt.NDArray[np.float32]
    whole_score: float
    _local: LocalEvidence | Callable[[], LocalEvidence] | None = field(default=None, repr=False)

    @property
    def local(self) -> LocalEvidence | None:
        """How small, even crops answer the class, which are no part of the score.

        They are encoded when they are first asked for, once for all classes of a prediction. None
        for methods that look at the whole image alone, and for explanations made by hand.

        Raises:
            ImageError: If the image must be read again and cannot.
        """
        return self._local() if callable(self._local) else self._local

    def __getstate__(self) -> list[Any]:
        """Hold the local evidence itself, not who would find it."""
        return [
            self.local if each.name == "_local" else getattr(self, each.name)
            for each in fields(self)
        ]

    @property
    def by_crop(self) -> npt.NDArray[np.float64]:
        """What each crop adds to the score, shape (N,)."""
        total: npt.NDArray[np.float64] = self.terms.sum(axis=1)
        return total

    @property
    def by_description(self) -> npt.NDArray[np.float64]:
        """What each description adds to the score, shape (M,)."""
        total: npt.NDArray[np.float64] = self.terms.sum(axis=0)
        return total

    def box(self, index: int) -> tuple[int, int, int, int]:
        """Give one crop as plain numbers.

        Args:
            index: Its number, 0 to N - 1.

        Returns:
            ``(left, top, right, bottom)`` in pixels.
        """
        left, top, right, bottom = self.boxes[index].tolist()
        return left, top, right, bottom

    def top_crops(self, count: int = 5) -> list[tuple[tuple[int, int, int, int], float]]:
        """List the most heavily weighted crops.

        Args:
            count: How many at most.

        Returns:
            Pairs of box and crop weight, the heaviest first.
        """
        order = np.argsort(-self.crop_weights, kind="stable")[:count]
        return [(self.box(index), float(self.crop_weights[index])) for index in order.tolist()]

    def top_descriptions(self, count: int = 5) -> list[tuple[str, float]]:
        """List the descriptions that add most to the score.

        Args:
            count: How many at most.

        Returns:
            Pairs of text and what it adds to the score, the largest first.
        """
        order = np.argsort(-self.by_description, kind="stable")[:count]
        return [
            (self.descriptions[index], float(self.by_description[index]))
            for index in order.tolist()
        ]

    def __repr__(self) -> str:
        crops, texts = self.terms.shape
        return (
            f"Explanation({self.image!r}, {self.label!r}, score={self.score:.4f}, "
            f"{crops} crops x {texts} descriptions)"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Reserve:
    """Where only the k heaviest of N crops count: what each would bring if it were one of them.

    Args:
        top: k, below N.
        weights: What each crop weighs beside those that count, float64, shape (N,); of these k the
            crop weights themselves, adding up to 1.
        terms: What each would add to the scores as they are scaled now, float64, shape (N, C).
    """

    top: int
    weights: npt.NDArray[np.float64]
    terms: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CropScores:
    """The scores of all classes, taken apart by crop.

    ``terms[i, c]`` is what crop i adds to the score of class c; over the crops they add up to it.

    Args:
        image: Name of the image.
        classes: The C class names.
        scores: float32, shape (C,).
        size: Width and height of the upright image in pixels.
        boxes: Crops ``(left, top, right, bottom)`` in pixels, shape (N, 4).
        weights: Crop weights w, float32, shape (N,), adding up to 1.
        embeddings: Unit embeddings of the crops, float32, shape (N, D).
        form: Score form, ``"prototype"`` or ``"sum"``.
        terms: float64, shape (N, C).
        whole_scores: What the scores would be with the whole image as the only crop, float32, shape
            (C,).
        reserve: What crops that do not count would bring in the place of some that do; None where
            all count.
    """

    image: str
    classes: tuple[str, ...]
    scores: Scores
    size: tuple[int, int]
    boxes: Boxes
    weights: npt.NDArray[np.float32]
    embeddings: Embeddings
    form: Form
    terms: npt.NDArray[np.float64]
    whole_scores: Scores
    reserve: Reserve | None = None

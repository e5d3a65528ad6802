"""What comes out: the label of an image, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from crossalign.alignment import Form
from crossalign.encoders.base import Embeddings
from crossalign.errors import CrossalignError, DescriptionError, MethodError
from crossalign.images.crops import Boxes

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a score was computed from, kept for explanations.

    Args:
        source: The image as it was given, if it can be read again (a path), else None.
        size: Width and height of the upright image in pixels.
        digest: Content of the image.
        boxes: Crops ``(left, top, right, bottom)`` in pixels, shape (N, 4); for a method without
            crops one box, the whole image.
        views: float32 unit embeddings, shape (1 + N, D), the whole image first; None if they were
            not kept.
    """

    source: Any
    size: tuple[int, int]
    digest: bytes
    boxes: Boxes
    views: Embeddings | None


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


class Explainer(Protocol):
    """What a prediction asks of the classifier that made it."""

    def _explain(self, prediction: Prediction, label: str) -> Explanation: ...

    def _crop_scores(self, prediction: Prediction) -> CropScores: ...

    def _with_evidence(self, prediction: Prediction) -> Prediction: ...


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The label of one image, or the reason why it has none.

    Args:
        image: Name of the image: its path, or what kind of thing was given.
        classes: The C class names.
        label: The best class; None if the image could not be used.
        score: Its score, between -1 and 1. A score ranks the classes of one encoder and method; it
            is not a probability.
        scores: float32, shape (C,), in class order; None if the image could not be used.
        error: Why the image could not be used, in words; None if it could.
        background: Scores of the classifier's background texts, float32, shape (B,); None without
            any, or with an error.
    """

    image: str
    classes: tuple[str, ...]
    label: str | None
    score: float | None
    scores: Scores | None
    error: str | None = None
    background: Scores | None = None
    _evidence: Evidence | None = field(default=None, repr=False)
    _explainer: Explainer | None = field(default=None, repr=False)

    def ranked(self, count: int | None = None) -> list[tuple[str, float]]:
        """Rank the classes.

        Args:
            count: How many at most, from 0 up; all by default.

        Returns:
            Pairs of class and score, the best first; equal scores stay in class order. Empty if the
            image could not be used.

        Raises:
            MethodError: If the count is below 0.
        """
        if count is not None and count < 0:
            raise MethodError(f"expected a number of classes from 0 up; got {count}.")
        if self.scores is None:
            return []
        order = np.argsort(-self.scores, kind="stable")[:count]
        return [(self.classes[index], float(self.scores[index])) for index in order.tolist()]

    @property
    def crops(self) -> int | None:
        """How many crops were looked at: 0 by whole-image methods; None if there was an error."""
        return None if self._evidence is None else len(self._evidence.boxes)

    @property
    def margin(self) -> float | None:
        """By how much the best class leads the runner-up; None with one class or an error."""
        if self.scores is None or len(self.classes) < 2:
            return None
        second, first = np.partition(self.scores, -2)[-2:].tolist()
        return float(first - second)

    @property
    def evidence(self) -> Evidence | None:
        """What the scores were computed from; None if the image could not be used."""
        return self._evidence

    @property
    def content_hash(self) -> str | None:
        """32 hexadecimal digits that name the pixels, whatever the file; None with an error."""
        return None if self._evidence is None else self._evidence.digest.hex()

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the upright image in pixels; None with an error."""
        return None if self._evidence is None else self._evidence.size

    @property
    def embedding(self) -> Embeddings | None:
        """Unit vector of the whole image, float32, shape (D,); None if it was not kept."""
        evidence = self._evidence
        return None if evidence is None or evidence.views is None else evidence.views[0]

    def explain(self, label: str | None = None) -> Explanation:
        """Take the score of a class apart into (crop, description) terms that add up to it.

        Predictions of a stream do not keep their embeddings unless asked to; then the image is read
        and encoded again.

        Args:
            label: A class; the predicted one by default.

        Returns:
            The explanation.

        Raises:
            DescriptionError: If there is no such class.
            ImageError: If the image could not be used, or must be read again and cannot.
            CrossalignError: If this prediction was not made by a classifier.
        """
        explainer = self._made_by()
        wanted = self.label if label is None else label
        if wanted is not None and wanted not in self.classes:
            raise DescriptionError(
                f"expected one of the {len(self.classes)} classes of this prediction; got "
                f"{wanted!r}. It knows {', '.join(map(repr, self.classes[:5]))}"
                f"{', ...' if len(self.classes) > 5 else ''}."
            )
        return explainer._explain(self, wanted or "")

    def crop_scores(self) -> CropScores:
        """Take the scores of all classes apart by crop.

        Returns:
            What each crop adds to the score of every class.

        Raises:
            ImageError: If the image could not be used, or must be read again and cannot.
            CrossalignError: If this prediction was not made by a classifier.
        """
        return self._made_by()._crop_scores(self)

    def with_evidence(self) -> Prediction:
        """Keep the embeddings, so that one who explains several classes reads the image once.

        Returns:
            This prediction if it holds them already, else a copy for which the image was read and
            encoded again.

        Raises:
            ImageError: If the image could not be used, or must be read again and cannot.
            CrossalignError: If this prediction was not made by a classifier.
        """
        return self._made_by()._with_evidence(self)

    def _made_by(self) -> Explainer:
        if self._explainer is None:
            raise CrossalignError(
                "this prediction was not made by a classifier, so nothing can explain it."
            )
        return self._explainer

    def to_dict(self) -> dict[str, Any]:
        """Give plain values, as the command line's ``--json`` prints them.

        Returns:
            ``image``, ``label``, ``score``, ``scores`` (class to score) and ``error``.
        """
        scores = (
            {}
            if self.scores is None
            else dict(zip(self.classes, self.scores.tolist(), strict=True))
        )
        return {
            "image": self.image,
            "label": self.label,
            "score": self.score,
            "scores": scores,
            "error": self.error,
        }

    def __repr__(self) -> str:
        if self.error is not None:
            return f"Prediction({self.image!r}, error={self.error!r})"
        return f"Prediction({self.image!r}, {self.label!r}, score={self.score:.4f})"

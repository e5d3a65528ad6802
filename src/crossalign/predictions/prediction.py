"""What comes out: the label of an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

import numpy as np

from crossalign.encoders.base import Embeddings
from crossalign.errors import CropError, CrossalignError, DescriptionError, ImageError, MethodError
from crossalign.images.crops import Boxes
from crossalign.predictions.explanation import CropScores, Explanation, Scores
from crossalign.predictions.local import LocalViews
from crossalign.utils.text import quoted

ImageFailure: TypeAlias = ImageError | CropError | MemoryError
"""Why an image cannot be used."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedImage:
    """One image with its embeddings, or with the reason why it has none.

    Args:
        source: What was given.
        size: Width and height of the upright image in pixels; 0 where there was an error.
        digest: Content of the image; empty where there was an error.
        boxes: The crops that its plan asked for, ``(left, top, right, bottom)`` in pixels, shape
            (N, 4); none for a method that looks at the whole image.
        views: Embeddings of its views, float32 unit vectors, shape (1 + N, D), the whole image
            first; None where there was an error, or where they were not kept.
        error: Why the image could not be used.
    """

    source: Any
    size: tuple[int, int]
    digest: bytes
    boxes: Boxes
    views: Embeddings | None
    error: ImageFailure | None = None

    def parts(self) -> tuple[Embeddings, Embeddings]:
        """Part the embeddings into those of the whole image and of its crops.

        Returns:
            Shapes (D,) and (N, D); without crops the whole image is its one crop.

        Raises:
            ValueError: If they were not kept.
        """
        if self.views is None:
            raise ValueError("the embeddings were not kept")
        return self.views[0], self.views[1:] if len(self.views) > 1 else self.views


class Explainer(Protocol):
    """What a prediction asks of the classifier that made it; embeddings are there where needed."""

    def encode(self, image: Any) -> EncodedImage:
        """Encode an image once more.

        Args:
            image: Its path.

        Returns:
            Its embeddings.
        """

    def _explain(self, prediction: Prediction, label: str) -> Explanation: ...

    def _crop_scores(self, prediction: Prediction) -> CropScores: ...


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
    _evidence: EncodedImage | None = field(default=None, repr=False)
    _explainer: Explainer | None = field(default=None, repr=False)
    _local: LocalViews[EncodedImage] = field(default_factory=LocalViews, repr=False)

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
    def evidence(self) -> EncodedImage | None:
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
        kept = self.with_evidence()
        wanted = self.label if label is None else label
        if wanted not in self.classes:
            raise DescriptionError(
                f"expected one of the {len(self.classes)} classes of this prediction; got "
                f"{wanted!r}. It knows {quoted(self.classes, 5)}."
            )
        return self._made_by()._explain(kept, str(wanted))

    def crop_scores(self) -> CropScores:
        """Take the scores of all classes apart by crop.

        Returns:
            What each crop adds to the score of every class.

        Raises:
            ImageError: If the image could not be used, or must be read again and cannot.
            CrossalignError: If this prediction was not made by a classifier.
        """
        return self._made_by()._crop_scores(self.with_evidence())

    def with_evidence(self) -> Prediction:
        """Keep the embeddings, so that one who explains several classes reads the image once.

        Returns:
            This prediction if it holds them already, else a copy for which the image was read and
            encoded again.

        Raises:
            ImageError: If the image could not be used, or must be read again and cannot.
            CrossalignError: If this prediction was not made by a classifier.
        """
        explainer = self._made_by()
        evidence, _ = self.scored()
        if evidence.views is not None:
            return self
        if evidence.source is None:
            raise ImageError(
                f"{self.image} was given without a path and its embeddings were not kept, so it "
                "cannot be explained. Use predict(..., keep_evidence=True), or call the classifier "
                "with this one image."
            )
        encoded = explainer.encode(evidence.source)
        self.check_unchanged(encoded)
        return replace(self, _evidence=encoded)

    def check_unchanged(self, encoded: EncodedImage) -> None:
        """Refuse an image that is not the one that was labelled.

        Args:
            encoded: It, read again.

        Raises:
            ImageError: If its content is another.
        """
        if encoded.digest != self.scored()[0].digest:
            raise ImageError(
                f"{self.image} has changed since it was labelled, so its prediction can no longer "
                "be explained. Label it again."
            )

    def local_views(self, encode: Callable[[], EncodedImage]) -> EncodedImage:
        """Give the image with its local crops, encoded once for all classes.

        Args:
            encode: Encodes them, the first time.

        Returns:
            Their embeddings and boxes.
        """
        return self._local.get(encode)

    def scored(self) -> tuple[EncodedImage, Scores]:
        """Give what was scored and its scores.

        Returns:
            The encoded image, and the scores of all classes, float32, shape (C,).

        Raises:
            ImageError: If the image could not be used.
        """
        if self._evidence is None or self.scores is None:
            raise ImageError(f"there is nothing to explain: {self.error}")
        return self._evidence, self.scores

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

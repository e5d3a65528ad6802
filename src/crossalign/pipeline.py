"""The calling convention of Transformers' ``zero-shot-image-classification`` pipeline.

Code that was written for that pipeline can be handed a :class:`Pipeline` instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, overload

from crossalign.calibration import PLAIN_TEMPERATURE, confidences
from crossalign.errors import ImageError
from crossalign.predictions import Prediction

# Class sets that are kept encoded; the oldest one goes first.
_KEPT = 8


class Labels(Protocol):
    """What a pipeline needs of a classifier."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names."""

    def predict(self, images: Iterable[Any]) -> Iterable[Prediction]:
        """Label a stream of images."""


class Pipeline:
    """A classifier that is called like Transformers' pipeline.

    Args:
        classifier: Labels for the classes it was made with.
        make: Makes a classifier for other labels.
        temperature: Scores are softmax(cosines / temperature), as in that pipeline: they add up to
            1 over the labels of a call, but they are no probabilities unless the temperature was
            learnt from labelled photos, see :mod:`crossalign.calibration`.
    """

    task = "zero-shot-image-classification"

    def __init__(
        self,
        classifier: Labels,
        make: Callable[[Sequence[str]], Labels],
        temperature: float = PLAIN_TEMPERATURE,
    ) -> None:
        self._made: dict[tuple[str, ...], Labels] = {classifier.classes: classifier}
        self._own = classifier.classes
        self._make = make
        self._temperature = temperature

    @overload
    def __call__(
        self, image: list[Any], candidate_labels: Iterable[str] | str | None = None, **options: Any
    ) -> list[list[dict[str, Any]]]: ...

    @overload
    def __call__(
        self, image: Any, candidate_labels: Iterable[str] | str | None = None, **options: Any
    ) -> list[dict[str, Any]]: ...

    def __call__(
        self,
        image: Any,
        candidate_labels: Iterable[str] | str | None = None,
        **options: Any,  # noqa: ARG002
    ) -> list[dict[str, Any]] | list[list[dict[str, Any]]]:
        """Label one image, or a list of them.

        Args:
            image: Anything :func:`crossalign.load_image` takes, or a list of these.
            candidate_labels: Classes, or one text with commas between them; the classifier's own by
                default.
            **options: ``hypothesis_template``, ``timeout`` and the like are taken and have no
                effect: the method writes its own texts.

        Returns:
            For one image ``[{"score": float, "label": str}, ...]``, the best first; for a list of
            images a list of these.

        Raises:
            ImageError: If an image cannot be used.
        """
        if isinstance(candidate_labels, str):
            candidate_labels = [name.strip() for name in candidate_labels.split(",")]
        names = self._own if candidate_labels is None else tuple(candidate_labels)
        several = isinstance(image, list)
        predictions = self._for(names).predict(image if several else [image])
        rows = [self._row(prediction) for prediction in predictions]
        return rows if several else rows[0]

    def _for(self, names: tuple[str, ...]) -> Labels:
        if names not in self._made:
            while len(self._made) >= _KEPT:
                oldest = next(key for key in self._made if key != self._own)
                del self._made[oldest]
            self._made[names] = self._make(names)
        return self._made[names]

    def _row(self, prediction: Prediction) -> list[dict[str, Any]]:
        if prediction.scores is None:
            raise ImageError(str(prediction.error))
        shares = confidences(prediction.scores, self._temperature).tolist()
        order = sorted(range(len(shares)), key=lambda at: -shares[at])
        return [{"score": shares[at], "label": prediction.classes[at]} for at in order]

"""The calling convention of Transformers' ``zero-shot-image-classification`` pipeline.

Code that was written for that pipeline can be handed a :class:`Pipeline` instead.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from crossalign.alignment.calibration import PLAIN_TEMPERATURE, confidences
from crossalign.errors import ImageError
from crossalign.images.load import is_one_image
from crossalign.predictions.prediction import Prediction

# Class sets that are kept encoded; the one not used for longest goes first.
_MOST_CLASS_SETS = 8

Ranked: TypeAlias = list[dict[str, Any]]
"""``[{"score": float, "label": str}, ...]``, the best first."""


class Labels(Protocol):
    """What a pipeline needs of a classifier."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names."""

    def predict(self, images: Iterable[Any]) -> Generator[Prediction, None, None]:
        """Label a stream of images."""


class Pipeline:
    """A classifier that is called like Transformers' pipeline.

    Args:
        classifier: Labels for the classes it was made with.
        make: Makes a classifier for other labels.
        temperature: Scores are softmax(cosines / temperature), as in that pipeline: they add up to
            1 over the labels of a call, but they are no probabilities unless the temperature was
            learnt from labelled photos, see :mod:`crossalign.alignment.calibration`.
    """

    task = "zero-shot-image-classification"

    def __init__(
        self,
        classifier: Labels,
        make: Callable[[Sequence[str]], Labels],
        temperature: float = PLAIN_TEMPERATURE,
    ) -> None:
        self._labels = classifier
        self._labels_for = functools.lru_cache(maxsize=_MOST_CLASS_SETS)(make)
        self._temperature = temperature

    def __call__(
        self,
        image: Any = None,
        candidate_labels: Iterable[str] | str | None = None,
        *,
        images: Any = None,
        hypothesis_template: str | None = None,  # noqa: ARG002
        tokenizer_kwargs: Mapping[str, Any] | None = None,  # noqa: ARG002
        timeout: float | None = None,  # noqa: ARG002
        batch_size: int | None = None,  # noqa: ARG002
        num_workers: int | None = None,  # noqa: ARG002
    ) -> Any:
        """Label one image, or several.

        Args:
            image: Anything :func:`crossalign.load_image` takes, or a list, tuple, generator or data
                set of these.
            candidate_labels: Classes, or one text with commas between them; the classifier's own by
                default.
            images: Another name of ``image``, as that pipeline has it.
            hypothesis_template: Has no effect: the method writes its own texts.
            tokenizer_kwargs: Has no effect: every encoder knows what its texts need.
            timeout: Has no effect: nothing is fetched.
            batch_size: Has no effect: the classifier has its own.
            num_workers: The same.

        Returns:
            For one image ``[{"score": float, "label": str}, ...]``, the best first; for a list or
            tuple a list of these; for a generator or data set an iterator over these, which reads
            images only as far ahead as needed.

        Raises:
            ImageError: If an image cannot be used.
            TypeError: If there is no image, both ``image`` and ``images``, or an unknown keyword.
        """
        if (image is None) == (images is None):
            raise TypeError("expected images, either as the first argument or as images=...")
        given = images if image is None else image
        if isinstance(candidate_labels, str):
            candidate_labels = [name.strip() for name in candidate_labels.split(",")]
        labels = self._labels
        names = labels.classes if candidate_labels is None else tuple(candidate_labels)
        if names != labels.classes:
            labels = self._labels_for(names)
        if isinstance(given, list | tuple):
            return list(self._rows(labels, given))
        if is_one_image(given) or not _walkable(given):
            (row,) = self._rows(labels, [given])
            return row
        return self._rows(labels, iter(given))

    def _rows(self, labels: Labels, images: Iterable[Any]) -> Iterator[Ranked]:
        with contextlib.closing(labels.predict(images)) as predictions:
            for prediction in predictions:
                if prediction.scores is None:
                    raise ImageError(str(prediction.error))
                shares = confidences(prediction.scores, self._temperature).tolist()
                pairs = zip(shares, prediction.classes, strict=True)
                best_first = sorted(pairs, key=lambda pair: -pair[0])
                yield [{"score": share, "label": label} for share, label in best_first]


def _walkable(images: Any) -> bool:
    """Tell whether something yields images; data sets often have ``__getitem__`` alone."""
    return isinstance(images, Iterable) or (
        hasattr(images, "__getitem__") and hasattr(images, "__len__")
    )

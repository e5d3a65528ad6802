"""The classifier as scikit-learn knows estimators: ``fit``, ``predict``, ``predict_proba``.

Nothing is trained but one number: with a few labelled photos ``fit`` learns the temperature that
makes scores confidences. scikit-learn itself is needed only where its own tools (pipelines, grid
search, cross-validation) are used.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import sys
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from crossalign.alignment.calibration import LEAST_PHOTOS, Calibration, calibrate
from crossalign.classifier import Classifier
from crossalign.encoders import Encoder
from crossalign.engine.cache.store import Store
from crossalign.errors import CalibrationError, ImageError
from crossalign.images.crops import CropSpec
from crossalign.methods import Method
from crossalign.texts.descriptions import DescriptionSet


class UncalibratedWarning(UserWarning):
    """There were labels, but what a score is worth could not be learnt from them."""


@dataclass(eq=False, repr=False)
class ZeroShotClassifier:
    """A zero-shot classifier with scikit-learn's interface.

    X is any sequence of images: paths, bytes, PIL images or arrays. Labels are class names.

    Args:
        classes: As for :class:`crossalign.Classifier`; None takes the labels given to ``fit``.
        encoder: As for :class:`crossalign.Classifier`.
        method: The same.
        crops: The same.
        seed: The same.
        bank: The same.
        store: The same. Cross-validation and grid search encode every photo once with it, and once
            a fold without it.

    Attributes:
        classes_: Labels, shape (C,), sorted, as scikit-learn's scorers take them to be; the columns
            of scores and confidences are in this order. Class names; where ``classes`` is None and
            the labels given to ``fit`` are no texts, the labels as they are.
        calibration_: What ``fit`` learnt from labels; None without labels, or with too few.
        classifier_: The classifier at work; its classes are in the order in which they were given.

    Example:
        >>> from PIL import Image
        >>> images = [Image.new("RGB", (64, 64), colour) for colour in ("red", "green")]
        >>> model = ZeroShotClassifier(["red square", "green field"], method="clip").fit()
        >>> model.predict(images).shape, model.decision_function(images).shape
        ((2,), (2,))
    """

    _estimator_type: ClassVar = "classifier"

    classes: DescriptionSet | Mapping[str, Iterable[str]] | Iterable[str] | None = None
    _: KW_ONLY
    encoder: str | Encoder = "builtin"
    method: str | Method = "wca"
    crops: int | CropSpec | None = None
    seed: int | None = None
    bank: bool = True
    store: Store | str | os.PathLike[str] | None = None

    def fit(
        self, X: Iterable[Any] | None = None, y: Iterable[Any] | None = None
    ) -> ZeroShotClassifier:
        """Encode the classes and, with labels, calibrate.

        Args:
            X: Labelled images, 20 or more; None for none. With fewer there are labels and scores
                but no confidences, and a warning says so.
            y: Their labels.

        Returns:
            Itself.

        Raises:
            CalibrationError: If labels are no classes, or not as many as images.
            ImageError: If an image cannot be used.
            DescriptionError: If there are no classes.
        """
        labels = None if y is None else list(y)
        if self.classes is None:
            # As they are and not as texts: scikit-learn compares predictions with them.
            self.classes_ = np.unique(np.asarray([] if labels is None else labels))
            names: Any = [str(label) for label in self.classes_.tolist()]
        else:
            names = self.classes
        self.classifier_ = Classifier(**{**self.get_params(), "classes": names})
        self.classifier_.prepare()
        if self.classes is not None:
            self.classes_ = np.array(sorted(self.classifier_.classes))
        self._columns = [self.classifier_.classes.index(str(name)) for name in self.classes_]
        self.calibration_: Calibration | None = None
        if X is not None and labels is not None:
            self.calibration_ = self._calibrated(X, [str(label) for label in labels])
        return self

    def _calibrated(self, X: Iterable[Any], labels: list[str]) -> Calibration | None:
        places = {str(name): place for place, name in enumerate(self.classes_)}
        unknown = sorted(set(labels) - set(places))
        if unknown:
            raise CalibrationError(
                f"expected labels among the {len(places)} classes; got {unknown[0]!r}."
            )
        if len(labels) < LEAST_PHOTOS:
            warnings.warn(
                f"{len(labels)} labelled photos are too few to calibrate with ({LEAST_PHOTOS} are "
                "the least): predict works, predict_proba does not.",
                UncalibratedWarning,
                stacklevel=3,
            )
            return None
        found = calibrate(self._scores(X), [places[label] for label in labels])
        for note in found.notes if found.accuracy < 1 else ():  # few easy photos are usual here
            warnings.warn(f"{note}.", UncalibratedWarning, stacklevel=3)
        return found

    def _scores(self, X: Iterable[Any]) -> npt.NDArray[np.float32]:
        """Score images: shape (n, C), columns in the order of ``classes_``."""
        self._check_fitted()
        rows = []
        with contextlib.closing(self.classifier_.predict(iter(X))) as predictions:
            for prediction in predictions:
                if prediction.scores is None:
                    raise ImageError(str(prediction.error))
                rows.append(prediction.scores)
        scores = np.array(rows, np.float32).reshape(-1, len(self.classes_))
        columns: npt.NDArray[np.float32] = scores[:, self._columns]
        return columns

    def decision_function(self, X: Iterable[Any]) -> npt.NDArray[np.float32]:
        """Score images.

        Args:
            X: Images.

        Returns:
            float32, shape (n, C): ranks classes, and no probabilities. For two classes shape (n,),
            as scikit-learn has it: the score of ``classes_[1]`` less that of ``classes_[0]``.

        Raises:
            CalibrationError: If ``fit`` was not called yet.
            ImageError: If an image cannot be used.
        """
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X: Iterable[Any]) -> npt.NDArray[Any]:
        """Label images.

        Args:
            X: Images.

        Returns:
            Labels out of ``classes_``, shape (n,).

        Raises:
            CalibrationError: If ``fit`` was not called yet.
            ImageError: If an image cannot be used.
        """
        best = self._scores(X).argmax(axis=1)
        labels: npt.NDArray[Any] = self.classes_[best]
        return labels

    def predict_proba(self, X: Iterable[Any]) -> npt.NDArray[np.float64]:
        """Give calibrated confidences.

        Args:
            X: Images.

        Returns:
            float64, shape (n, C), adding up to 1; columns in the order of ``classes_``.

        Raises:
            CalibrationError: If ``fit`` had no labels or too few, so that there is nothing to
                calibrate with, or was not called yet.
            ImageError: If an image cannot be used.
        """
        self._check_fitted()
        if self.calibration_ is None:
            raise CalibrationError(
                f"confidences need a few labelled images, {LEAST_PHOTOS} or more: fit(X, y). "
                "Without them decision_function gives scores, which rank classes."
            )
        return self.calibration_.confidences(self._scores(X))

    def score(
        self, X: Iterable[Any], y: Iterable[Any], sample_weight: npt.ArrayLike | None = None
    ) -> float:
        """Measure the accuracy.

        Args:
            X: Images.
            y: Their labels.
            sample_weight: What each counts for, shape (n,); all alike by default.

        Returns:
            Share of right labels, 0 to 1.
        """
        right = np.array([str(a) == str(b) for a, b in zip(self.predict(X), y, strict=True)], float)
        weights = None if sample_weight is None else np.asarray(sample_weight, np.float64)
        return float(np.average(right, weights=weights))

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002
        """Give the settings, as they were given.

        Args:
            deep: Has no effect: no setting is an estimator.

        Returns:
            Name to value.
        """
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def set_params(self, **params: Any) -> ZeroShotClassifier:
        """Change settings; they take effect at the next ``fit``.

        Args:
            **params: Name to value.

        Returns:
            Itself.

        Raises:
            ValueError: If there is no such setting.
        """
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise ValueError(
                    f"unknown setting {name!r} of {type(self).__name__}; it has {', '.join(known)}."
                )
            setattr(self, name, value)
        return self

    def __sklearn_clone__(self) -> ZeroShotClassifier:
        # A loaded encoder is shared: it cannot be copied, and never changes.
        return type(self)(**self.get_params())

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "classifier_")

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import Tags, TargetTags
        from sklearn.utils._tags import ClassifierTags, InputTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=False),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(two_d_array=False, string=True),
            requires_fit=True,
        )

    def __repr__(self) -> str:
        values = ((field, getattr(self, field.name)) for field in dataclasses.fields(self))
        changed = [
            f"{field.name}={value!r}" for field, value in values if value is not field.default
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def _check_fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            raise _not_fitted_error()(
                f"this {type(self).__name__} is not fitted yet: call fit() first, with labelled "
                "images or without."
            )


def _not_fitted_error() -> type[CalibrationError]:
    """Find what to raise: to scikit-learn, where it is in use, one of its own errors too."""
    there = sys.modules.get("sklearn.exceptions")
    return CalibrationError if there is None else _joined(there.NotFittedError)


@functools.cache
def _joined(error: type[Exception]) -> type[CalibrationError]:
    return type("NotFittedError", (CalibrationError, error), {"__module__": __name__})

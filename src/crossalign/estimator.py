"""The classifier as scikit-learn knows estimators: ``fit``, ``predict``, ``predict_proba``.

Nothing is trained but one number: with a few labelled photos ``fit`` learns the temperature that
makes scores confidences. scikit-learn itself is needed only where its own tools (pipelines, grid
search, cross-validation) are used.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from crossalign.calibration import Calibration, calibrate
from crossalign.classifier import Classifier
from crossalign.crops import CropSpec
from crossalign.descriptions import DescriptionSet
from crossalign.encoders import Encoder
from crossalign.errors import CalibrationError, ImageError
from crossalign.methods import Method


class ZeroShotClassifier:
    """A zero-shot classifier with scikit-learn's interface.

    X is any sequence of images: paths, bytes, PIL images or arrays. Labels are class names.

    Args:
        classes: As for :class:`crossalign.Classifier`; None takes the labels given to ``fit``, in
            alphabetical order.
        encoder: As for :class:`crossalign.Classifier`.
        method: The same.
        crops: The same.
        seed: The same.

    Attributes:
        classes_: Class names, shape (C,), in the order of the columns of scores.
        calibration_: What ``fit`` learnt from labels; None without labels.
        classifier_: The classifier at work.

    Example:
        >>> from PIL import Image
        >>> images = [Image.new("RGB", (64, 64), colour) for colour in ("red", "green")]
        >>> model = ZeroShotClassifier(["red square", "green field"], method="clip").fit()
        >>> model.predict(images).shape, model.decision_function(images).shape
        ((2,), (2, 2))
    """

    _estimator_type = "classifier"

    def __init__(
        self,
        classes: DescriptionSet | Mapping[str, Iterable[str]] | Iterable[str] | None = None,
        *,
        encoder: str | Encoder = "builtin",
        method: str | Method = "wca",
        crops: int | CropSpec | None = None,
        seed: int | None = None,
    ) -> None:
        self.classes = classes
        self.encoder = encoder
        self.method = method
        self.crops = crops
        self.seed = seed

    def fit(
        self, X: Iterable[Any] | None = None, y: Iterable[str] | None = None
    ) -> ZeroShotClassifier:
        """Encode the classes and, with labels, calibrate.

        Args:
            X: A few labelled images, 20 or more; None for none.
            y: Their labels.

        Returns:
            Itself.

        Raises:
            CalibrationError: If there are too few images, or labels that are no classes.
            ImageError: If an image cannot be used.
            DescriptionError: If there are no classes.
        """
        labels = None if y is None else [str(label) for label in y]
        classes = sorted(set(labels)) if self.classes is None and labels else self.classes
        self.classifier_ = Classifier(
            [] if classes is None else classes,
            encoder=self.encoder,
            method=self.method,
            crops=self.crops,
            seed=self.seed,
        )
        self.classifier_.prepare()
        self.classes_ = np.array(self.classifier_.classes)
        self.calibration_: Calibration | None = None
        if X is not None and labels is not None:
            places = {name: place for place, name in enumerate(self.classifier_.classes)}
            unknown = sorted(set(labels) - set(places))
            if unknown:
                raise CalibrationError(
                    f"expected labels among the {len(places)} classes; got {unknown[0]!r}."
                )
            self.calibration_ = calibrate(
                self.decision_function(X), [places[label] for label in labels]
            )
        return self

    def decision_function(self, X: Iterable[Any]) -> npt.NDArray[np.float32]:
        """Score images.

        Args:
            X: Images.

        Returns:
            float32, shape (n, C): ranks classes, and no probabilities.

        Raises:
            ImageError: If an image cannot be used.
        """
        self._check_fitted()
        rows = []
        for prediction in self.classifier_.predict(iter(X)):
            if prediction.scores is None:
                raise ImageError(str(prediction.error))
            rows.append(prediction.scores)
        return np.array(rows, np.float32).reshape(-1, len(self.classes_))

    def predict(self, X: Iterable[Any]) -> npt.NDArray[np.str_]:
        """Label images.

        Args:
            X: Images.

        Returns:
            Class names, shape (n,).

        Raises:
            ImageError: If an image cannot be used.
        """
        scores = self.decision_function(X)
        labels: npt.NDArray[np.str_] = self.classes_[scores.argmax(axis=1)]
        return labels

    def predict_proba(self, X: Iterable[Any]) -> npt.NDArray[np.float64]:
        """Give calibrated confidences.

        Args:
            X: Images.

        Returns:
            float64, shape (n, C), adding up to 1.

        Raises:
            CalibrationError: If ``fit`` had no labels, so that there is nothing to calibrate with.
            ImageError: If an image cannot be used.
        """
        self._check_fitted()
        if self.calibration_ is None:
            raise CalibrationError(
                "confidences need a few labelled images: fit(X, y). Without them decision_function "
                "gives scores, which rank classes."
            )
        return self.calibration_.confidences(self.decision_function(X))

    def score(self, X: Iterable[Any], y: Iterable[str]) -> float:
        """Measure the accuracy.

        Args:
            X: Images.
            y: Their labels.

        Returns:
            Share of right labels, 0 to 1.
        """
        return float(np.mean(self.predict(X) == np.array([str(label) for label in y])))

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002
        """Give the settings, as they were given.

        Args:
            deep: Has no effect: no setting is an estimator.

        Returns:
            Name to value.
        """
        names = list(inspect.signature(type(self).__init__).parameters)[1:]
        return {name: getattr(self, name) for name in names}

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
        settings = inspect.signature(type(self).__init__).parameters
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if value is not settings[name].default
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def _check_fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            raise CalibrationError(
                f"this {type(self).__name__} is not fitted yet: call fit() first, with labelled "
                "images or without."
            )

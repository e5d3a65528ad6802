"""From scores to a decision: a label, none of these, several labels, or better not to decide.

Scores rank classes. A confidence exists only where a calibration made one, from labelled photos.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from crossalign.calibration import Calibration
from crossalign.descriptions import DescriptionSet
from crossalign.encoders import fingerprint
from crossalign.errors import LabelingError

if TYPE_CHECKING:
    from crossalign.classifier import Classifier
    from crossalign.predictions import Prediction

NONE_OF_THESE = "none of these"
UNDECIDED = "undecided"

BACKGROUND = (
    "a blurred photo of nothing in particular",
    "an empty background",
    "a texture or a pattern",
    "a page with text",
    "a screenshot of a computer",
    "a drawing or a diagram",
    "a room with furniture",
    "a street with houses",
    "a landscape with sky",
    "a group of people",
    "an everyday object on a table",
    "a vehicle",
    "a plant",
    "an animal",
    "something to eat",
)
"""Texts that stand for everything else; each is a class of its own that no image is given."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one image in the end: a row of the table.

    Args:
        path: The image.
        content_hash: 32 hexadecimal digits that name its pixels.
        width: Of the upright image, in pixels.
        height: The same.
        label: The best class, whatever the decision.
        score: Its score: a rank among these classes, not a probability.
        runner_up: The second best class.
        margin: By how much the best leads it.
        confidence: Calibrated; None without a calibration.
        decision: A class, ``"none of these"``, ``"undecided"``, or a list of classes where several
            may fit.
        top: The best classes with their scores, where these were asked for.
        error: Why there is no label.
    """

    path: str
    content_hash: str | None = None
    width: int | None = None
    height: int | None = None
    label: str | None = None
    score: float | None = None
    runner_up: str | None = None
    margin: float | None = None
    confidence: float | None = None
    decision: str | list[str] | None = None
    top: list[list[Any]] | None = None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give plain values, in the order of the table's columns."""
        return {name: getattr(self, name) for name in COLUMNS}


COLUMNS = tuple(one.name for one in dataclasses.fields(Row))


@dataclass(frozen=True, slots=True)
class Decisions:
    """How scores become decisions.

    Args:
        threshold: Below it nothing is decided: on the confidence with a calibration, else on the
            score. None takes the calibration's own threshold if it has one.
        none_of_these: Whether an image that fits a background text better than any class, or stays
            below the threshold, is none of these.
        background: The background texts.
        multi_label: Whether an image may have several labels: every class whose score reaches the
            threshold.
        top: How many classes to list with their scores; 0 for none.
        calibration: Makes scores confidences.

    Raises:
        LabelingError: If these contradict one another.
    """

    threshold: float | None = None
    none_of_these: bool = False
    background: tuple[str, ...] = BACKGROUND
    multi_label: bool = False
    top: int = 0
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        if self.multi_label and self.threshold is None:
            raise LabelingError(
                "several labels an image need a threshold on the score (--threshold): without one "
                "every class would fit."
            )
        if self.multi_label and self.calibration is not None:
            raise LabelingError(
                "a calibration is for one label an image: its confidences add up to 1 over the "
                "classes. Leave out --calibration or --multi-label."
            )
        if self.top < 0:
            raise LabelingError(f"expected top as 0 or more; got {self.top}.")

    @property
    def least(self) -> float | None:
        """The threshold that is in force."""
        if self.threshold is not None or self.calibration is None:
            return self.threshold
        found = self.calibration.threshold
        return None if found is None else found.confidence

    @property
    def beside(self) -> int:
        """How many background classes there are."""
        return len(self.background) if self.none_of_these else 0

    def classes(self, wanted: DescriptionSet) -> DescriptionSet:
        """Add the background to the classes, if there is one.

        Args:
            wanted: The classes that images can be given.

        Returns:
            The same, and after them the background.

        Raises:
            DescriptionError: If a class is called like a background text.
            LabelingError: If a class is called like a decision.
        """
        taken = [name for name in wanted if name in (NONE_OF_THESE, UNDECIDED)]
        if taken:
            raise LabelingError(
                f"a class cannot be called {taken[0]!r}, which is a decision. Rename the class; "
                "--none-of-these is there for images that fit no class."
            )
        if not self.none_of_these:
            return wanted
        texts = ((text,) for text in self.background) if wanted.has_descriptions else None
        added = tuple(texts) if texts is not None else ((),) * len(self.background)
        return DescriptionSet((*wanted.classes, *self.background), (*wanted.texts, *added))

    def row(self, path: str, prediction: Prediction) -> Row:
        """Decide.

        Args:
            path: What to call the image.
            prediction: Of a classifier with :meth:`classes`.

        Returns:
            The row.
        """
        if prediction.scores is None or prediction.size is None:
            return Row(path, error=prediction.error)
        count = len(prediction.classes) - self.beside
        scores, names = prediction.scores[:count], prediction.classes
        order = np.argsort(-scores, kind="stable")
        best = int(order[0])
        confidence = None
        if self.calibration is not None:
            confidence = _rounded(self.calibration.confidences(scores)[best])
        other = self.beside > 0 and prediction.scores[count:].max() > scores[best]
        return Row(
            path=path,
            content_hash=prediction.content_hash,
            width=prediction.size[0],
            height=prediction.size[1],
            label=names[best],
            score=_rounded(scores[best]),
            runner_up=names[int(order[1])] if count > 1 else None,
            margin=_rounded(scores[best] - scores[order[1]]) if count > 1 else None,
            confidence=confidence,
            decision=self._decide(names, scores, order, confidence, other),
            top=[[names[at], _rounded(scores[at])] for at in order[: self.top].tolist()] or None,
        )

    def _decide(
        self, names: tuple[str, ...], scores: Any, order: Any, confidence: float | None, other: bool
    ) -> str | list[str]:
        least = self.least
        if self.multi_label:
            return [] if other else [names[at] for at in order.tolist() if scores[at] >= least]
        if other:
            return NONE_OF_THESE
        sure = float(scores[order[0]]) if confidence is None else confidence
        if least is not None and sure < least:
            return NONE_OF_THESE if self.none_of_these else UNDECIDED
        return names[int(order[0])]

    def settings(self) -> dict[str, str]:
        """Name what decisions depend on, for comparison with another run."""
        calibration = self.calibration
        return {
            "threshold": str(self.least),
            "none of these": digest(self.background) if self.none_of_these else "no",
            "several labels": str(self.multi_label),
            "top": str(self.top),
            "calibration": "none" if calibration is None else f"{calibration.temperature:.9g}",
        }


def scoring_settings(classifier: Classifier, beside: int = 0) -> dict[str, str]:
    """Name what scores depend on beside the image, for comparison with another run.

    Args:
        classifier: The classifier.
        beside: How many of its classes, the last ones, are background.

    Returns:
        What each is called in messages, to a short text that changes when it does.
    """
    method = dataclasses.asdict(classifier.method)
    crops = method.pop("crops")
    count = len(classifier.classes) - beside
    return {
        "class list": f"{count} classes {digest(classifier.classes[:count])}",
        "descriptions": digest(classifier.texts[:count]),
        "encoder": fingerprint(classifier.encoder),
        "method": f"{method['name']} {digest(method)}",
        "crops": json.dumps(crops, default=str)
        + (f", {classifier.adaptive}" if classifier.adaptive else ""),
        "draft decoding": str(classifier.draft),
    }


def digest(values: Any) -> str:
    """Name plain values by 12 hexadecimal digits.

    Args:
        values: Anything that becomes JSON.

    Returns:
        Their digest.
    """
    data = json.dumps(values, sort_keys=True, default=str).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=6).hexdigest()


def _rounded(value: Any) -> float:
    """Six decimals: single precision has no more to say of a score."""
    return round(float(value), 6)

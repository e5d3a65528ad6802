"""From scores to a decision: a label, none of these, several labels, or better not to decide.

Scores rank classes. A confidence exists only where a calibration made one, from labelled photos.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crossalign.alignment.calibration import Calibration
from crossalign.encoders import fingerprint
from crossalign.errors import DescriptionError, LabelingError
from crossalign.labeling.image_scores import ImageScores, Scores
from crossalign.texts.descriptions import DescriptionSet, wordify
from crossalign.texts.quality import names_class
from crossalign.utils.digests import value_digest
from crossalign.utils.validation import whole_number

if TYPE_CHECKING:
    from crossalign.classifier import Classifier
    from crossalign.predictions import Prediction

NONE_OF_THESE = "none of these"
UNDECIDED = "undecided"
NO_LABEL = "no label"
ABSTENTIONS = (NONE_OF_THESE, UNDECIDED, NO_LABEL)
"""What an image may be given in place of a class."""

BACKGROUND = tuple(
    files(__package__).joinpath("data/background.txt").read_text("utf-8").splitlines()
)
"""Texts that stand for everything else."""

_ARTICLES = ("a ", "an ", "the ")


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

    @property
    def labels(self) -> list[str]:
        """The classes that the image was given: none where nothing was decided."""
        if isinstance(self.decision, list):
            return self.decision
        return [] if self.decision in (None, *ABSTENTIONS) else [str(self.decision)]

    def to_dict(self) -> dict[str, Any]:
        """Give plain values, in the order of the table's columns."""
        return {name: getattr(self, name) for name in COLUMNS}


COLUMNS = tuple(one.name for one in dataclasses.fields(Row))


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about an image.

    Args:
        row: Its row.
        labels: What it was given: one class, or each of several, or one of ``ABSTENTIONS`` in place
            of a class; nothing with an error. Beside each is how far the image was from not being
            given it, so that the least sure can be shown first. Of a class: the confidence, or else
            the margin, or else the score; with several labels, how far the score is above the
            threshold. Of an abstention: how far the best class stayed below the background or the
            threshold.
    """

    row: Row
    labels: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Decisions:
    """How scores become decisions.

    Args:
        threshold: Below it nothing is decided: on the confidence with a calibration, else on the
            score. None takes the calibration's own threshold if it has one.
        none_of_these: Whether an image that fits a background text better than any class, or stays
            below the threshold, is none of these.
        background: The background texts; those that name one of the classes are left out, see
            :meth:`background_for`.
        multi_label: Whether an image may have several labels: every class whose score reaches the
            threshold.
        top: How many classes to list with their scores; 0 for none.
        calibration: Makes scores confidences.

    Raises:
        LabelingError: If these contradict one another.
        CalibrationError: If the calibration was asked for a precision that none of its thresholds
            is shown to reach, and no threshold is given.
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
        whole_number("top", self.top, 0, error=LabelingError)
        if self.calibration is not None and self.threshold is None:
            self.calibration.check_threshold()
        self._check_threshold()

    def _check_threshold(self) -> None:
        if self.threshold is None:
            return
        what, low = ("score", -1) if self.calibration is None else ("confidence", 0)
        if not (math.isfinite(self.threshold) and low <= self.threshold <= 1):
            raise LabelingError(
                f"expected a threshold on the {what}, from {low} to 1; got {self.threshold!r}."
            )

    @property
    def least(self) -> float | None:
        """The threshold that is in force."""
        if self.threshold is not None or self.calibration is None:
            return self.threshold
        found = self.calibration.threshold
        return None if found is None else found.confidence

    def background_for(self, classes: Iterable[str]) -> tuple[str, ...]:
        """Give the background texts that compete with some classes.

        A text that names a class, or that a class's name names, is left out: "a plant" would take
        photos away from the classes "plant" and "potted plant".

        Args:
            classes: Names of the classes that images can be given.

        Returns:
            The texts, for ``Classifier(classes, background=...)``; none without ``none_of_these``.

        Raises:
            LabelingError: If a class is called like a decision, or if every text names a class and
                there is no threshold either.

        Example:
            >>> texts = Decisions(none_of_these=True).background_for(["potted plant", "pug"])
            >>> "a plant" in texts, "an animal" in texts
            (False, True)
        """
        names = list(classes)
        taken = [name for name in names if name in ABSTENTIONS]
        if taken:
            raise LabelingError(
                f"a class cannot be called {taken[0]!r}, which is a decision. Rename the class; "
                "--none-of-these is there for images that fit no class."
            )
        if not self.none_of_these:
            return ()
        left = tuple(text for text in self.background if not _about_any(text, names))
        if self.background and not left and self.least is None:
            raise LabelingError(
                f"every background text names one of the classes, such as {self.background[0]!r}, "
                "so nothing is left that an image could fit better. Give other texts (--background "
                "FILE), or a --threshold."
            )
        return left

    def check(self, classifier: Classifier) -> None:
        """Raise unless a classifier's predictions can be decided about.

        Args:
            classifier: The classifier.

        Raises:
            LabelingError: If a class is called like a decision, or the background is missing.
            CalibrationError: If the calibration is one of other scores.
        """
        wanted = self.background_for(classifier.classes)
        if wanted and classifier.background != wanted:
            raise LabelingError(
                f"expected a classifier with {len(wanted)} background texts for none of these; got "
                f"one with {len(classifier.background)} or with others. Make it with "
                "Classifier(classes, background=decisions.background_for(classes))."
            )
        if self.calibration is not None:
            self.calibration.check_settings(scoring_settings(classifier))

    def row(self, path: str, prediction: Prediction) -> Row:
        """Decide.

        Args:
            path: What to call the image.
            prediction: Of a classifier with the background of :meth:`background_for`.

        Returns:
            The row.
        """
        return self.decide(ImageScores.of(path, path, prediction), prediction.classes).row

    def decide(self, scored: ImageScores, names: Sequence[str]) -> Decision:
        """Decide from scores.

        Args:
            scored: What an image scored.
            names: The C classes.

        Returns:
            Its row, and how sure each decision is.
        """
        split = scored.split(len(names))
        if split is None or scored.size is None:
            return Decision(Row(scored.path, error=scored.error))
        scores, beside = split
        order = np.argsort(-scores, kind="stable")
        best = int(order[0])
        confidence = margin = None
        if self.calibration is not None:
            confidence = _rounded(self.calibration.confidences(scores)[best])
        if len(names) > 1:
            margin = _rounded(scores[best] - scores[order[1]])
        row = Row(
            path=scored.path,
            content_hash=scored.content_hash,
            width=scored.size[0],
            height=scored.size[1],
            label=names[best],
            score=_rounded(scores[best]),
            runner_up=names[int(order[1])] if len(names) > 1 else None,
            margin=margin,
            confidence=confidence,
            top=[[names[at], _rounded(scores[at])] for at in order[: self.top].tolist()] or None,
        )
        labels = self._labels(row, scores, beside, names, order)
        several = [name for name, _ in labels if name not in ABSTENTIONS]
        decision = several if self.multi_label else labels[0][0]
        return Decision(dataclasses.replace(row, decision=decision), labels)

    def _labels(
        self, row: Row, scores: Scores, beside: Scores, names: Sequence[str], order: Any
    ) -> tuple[tuple[str, float], ...]:
        # Compared is what the table shows, so that a score of 0.7 reaches a threshold of 0.7; the
        # threshold is rounded alike.
        measures = (row.confidence, row.margin, row.score)
        value = row.score if row.confidence is None else row.confidence
        least = -math.inf if self.least is None else _rounded(self.least)
        below, behind = least - (value or 0.0), -math.inf
        if self.none_of_these:
            behind = float(beside.max(initial=-np.inf)) - float(scores[order[0]])
        # Each by itself keeps the image from its best class, so the larger one says how firmly.
        away = max(below, behind)
        if away > 0:
            other = NONE_OF_THESE if self.none_of_these else UNDECIDED
            return ((NO_LABEL if self.multi_label else other, _rounded(away)),)
        ranked = ((names[at], _rounded(scores[at])) for at in order.tolist())
        if self.multi_label:
            fitting = itertools.takewhile(lambda one: one[1] >= least, ranked)
            return tuple((name, _rounded(score - least)) for name, score in fitting)
        return ((next(ranked)[0], next(one for one in measures if one is not None)),)

    def settings(self) -> dict[str, str]:
        """Name what decisions depend on beside the scores, for comparison with another run."""
        calibration = self.calibration
        return {
            "threshold": str(self.least),
            "several labels": str(self.multi_label),
            "top": str(self.top),
            "calibration": "none" if calibration is None else f"{calibration.temperature:.9g}",
        }


def scoring_settings(classifier: Classifier) -> dict[str, str]:
    """Name what scores depend on beside the image, for comparison with another run.

    Args:
        classifier: The classifier.

    Returns:
        What each is called in messages, to a short text that changes when it does.
    """
    method = dataclasses.asdict(classifier.method)
    crops = method.pop("crops")
    return {
        "class list": f"{len(classifier.classes)} classes {short_digest(classifier.classes)}",
        "descriptions": short_digest(classifier.texts),
        "encoder": fingerprint(classifier.encoder),
        "method": f"{method['name']} {short_digest(method)}",
        "crops": json.dumps(crops, default=str)
        + (f", {classifier.adaptive}" if classifier.adaptive else ""),
        "draft decoding": str(classifier.draft),
    }


def load_background(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Read background texts from a file.

    Args:
        path: A ``.txt`` file, UTF-8, with a text a line; blank lines and lines that start with
            ``#`` are skipped.

    Returns:
        The texts.

    Raises:
        LabelingError: If there are none, or it is something else.
    """
    if Path(path).suffix.lower() != ".txt":
        raise LabelingError(
            f"{path}: expected background texts as a .txt file, one a line; got the ending "
            f"{Path(path).suffix!r}."
        )
    try:
        return DescriptionSet.load(path).classes
    except DescriptionError as error:
        raise LabelingError(f"the background texts cannot be read: {error}") from error


def _about_any(text: str, names: Iterable[str]) -> bool:
    """Tell whether a background text and one of some class names speak of the same thing."""
    bare = next(
        (text.removeprefix(article) for article in _ARTICLES if text.startswith(article)), text
    )
    return any(names_class(text, name) or names_class(wordify(name), bare) for name in names)


def short_digest(values: Any) -> str:
    """Name plain values by 12 hexadecimal digits, in the form that job files hold."""
    return value_digest(values, size=6, compact=False)


def _rounded(value: Any) -> float:
    """Six decimals: single precision has no more to say of a score."""
    return round(float(value), 6)

"""From scores to confidence: a temperature learnt from a few labelled photos.

A score ranks the classes of one image and says nothing of how often such an answer is right. With
some labelled photos one number, the temperature T of softmax(scores / T), turns scores into
confidences that can be read as shares of right answers (Guo et al., ICML 2017, arXiv 1706.04599).
The label never changes by it. Everything here takes and gives NumPy arrays.
"""

from __future__ import annotations

import json
import math
import numbers
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from crossalign.alignment.precision import Z_95 as Z_95
from crossalign.alignment.precision import Threshold as Threshold
from crossalign.alignment.precision import photos_needed
from crossalign.alignment.precision import threshold_for as threshold_for
from crossalign.alignment.precision import wilson as wilson
from crossalign.errors import AlignmentError, CalibrationError
from crossalign.utils.files import write_text

Numbers: TypeAlias = npt.NDArray[np.float64]

PLAIN_TEMPERATURE = 0.01
"""What cosines are divided by where there are no labelled photos: CLIP's own scale is 100."""

BINS = 15
"""Of every reliability diagram and calibration error, as in Guo et al. (ICML 2017)."""

LEAST_PHOTOS = 20

# How many standard errors confidences must be better than none at all.
_ONE_SIDED_95 = 1.645

# 1 / T is looked for between these; a set of photos without one wrong answer would send it to
# infinity.
_LEAST_SHARPNESS, _MOST_SHARPNESS = 1e-2, 1e4
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Bin:
    """Photos of like confidence.

    Args:
        low: Confidences above it belong here; in the first bin 0 does, too.
        high: The greatest confidence that belongs here.
        photos: How many there are.
        confidence: Their mean confidence; 0 without photos.
        right: Share of them that were labelled right; 0 without photos.
    """

    low: float
    high: float
    photos: int
    confidence: float
    right: float


@dataclass(frozen=True, slots=True)
class Quality:
    """How well confidences fit what happened.

    Args:
        log_loss: Mean of -log p of the true class, in nats.
        ece: Expected calibration error: mean distance of confidence and share of right answers
            over bins of equal width, weighted by their photos.
    """

    log_loss: float
    ece: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """A learnt temperature, and what it was learnt from.

    Args:
        temperature: T; confidences are softmax(scores / T).
        photos: Number of labelled photos.
        accuracy: Share of them that were labelled right.
        before: Quality with T = 0.01, which CLIP's users take without photos.
        after: Quality with this T, on photos that it was not learnt from (cross-validation).
        bins: The reliability diagram of ``after``.
        threshold: For the wished precision; None if none was wished, or none is shown to reach it.
        settings: What scores depend on beside the image; a calibration fits no others.
        precision: The precision that was wished for; None for no wish.
        notes: What speaks against these confidences, in words; nothing where all is well.
    """

    temperature: float
    photos: int
    accuracy: float
    before: Quality
    after: Quality
    bins: tuple[Bin, ...]
    threshold: Threshold | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    precision: float | None = None
    notes: tuple[str, ...] = ()

    def check_threshold(self) -> None:
        """Raise if a precision was wished for that no threshold is shown to reach.

        Raises:
            CalibrationError: If so.
        """
        if self.precision is not None and self.threshold is None:
            needed = photos_needed(self.precision)
            raise CalibrationError(
                f"no threshold is shown to reach the precision of {self.precision:g} that this "
                f"calibration was asked for, with its {self.photos} labelled photos, "
                f"{self.accuracy:.3f} of them labelled right"
                + (
                    ". A precision of 1 can never be shown."
                    if needed is None
                    else f"; that takes {needed} or more of the surest, nearly all of them right."
                )
                + " Calibrate again with more photos or a smaller --precision, or choose a "
                "--threshold on the confidence yourself (0 decides about every photo)."
            )

    def confidences(self, scores: npt.ArrayLike) -> Numbers:
        """Turn scores into confidences.

        Args:
            scores: Shape (..., C).

        Returns:
            Shape (..., C), adding up to 1 over the last axis.
        """
        return confidences(scores, self.temperature)

    def check_settings(self, settings: Mapping[str, str]) -> None:
        """Raise if scores were made otherwise than those that this was learnt from.

        Args:
            settings: What the scores depend on.

        Raises:
            CalibrationError: If something differs.
        """
        wrong = [name for name in self.settings if self.settings[name] != settings.get(name)]
        if wrong:
            raise CalibrationError(
                f"this calibration was made with other settings ({', '.join(wrong)}), so its "
                "confidences would be wrong here. Calibrate again with these settings, or use "
                "those of the calibration."
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON.

        Args:
            path: The file; one of that name is replaced whole or not at all.

        Raises:
            CalibrationError: If it cannot be written.
        """
        values = {"crossalign_calibration": _FORMAT, **asdict(self)}
        try:
            write_text(Path(path), json.dumps(values, indent=1) + "\n")
        except OSError as error:
            raise CalibrationError(
                f"{path}: the calibration cannot be written ({error.strerror or error}). Check "
                "that its folder exists and that there is room."
            ) from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Calibration:
        """Read what :meth:`save` wrote.

        Args:
            path: The file.

        Returns:
            The calibration.

        Raises:
            CalibrationError: If it is something else.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
            if values.pop("crossalign_calibration") != _FORMAT:
                raise ValueError("its format is another")
            threshold = values.pop("threshold")
            if threshold is not None:  # earlier versions wrote the wish there alone
                values.setdefault("precision", threshold["wanted"])
            loaded = cls(
                **{
                    **values,
                    "notes": tuple(values.get("notes", ())),
                    "before": Quality(**values["before"]),
                    "after": Quality(**values["after"]),
                    "bins": tuple(Bin(**one) for one in values["bins"]),
                    "threshold": None if threshold is None else Threshold(**threshold),
                }
            )
            if not 0 < float(loaded.temperature) < math.inf:
                raise ValueError("its temperature is not a positive number")
        except OSError as error:
            raise CalibrationError(
                f"expected a calibration, a file that can be read; {path}: "
                f"{error.strerror or error}. Check the path."
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CalibrationError(
                f"{path} is not a calibration as `crossalign calibrate` writes it "
                f"({type(error).__name__}: {error})."
            ) from error
        return loaded


def confidences(scores: npt.ArrayLike, temperature: float) -> Numbers:
    """Softmax of scores over a temperature.

    Args:
        scores: Shape (..., C).
        temperature: T > 0.

    Returns:
        float64, shape (..., C), adding up to 1 over the last axis.

    Example:
        >>> confidences([0.3, 0.1], 0.1).round(3)
        array([0.881, 0.119])
    """
    logits = np.asarray(scores, np.float64) / temperature
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: Numbers = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def log_loss(shares: Numbers, labels: npt.NDArray[np.int64]) -> float:
    """Mean of -log p of the true class.

    Args:
        shares: Confidences, shape (n, C).
        labels: True classes, shape (n,).

    Returns:
        Nats, 0 or more.
    """
    true = shares[np.arange(len(labels)), labels]
    # A set without a doubt has a mean of 0, which minus makes -0.
    return abs(float(np.log(np.maximum(true, np.finfo(np.float64).tiny)).mean()))


def reliability(
    confidence: npt.ArrayLike, right: npt.ArrayLike, bins: int = BINS
) -> tuple[Bin, ...]:
    """Set confidence beside what happened, in bins of equal width (Guo et al., ICML 2017).

    Args:
        confidence: Confidence of each answer, shape (n,), 0 to 1.
        right: Whether it was right, shape (n,).
        bins: Number of bins B; bin b holds the confidences in (b / B, (b + 1) / B].

    Returns:
        The bins, from 0 to 1.

    Raises:
        AlignmentError: If there are no confidences, or some are not between 0 and 1.

    Example:
        >>> [bin.photos for bin in reliability([0.1, 0.8, 0.9, 1.0], [0, 1, 0, 1], bins=2)]
        [1, 3]
    """
    values, hits = np.asarray(confidence, np.float64), np.asarray(right, np.float64)
    if not values.size or values.shape != hits.shape or not ((values >= 0) & (values <= 1)).all():
        raise AlignmentError(
            f"expected confidences between 0 and 1, at least one, and as many answers; got shapes "
            f"{values.shape} and {hits.shape}."
        )
    places = np.clip(np.ceil(values * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(places, minlength=bins)
    shares = np.bincount(places, values, bins) / np.maximum(counts, 1)
    rights = np.bincount(places, hits, bins) / np.maximum(counts, 1)
    return tuple(
        Bin(at / bins, (at + 1) / bins, int(counts[at]), float(shares[at]), float(rights[at]))
        for at in range(bins)
    )


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error of a reliability diagram.

    Args:
        bins: Its bins.

    Returns:
        0 (honest) to 1.

    Example:
        >>> round(calibration_error(reliability([0.9, 0.9, 0.6, 0.6], [1, 1, 1, 0])), 3)
        0.1
    """
    gaps = [one.photos * abs(one.confidence - one.right) for one in bins if one.photos]
    return float(np.sum(gaps) / sum(one.photos for one in bins))


def fit_temperature(scores: npt.ArrayLike, labels: npt.NDArray[np.int64]) -> float:
    """Find the temperature of the least log-loss.

    The log-loss is convex in 1 / T, and its slope is the mean score that softmax expects less the
    score of the true class: bisection finds where it is zero.

    Args:
        scores: Shape (n, C).
        labels: True classes, shape (n,).

    Returns:
        T, from 0.0001 to 100.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> scores = rng.normal(size=(4000, 5))
        >>> labels = np.array([rng.choice(5, p=row) for row in confidences(scores, 0.5)])
        >>> round(fit_temperature(scores, labels), 1)
        0.5
    """
    values = np.asarray(scores, np.float64)
    true = values[np.arange(len(labels)), labels].mean()

    def slope(sharpness: float) -> float:
        expected = (confidences(values, 1.0 / sharpness) * values).sum(axis=1).mean()
        return float(expected - true)

    low, high = _LEAST_SHARPNESS, _MOST_SHARPNESS
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 1.0 / math.sqrt(low * high)


def calibrate(
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    precision: float | None = None,
    settings: Mapping[str, str] | None = None,
) -> Calibration:
    """Learn a temperature from labelled photos.

    Quality and reliability diagram come from five-fold cross-validation: each photo's confidence is
    that of a temperature learnt without it. The threshold is one on the confidences that labels
    will have, those of the temperature learnt from all photos.

    Args:
        scores: Shape (n, C).
        labels: True classes as whole numbers from 0 to C - 1, shape (n,).
        precision: Precision that labels at or above the threshold shall have, above 0 and up to 1.
        settings: What the scores depend on.

    Returns:
        The calibration.

    Raises:
        CalibrationError: If there are too few photos, or the arrays do not fit.
    """
    check_precision(precision)
    values, true = _checked(scores, labels)
    folds = np.random.default_rng(0).permutation(len(true)) % 5
    shares = np.empty_like(values)
    for fold in range(5):
        left_out = folds == fold
        temperature = fit_temperature(values[~left_out], true[~left_out])
        shares[left_out] = confidences(values[left_out], temperature)
    right = values.argmax(axis=1) == true
    bins = reliability(shares.max(axis=1), right)
    plain = confidences(values, PLAIN_TEMPERATURE)
    temperature = fit_temperature(values, true)
    threshold = None
    if precision is not None:
        threshold = threshold_for(confidences(values, temperature).max(axis=1), right, precision)
    return Calibration(
        temperature=temperature,
        photos=len(true),
        accuracy=float(right.mean()),
        before=Quality(
            log_loss(plain, true), calibration_error(reliability(plain.max(axis=1), right))
        ),
        after=Quality(log_loss(shares, true), calibration_error(bins)),
        bins=bins,
        threshold=threshold,
        settings=dict(settings or {}),
        precision=precision,
        notes=_notes(temperature, shares[np.arange(len(true)), true], values.shape[1], right),
    )


def _notes(
    temperature: float, true_shares: Numbers, classes: int, right: npt.NDArray[np.bool_]
) -> tuple[str, ...]:
    """Say what speaks against a temperature and the confidences of the true classes."""
    notes = []
    gains = np.log(np.maximum(true_shares, np.finfo(np.float64).tiny)) + math.log(classes)
    if gains.mean() <= _ONE_SIDED_95 * gains.std(ddof=1) / math.sqrt(len(gains)):
        notes.append(
            "these confidences say nothing: on photos left out they are no better than the same "
            f"confidence for each of the {classes} classes. A small calibration error is no "
            "success here. Check that the labels belong to these photos and classes"
        )
    if temperature * _LEAST_SHARPNESS > 0.99:
        notes.append(
            f"the temperature is at its upper limit of {1 / _LEAST_SHARPNESS:g}: scores and labels "
            "have nothing to do with one another, and all confidences are about the same"
        )
    elif right.all() or temperature * _MOST_SHARPNESS < 1.01:
        notes.append(
            "nothing among these photos says how wrong an answer can be "
            f"({right.mean():.3f} of them are labelled right), so the temperature is as "
            "low as it can be and confidences are 1 or nearly so. Add photos that are harder"
        )
    return tuple(notes)


def check_precision(precision: float | None) -> None:
    """Raise if a precision cannot be reached or wished for.

    Args:
        precision: Share of right labels; None for no wish.

    Raises:
        CalibrationError: If it is not above 0 and up to 1.
    """
    if precision is None:
        return
    real = isinstance(precision, numbers.Real) and not isinstance(precision, bool)
    if not real or not 0 < precision <= 1:
        raise CalibrationError(f"expected a precision above 0 and up to 1; got {precision!r}.")


def _checked(scores: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[Numbers, npt.NDArray[np.int64]]:
    values: Any = np.asarray(scores, np.float64)
    true: Any = np.asarray(labels)
    if values.ndim != 2 or true.shape != values.shape[:1] or values.shape[1] < 2:
        raise CalibrationError(
            f"expected scores of shape (n, C) with two classes or more, and n labels; got "
            f"{values.shape} and {true.shape}."
        )
    if len(true) < LEAST_PHOTOS:
        raise CalibrationError(
            f"expected at least {LEAST_PHOTOS} labelled photos, better some 100; got {len(true)}."
        )
    if not np.isfinite(values).all():
        raise CalibrationError("expected finite scores; got NaN or infinity.")
    if true.dtype.kind not in "iu" or true.min() < 0 or true.max() >= values.shape[1]:
        raise CalibrationError(
            f"expected labels as whole numbers from 0 to {values.shape[1] - 1}; got {true.dtype}, "
            f"{true.min()} to {true.max()}."
        )
    return values, true.astype(np.int64)

"""How sure: what the decision would be with other crops, or without some."""

from __future__ import annotations

import bisect
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossalign.errors import CrossalignError, DescriptionError
from crossalign.predictions import CropScores, Prediction
from crossalign.utils.validation import whole_number

_RESAMPLES_AT_A_TIME = 256
# Sums that differ by less than this share of them differ by rounding alone, and the label stays.
_TIE = 1e-12


@dataclass(frozen=True, slots=True)
class Flip:
    """The fewest crops without which the decision would be another.

    Args:
        crops: Their numbers, the most decisive first.
        becomes: The class that wins without them.
    """

    crops: tuple[int, ...]
    becomes: str


@dataclass(frozen=True, slots=True, eq=False)
class Stability:
    """How much a decision depends on which crops were taken.

    Leaving a crop out is exact, as if it had never been cut: the weights of the others add up to 1
    again, in the prototype form the norm is that of the pooled vector without it, and where only
    the k heaviest crops count, the next one moves up. Of adaptive crops, those that were taken are
    meant.

    Args:
        label: The predicted class.
        rival: The class it is compared with.
        margin: By how much its score is above the rival's.
        standard_error: Spread of the margin over the crops: its jackknife standard error, in units
            of the score. None where a margin without a crop is not defined.
        agreement: In what share of resampled crop sets (a bootstrap: as many crops, drawn from
            these with replacement) ``label`` is the best of all classes, 0 to 1.
        resamples: How many crop sets were drawn for it.
        margins_without: float64, shape (N,): the margin if crop i is left out. NaN where the other
            crops have no weight, as with a single crop.
        labels_without: The best of all classes if crop i is left out, N of them.
        flip: The fewest crops without which another class is the best, exactly; None if none are,
            as long as one crop is left.
    """

    label: str
    rival: str
    margin: float
    standard_error: float | None
    agreement: float
    resamples: int
    margins_without: npt.NDArray[np.float64]
    labels_without: tuple[str, ...]
    flip: Flip | None

    @property
    def flips_alone(self) -> tuple[int, ...]:
        """Numbers of the crops each of which, left out alone, changes the decision."""
        others = enumerate(self.labels_without)
        return tuple(index for index, label in others if label != self.label)

    def __repr__(self) -> str:
        error = "" if self.standard_error is None else f" ± {self.standard_error:.4f}"
        fewest = "no crops" if self.flip is None else f"{len(self.flip.crops)} crops"
        return (
            f"Stability({self.label!r} over {self.rival!r} by {self.margin:.4f}{error}; "
            f"agreement {self.agreement:.2f}; {fewest} would flip it)"
        )


def stability(
    prediction: Prediction | CropScores,
    against: str | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Stability:
    """Say how much a decision depends on which crops were taken.

    The standard error is the jackknife's (Quenouille 1956; Tukey 1958),
    ``sqrt((N - 1) / N sum_i (m_i - mean m)^2)`` with m_i the margin without crop i. It says how
    much the margin would change with other crops of the same kind, not how likely the label is
    right.

    Args:
        prediction: The prediction, or its :meth:`~crossalign.Prediction.crop_scores`.
        against: The class to compare with; the runner-up by default.
        resamples: How many crop sets to draw for the agreement.
        seed: For these draws.

    Returns:
        Spread, agreement and the crops that would flip the decision.

    Raises:
        DescriptionError: If there is no such class, or no other than the predicted one.
        ImageError: If the image could not be used, or must be read again and cannot.
        CrossalignError: If this prediction was not made by a classifier, or ``resamples`` is below
            1.
    """
    found = prediction if isinstance(prediction, CropScores) else prediction.crop_scores()
    whole_number("resamples", resamples, 1, error=CrossalignError)
    best = int(np.argmax(found.scores))
    other = _rival(found, best, against)
    ordered = _ordered(found)
    # Only the size of a margin needs the norms; which class is the best does not.
    without = ordered.without(ordered.terms)
    margins = (without[:, best] - without[:, other]) * _rescaling_without(ordered)
    return Stability(
        label=found.classes[best],
        rival=found.classes[other],
        margin=float(found.scores[best] - found.scores[other]),
        standard_error=_jackknife(margins),
        agreement=_agreement(ordered, best, resamples, seed),
        resamples=resamples,
        margins_without=margins,
        labels_without=tuple(found.classes[index] for index in _winners(without, best)),
        flip=_flip(ordered, found.classes, best),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Ordered:
    """Crops in the order in which they count, N of them, of which the first ``top`` do.

    ``places`` are their numbers, ``terms`` what they add to the scores if they count, shape (N, C);
    ``vectors`` are such that the length of their sum over the crops that count is the norm of the
    score, shape (N, D or 1).
    """

    places: npt.NDArray[np.intp]
    top: int
    terms: npt.NDArray[np.float64]
    vectors: npt.NDArray[np.float64]

    def without(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Sum the values of the crops that count, for each crop that is left out, by its number."""
        # One more than count: leaving out one of the others leaves out the last of these instead.
        sums = _sums_without(values[: self.top + 1])
        without = np.empty_like(values)
        without[self.places] = sums[np.minimum(np.arange(len(values)), self.top)]
        return without


def _ordered(found: CropScores) -> _Ordered:
    weights, terms, top = found.weights.astype(np.float64), found.terms, len(found.terms)
    places = np.arange(top)
    if found.reserve is not None:
        weights, terms, top = found.reserve.weights, found.reserve.terms, found.reserve.top
        # Those that count come first even where rounding makes others as heavy.
        places = np.lexsort((-weights, found.weights <= 0))
    vectors = weights[:, None] * (found.embeddings if found.form == "prototype" else 1.0)
    return _Ordered(places, top, terms[places], vectors[places])


def _rival(found: CropScores, best: int, against: str | None) -> int:
    label = found.classes[best]
    if len(found.classes) < 2:
        raise DescriptionError(f"expected another class to compare {label!r} with; there is none.")
    if against is None:
        others = found.scores.copy()
        others[best] = -np.inf
        return int(np.argmax(others))
    if against not in found.classes or against == label:
        raise DescriptionError(
            f"expected a class of this prediction other than {label!r}; got {against!r}."
        )
    return found.classes.index(against)


def _rescaling_without(crops: _Ordered) -> npt.NDArray[np.float64]:
    """By what to multiply a sum of terms without crop i, shape (N,), to have a score again.

    In the sum form the weights must add up to 1 again; in the prototype form the pooled vector must
    have unit length again. NaN where the other crops have no weight.
    """
    rest = np.linalg.norm(crops.without(crops.vectors), axis=1)
    whole = float(np.linalg.norm(crops.vectors[: crops.top].sum(axis=0)))
    return np.where(rest > 0, whole / np.where(rest > 0, rest, 1.0), np.nan)


def _sums_without(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Sum all rows but row i, for each i; without the cancellation of "all less one"."""
    sums = np.zeros_like(values)
    sums[1:] += np.cumsum(values[:-1], axis=0)
    sums[:-1] += np.cumsum(values[:0:-1], axis=0)[::-1]
    return sums


def _winners(sums: npt.NDArray[np.float64], best: int) -> npt.NDArray[np.intp]:
    """Best class of each row of sums over the classes; ``best`` where it ties."""
    top = sums.max(axis=1)
    ahead = top - sums[:, best] > _TIE * np.abs(top)
    return np.where(ahead, sums.argmax(axis=1), best)


def _jackknife(margins: npt.NDArray[np.float64]) -> float | None:
    count = len(margins)
    if count < 2 or not np.isfinite(margins).all():
        return None
    return float(np.sqrt((count - 1) * np.var(margins)))


def _agreement(crops: _Ordered, best: int, resamples: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    count = len(crops.terms)
    # Draws are by the crops' own numbers, so that they do not depend on the weighting.
    terms = np.empty_like(crops.terms)
    terms[crops.places] = crops.terms
    agreed = 0
    for start in range(0, resamples, _RESAMPLES_AT_A_TIME):
        draws = min(_RESAMPLES_AT_A_TIME, resamples - start)
        times = rng.multinomial(count, np.full(count, 1.0 / count), size=draws)
        if crops.top < count:
            drawn = times[:, crops.places]
            before = np.cumsum(drawn, axis=1) - drawn
            times[:, crops.places] = np.clip(crops.top - before, 0, drawn)
        agreed += int((_winners(times @ terms, best) == best).sum())
    return agreed / resamples


def _flip(crops: _Ordered, classes: tuple[str, ...], best: int) -> Flip | None:
    """Find the fewest crops to leave out.

    If r of N crops are left out, any m = min(k, N - r) of the first k + r can be those that count.
    Against one rival, the sign of the lead over them is that of the sum of their differences, which
    is least for the m smallest. So the least r for which these add up to less than zero, against
    any rival, leaves out the fewest.
    """
    count, top = len(crops.terms), crops.top
    lead = crops.terms[:, [best]] - crops.terms
    sizes = np.abs(crops.terms[:, best])
    # As long as k count, the more crops there are to choose from, the smaller their sum.
    choices = range(top + 1, count + 1)
    place = bisect.bisect_left(
        choices, True, key=lambda seen: bool(_smallest_sums(lead[:seen], sizes)[2][top - 1].any())
    )
    found = place < len(choices)
    order, left, behind = _smallest_sums(lead[: choices[place] if found else count], sizes)
    rows = np.flatnonzero(behind[: top if found else top - 1].any(axis=1))
    if not len(rows):
        return None
    kept = int(rows[-1]) + 1
    rivals = np.flatnonzero(behind[kept - 1])
    rival = rivals[np.argmin(left[kept - 1, rivals])]
    rest, out = order[:kept, rival], order[kept:, rival][::-1]
    becomes = int(_winners(crops.terms[rest].sum(axis=0)[None], best)[0])
    return Flip(tuple(crops.places[out].tolist()), classes[becomes])


def _smallest_sums(
    lead: npt.NDArray[np.float64], sizes: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Order each column, and add up its 1, 2, ... smallest; say which sums are below zero."""
    order = np.argsort(lead, axis=0, kind="stable")
    left = np.cumsum(np.take_along_axis(lead, order, axis=0), axis=0)
    return order, left, left < -_TIE * np.cumsum(sizes[order], axis=0)

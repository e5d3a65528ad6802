"""How many crops are enough: a sequential test that stops when the decision is settled.

The full answer takes all N crops of an image. Here the crops come in an order that tells most
first, and after each round the test says how likely the crops still to come are to change the
decision. It knows arrays alone, like :mod:`crossalign.alignment`, and uses its symbols: x is the
whole image, x_i a crop, t_c the pooled vector of class c.

**The question.** In the full answer class a beats class b if ``sum_i u_i d_i > 0`` over all crops,
with weights ``u_i = exp(S_c <x, x_i>)`` and margins ``d_i = <x_i, t_a - t_b>``; the length of the
pooled image vector does not matter. After n crops part of the sum is known. :attr:`Trial.risk` is
the predictive probability that the whole sum makes another class the winner than the crops so far
do, added up over the rivals. It is a probability of *disagreeing with the full answer*, so stopping
the first time it is small keeps the expected disagreement as small, however often one looks, as far
as the prediction is calibrated; ``benchmarks/adaptive.py`` measures that.

**The prediction.** Boxes are known before a pixel is encoded, and crops that overlap look alike.
Margins are predicted by kriging: a Gaussian process over boxes whose correlation is the squared
overlap ``(|A & B| / sqrt(|A| |B|))^2`` (a valid kernel: the overlap is an inner product of
indicator functions), plus a part of each crop's own. The whole image is one more box, known from
the start, and everything is told as the difference from it, so the level needs no prior. Each
rival's variance is shrunk to one pooled over the rivals in proportion to ``|t_a - t_b|^2``, with
Student's t for what remains unknown; a class with the leader's very vector can never overtake it.
The cosines ``<x, x_i>`` follow the same process with a slope, because smaller crops resemble the
whole less, and the weights of crops to come are drawn from it: a heavy one may still come.

**One crop that is like no other.** The process above knows crops that are like their neighbours. A
small object in one crop is not: nothing in the others tells of it. So a decision that one crop to
come could change, if it were the very vector of a rival and as heavy as the heaviest that is
expected, is not settled by the others' agreement; of all crops that one is as likely to be among
those to come as their share says, and the risk is at least that share.

**The order.** Crops that tell most about the full sum come first: large ones where weights are
sharp, spread ones where they are flat. It depends on boxes and crop scale alone, so the first n
crops of an image are the same whatever the classes and the rule.
"""

from __future__ import annotations

import functools
import math
import numbers
import warnings
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from crossalign.alignment.checks import _check_scale
from crossalign.alignment.crop_process import (
    COSINE_SPREAD,
    MAX_BUDGET,
    CropOrder,
    Floats,
    normal_draws,
    order_crops,
)
from crossalign.errors import AlignmentError, MethodError
from crossalign.utils.validation import whole_number

__all__ = ["Adaptive", "CropOrder", "SequentialTest", "Trial", "order_crops"]

Vectors: TypeAlias = npt.NDArray[np.float32] | npt.NDArray[np.float64]

# How many crops the pooled variance of the margins, and the prior spread of the cosines, count for.
_POOLED_CROPS = 4.0
_COSINE_CROPS = 4.0


@dataclass(frozen=True, slots=True)
class Adaptive:
    """A budget of crops that is only spent where it can change the decision.

    Args:
        risk: Accepted probability that the answer differs from that of all ``maximum`` crops,
            between 0 and 1.
        minimum: Crops that are always taken, at least 1.
        step: Crops in each further round, at least 1. Larger rounds ask the test less often.
        maximum: The full budget N, from ``minimum`` to 500.

    Raises:
        MethodError: If a value is out of its range.

    Example:
        >>> Adaptive(risk=0.05).maximum
        60
    """

    risk: float = 0.01
    minimum: int = 4
    step: int = 2
    maximum: int = 60

    def __post_init__(self) -> None:
        risk = self.risk
        if not isinstance(risk, numbers.Real) or isinstance(risk, bool) or not 0 < risk < 1:
            raise MethodError(
                "expected risk as a probability between 0 and 1, such as 0.01 for one decision in "
                f"a hundred; got {risk!r}."
            )
        object.__setattr__(self, "risk", float(risk))
        for name, least in (("minimum", 1), ("step", 1), ("maximum", self.minimum)):
            number = whole_number(name, getattr(self, name), least, MAX_BUDGET, error=MethodError)
            object.__setattr__(self, name, number)

    @classmethod
    def of(cls, maximum: int, risk: float | None = None) -> Adaptive:
        """Make the usual rule for a method's own number of crops.

        Args:
            maximum: The full budget N, from 1 to 500.
            risk: Accepted probability of another answer; the usual one by default.

        Returns:
            The rule; a budget below the usual minimum is its own minimum.

        Raises:
            MethodError: If a value is out of its range.

        Example:
            >>> Adaptive.of(100, risk=0.05)
            Adaptive(risk=0.05, minimum=4, step=2, maximum=100)
        """
        usual = cls()
        return cls(
            usual.risk if risk is None else risk,
            minimum=max(1, min(usual.minimum, maximum)),
            maximum=maximum,
        )


class SequentialTest:
    """A test of how many crops are enough to decide between some classes. Safe to share.

    Args:
        classes: Pooled class vectors t, float32 or float64, shape (C, D).
        scale: Crop scale S_c.
        rule: When to stop.

    Raises:
        AlignmentError: If the vectors are not a matrix of finite floats, or the scale not finite.

    Example:
        >>> import numpy as np
        >>> from crossalign.images.crops import CropSpec, boxes, shown
        >>> test = SequentialTest(np.eye(3), scale=50.0)
        >>> spec = CropSpec(test.rule.maximum)
        >>> order = order_crops(boxes(spec, (64, 48)), shown((64, 48)), scale=50.0)
        >>> trial = test.start(np.array([1.0, 0.0, 0.0]), order)
        >>> while not trial.settled:
        ...     wanted = trial.wanted  # cut and encode these boxes
        ...     trial.add(np.tile([0.9, 0.3, 0.3], (len(wanted), 1)))
        >>> trial.leader, trial.taken, trial.risk < 0.01
        (0, 4, True)
    """

    def __init__(self, classes: Vectors, scale: float, rule: Adaptive | None = None) -> None:
        self.classes = _check_vectors("classes", classes, 2)
        self.scale = _check_scale(scale)
        self.rule = Adaptive() if rule is None else rule
        self._apart = functools.lru_cache(maxsize=256)(self._squared_distances)

    def start(self, image: Vectors, order: CropOrder) -> Trial:
        """Begin with one image.

        Args:
            image: Embedding x of the whole image, shape (D,).
            order: Its crops, from :func:`order_crops` with the same crop scale.

        Returns:
            A trial that has seen no crop yet.

        Raises:
            AlignmentError: If the embedding does not fit the classes.
        """
        _check_vectors("image", image, 1, self.classes.shape[1])
        return Trial(self, image, order)

    def apart(self, leader: int) -> Floats:
        """Squared distances of all class vectors from one, 0 where they are the same; shape (C,).

        Args:
            leader: Number of the class.

        Returns:
            Non-negative; exactly 0 for the class itself and those with its very vector.
        """
        return self._apart(leader)

    def _squared_distances(self, leader: int) -> Floats:
        difference = self.classes - self.classes[leader]
        distances = np.einsum("cd,cd->c", difference, difference).astype(np.float64)
        # Closer than rounding can tell is the same.
        return np.where(distances > 1e-12 * distances.max(), distances, 0.0)


class Trial:
    """One image on its way to a decision; made by :meth:`SequentialTest.start`.

    Args:
        test: The classes.
        image: Embedding of the whole image, shape (D,).
        order: Its crops.
    """

    def __init__(self, test: SequentialTest, image: Vectors, order: CropOrder) -> None:
        self.order = order
        self.risk = 1.0
        """Probability that the full answer is another class than :attr:`leader`, 0 to 1."""
        self.taken = 0
        """How many crops were added: the first so many of the order."""
        self._test = test
        self._image = image
        self._whole = _similarities(image[None], test.classes)[0]
        self._total = np.zeros(len(test.classes))  # sum of u_i <x_i, t_c>, over e^_top
        self._top = -math.inf
        # What each crop tells that those before it did not: rows of the factor's inverse times the
        # differences from the whole image, for the classes' similarities and for the cosines.
        self._news = np.empty((0, len(test.classes)))
        self._cosine_news = np.empty(0)
        self._slope_news = np.empty(0)

    @property
    def leader(self) -> int:
        """Number of the winner by the crops so far; by the whole image before the first."""
        best = int(np.argmax(self._total if self.taken else self._whole))
        # Of classes with the same vector the first, whatever the last bits of their sums say.
        return int(np.argmin(self._test.apart(best)))

    @property
    def settled(self) -> bool:
        """Whether the decision is safe enough, or the budget spent."""
        rule, budget = self._test.rule, len(self.order.indices)
        enough = self.taken >= rule.minimum and self.risk <= rule.risk
        return enough or self.taken == budget

    @property
    def wanted(self) -> npt.NDArray[np.int64]:
        """Indices of the boxes to encode next, in the order to add them; none once settled."""
        rule = self._test.rule
        if self.settled:
            return np.empty(0, np.int64)
        stop = self.taken + rule.step if self.taken >= rule.minimum else rule.minimum
        return self.order.indices[self.taken : stop]

    def add(self, crops: Vectors) -> None:
        """Take in the next crops of the order, and work out the risk anew.

        Args:
            crops: Embeddings of :attr:`wanted`, or of any number of crops next in the order, shape
                (n, D).

        Raises:
            AlignmentError: If the shape does not fit, or there are more than the order has left.
        """
        _check_vectors("crops", crops, 2, len(self._image))
        first, last = self.taken, self.taken + len(crops)
        if last > len(self.order.indices):
            raise AlignmentError(
                f"expected at most {len(self.order.indices) - first} more crops of the order's "
                f"{len(self.order.indices)}; got {len(crops)}."
            )
        similarities = _similarities(crops, self._test.classes)
        cosines = _similarities(crops, self._image[None])[:, 0]
        self._weigh(similarities, cosines)
        factor, apart = self.order.factor[first:last, :last], self.order.apart[first:last]
        self._news = _forward(factor, similarities - self._whole, self._news)
        self._cosine_news = _forward(factor, 1.0 - cosines, self._cosine_news)
        self._slope_news = _forward(factor, apart, self._slope_news)
        self.taken = last
        self.risk = self._flip_probability() if last < len(self.order.indices) else 0.0

    def _weigh(self, similarities: Floats, cosines: Floats) -> None:
        exponents = self._test.scale * (cosines - 1.0)
        top = max(self._top, float(exponents.max()))
        if self.taken:
            self._total *= math.exp(self._top - top)
        self._total += _combine(np.exp(exponents - top), similarities)
        self._top = top

    def _flip_probability(self) -> float:
        leader = self.leader
        distances = self._test.apart(leader)
        rivals = np.flatnonzero(distances)
        if not len(rivals):
            return 0.0
        news = self._news[:, leader, None] - self._news[:, rivals]
        variances, freedom = _pooled_variances(news, distances[rivals])
        weights, seen = self._weights_to_come()
        known = self.order.factor[self.taken :, : self.taken]
        fresh = self.order.factor[self.taken :, self.taken :]
        margins = (
            np.outer(seen, self._total[leader] - self._total[rivals])
            + np.outer(weights.sum(axis=1), self._whole[leader] - self._whole[rivals])
            + np.einsum("mn,nc->mc", weights @ known, news)
        )
        spreads = np.sqrt(np.outer(np.sum((weights @ fresh) ** 2, axis=1), variances))
        risk = float(_overtaken(margins, spreads, freedom).mean(axis=0).sum())
        # A crop that is the rival's very vector has a margin of -|t_a - t_c|^2 / 2.
        most = weights.max(axis=1).mean() * distances[rivals] / 2.0
        if (margins.mean(axis=0) < most).any():
            risk = max(risk, weights.shape[1] / len(self.order.indices))
        return min(1.0, risk)

    def _weights_to_come(self) -> tuple[Floats, Floats]:
        """Draw the weights of the crops to come, and the factor of the weights so far.

        Returns:
            Weights of shape (draws, N - n), and factors of shape (draws,) for :attr:`_total`: the
            largest weight of each draw, of a crop seen or to come, is 1.
        """
        taken, scale = self.taken, self._test.scale
        to_come = len(self.order.indices) - taken
        if scale == 0.0:
            return np.ones((1, to_come)), np.ones(1)
        known, fresh = self.order.factor[taken:, :taken], self.order.factor[taken:, taken:]
        evidence = max(float(self._slope_news @ self._slope_news), 1e-12)
        slope = float(self._slope_news @ self._cosine_news) / evidence
        rest = self._cosine_news - slope * self._slope_news
        prior = _COSINE_CROPS * (COSINE_SPREAD * slope) ** 2
        spread = math.sqrt((prior + float(rest @ rest)) / (_COSINE_CROPS + taken - 1))
        leverage = (self.order.apart[taken:] - known @ self._slope_news) / math.sqrt(evidence)
        draws = normal_draws(len(self.order.indices) + 1)
        noise = draws[:, taken:-1] @ fresh.T + np.outer(draws[:, -1], leverage)
        losses = slope * self.order.apart[taken:] + known @ rest + spread * noise
        exponents = -scale * np.clip(losses, 0.0, 2.0)
        tops = np.maximum(exponents.max(axis=1), self._top)
        return np.exp(exponents - tops[:, None]), np.exp(self._top - tops)


# --------------------------------------------------------------------------------------------------


# The products over classes are just large enough for a BLAS library to wake its threads, and small
# enough that waiting for them, with the encoder's threads at work, takes longer than the product.
# numpy.einsum stays in the calling thread; it also treats equal classes alike to the last bit.


def _similarities(crops: Vectors, classes: Vectors) -> Floats:
    """Inner products of every crop with every class, shape (n, C)."""
    products = np.einsum("nd,cd->nc", crops, classes)
    return np.asarray(products, np.float64)


def _combine(shares: Floats, rows: Floats) -> Floats:
    """Sum rows, shape (n, C) or (n,), by shares, shape (n,)."""
    sums: Floats = np.einsum("n,n...->...", shares, rows)
    return sums


def _forward(factor: Floats, values: Floats, news: Floats) -> Floats:
    """Continue a forward substitution: rows that solve ``factor @ rows = values``."""
    rows = np.concatenate([news, np.empty_like(values)])
    for index, value in enumerate(values):
        place = len(news) + index
        told = _combine(factor[index, :place], rows[:place])
        rows[place] = (value - told) / factor[index, place]
    return rows


def _pooled_variances(news: Floats, distances: Floats) -> tuple[Floats, float]:
    """Variance of each rival's margins, shrunk to that of the others, and degrees of freedom."""
    crops, rivals = news.shape
    sums = np.sum(news**2, axis=0) / distances
    prior = _POOLED_CROPS * (1.0 - 1.0 / rivals)
    others = (sums.sum() - sums) / (max(rivals - 1, 1) * crops)
    freedom = prior + crops
    return np.maximum(prior * others + sums, 0.0) / freedom * distances, freedom


def _overtaken(margins: Floats, spreads: Floats, freedom: float) -> Floats:
    """Probability that margins with such spreads are negative: Student's t distribution.

    Wallace's (1959) transformation to a normal quantile, whose tail is formula 7.1.26 of Abramowitz
    and Stegun: together within 0.01 of the exact probability for two degrees of freedom and within
    0.001 for eight.
    """
    certain = spreads == 0.0
    # Beyond any doubt is far enough: squares of tiny spreads' ratios would overflow.
    ratios = np.minimum(np.abs(margins), 1e9 * spreads) / np.where(certain, 1.0, spreads)
    normal = np.sqrt(freedom * np.log1p(ratios**2 / freedom))
    z = normal * ((8.0 * freedom + 1.0) / (8.0 * freedom + 3.0)) / math.sqrt(2.0)
    y = 1.0 / (1.0 + 0.3275911 * z)
    series = 1.421413741 + y * (-1.453152027 + y * 1.061405429)
    tails = 0.5 * y * (0.254829592 + y * (-0.284496736 + y * series)) * np.exp(-z * z)
    behind = margins < 0.0
    chances: Floats = np.where(certain, behind, np.where(behind, 1.0 - tails, tails))
    return chances


# --------------------------------------------------------------------------------------------------
# At the boundary: expected, got, remedy.


def _check_vectors(name: str, vectors: Any, ndim: int, dim: int | None = None) -> Any:
    shape = ("(D,)", "(n, D)")[ndim - 1]
    kind = getattr(vectors, "dtype", None)
    fits = isinstance(vectors, np.ndarray) and vectors.ndim == ndim and vectors.size > 0
    if not fits or kind not in (np.float32, np.float64) or dim not in (None, vectors.shape[-1]):
        wanted = f"{shape} with D = {dim}" if dim else shape
        raise AlignmentError(
            f"expected '{name}' as a NumPy array of float32 or float64 of shape {wanted}; got "
            f"{kind or type(vectors).__name__} of shape {np.shape(vectors)}."
        )
    if not np.isfinite(vectors).all():
        raise AlignmentError(f"expected finite numbers; '{name}' holds NaN or infinity.")
    return vectors


_RENAMED = {"Contest": "SequentialTest", "Plan": "CropOrder", "plan": "order_crops"}


def __getattr__(name: str) -> Any:
    """Give what had another name in the last release, with a DeprecationWarning."""
    if name not in _RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    new = _RENAMED[name]
    message = f"{__name__}.{name} is now {new}; the old name goes with the next release"
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    return globals()[new]

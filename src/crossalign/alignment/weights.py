"""Other ways to weigh crops and descriptions than the published softmax, as data by name.

All take what :func:`crossalign.alignment.crop_weights` takes and give weights of the same shape,
non-negative and adding up to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

import array_api_compat

from crossalign.alignment import scoring
from crossalign.alignment.checks import Array, _check_scale
from crossalign.errors import AlignmentError
from crossalign.utils.validation import one_of, whole_number

Weighting: TypeAlias = Literal["softmax", "uniform", "top-k", "max", "entropy"]
"""``softmax``: by likeness to the anchor, as published. ``uniform``: all alike. ``top-k``: the
softmax over the k most alike, the others 0. ``max``: the most alike alone. ``entropy``: by how
surely a member points to one class, ``softmax(-scale * H)`` with H the entropy of its distribution
over the classes, as a share of the largest possible."""

WEIGHTINGS: tuple[Weighting, ...] = get_args(Weighting)

CLASS_TEMPERATURE = 0.01
"""A member's distribution over classes is ``softmax(cosine / 0.01)``, as CLIP was trained."""


def weigh(
    weighting: str,
    anchor: Array,
    members: Array,
    scale: float,
    *,
    top: int = 10,
    classes: Array | None = None,
) -> Array:
    """Weigh members, crops or descriptions, in a way that has a name.

    Args:
        weighting: One of ``WEIGHTINGS``.
        anchor: Unit embeddings of the whole images or the label prompts, shape (..., D).
        members: Unit embeddings of crops or descriptions, shape (..., N, D).
        scale: S_c or S_d; the ways that need none leave it aside.
        top: For ``top-k``.
        classes: Unit embeddings of the classes, shape (C, D), for ``entropy``.

    Returns:
        Shape (..., N), non-negative, each row adding up to 1.

    Raises:
        AlignmentError: If the way is unknown, arrays disagree, or something it needs is missing.

    Example:
        >>> import numpy as np
        >>> weigh("max", np.array([1.0, 0.0]), np.eye(2), scale=1.0)
        array([1., 0.])
    """
    name = one_of("weighting", weighting, WEIGHTINGS, error=AlignmentError)
    return _WAYS[name](anchor, members, scale, top, classes)


def support_size(weighting: str, top: int) -> int | None:
    """Say how many members can have a weight above 0.

    Args:
        weighting: One of ``WEIGHTINGS``.
        top: For ``top-k``.

    Returns:
        The number; None where all can.

    Example:
        >>> support_size("top-k", 5), support_size("max", 5), support_size("softmax", 5)
        (5, 1, None)
    """
    return {"top-k": top, "max": 1}.get(weighting)


def _softmax(anchor: Array, members: Array, scale: float, _top: int, _classes: Any) -> Array:
    return scoring.crop_weights(anchor, members, scale)


def _uniform(anchor: Array, members: Array, _scale: float, _top: int, _classes: Any) -> Array:
    return scoring.crop_weights(anchor, members, 0.0)


def _top_k(anchor: Array, members: Array, scale: float, top: int, _classes: Any) -> Array:
    whole_number("top", top, 1, error=AlignmentError)
    weights = scoring.crop_weights(anchor, members, scale)
    # The scale may be so large that weights vanish; order by likeness itself, with a scale of 1.
    likeness = scoring.crop_weights(anchor, members, 1.0 if scale >= 0 else -1.0)
    xp = array_api_compat.array_namespace(weights)
    order = xp.argsort(-likeness, axis=-1, stable=True)
    place = xp.argsort(order, axis=-1, stable=True)
    kept = xp.where(place < top, weights, xp.zeros_like(weights))
    return kept / xp.sum(kept, axis=-1, keepdims=True)


def _max(anchor: Array, members: Array, scale: float, _top: int, classes: Any) -> Array:
    return _top_k(anchor, members, scale, 1, classes)


def _entropy(anchor: Array, members: Array, scale: float, _top: int, classes: Any) -> Array:
    if classes is None:
        raise AlignmentError(
            "weighting by entropy needs the embeddings of the classes, shape (C, D); got None."
        )
    uniform = scoring.crop_weights(anchor, members, 0.0)  # and checks the arrays
    count = classes.shape[0]
    if count == 1:
        return uniform
    xp = array_api_compat.array_namespace(members, classes)
    logits = scoring.scores(members, classes) / CLASS_TEMPERATURE
    scale = _check_scale(scale)
    logits = logits - xp.max(logits, axis=-1, keepdims=True)
    total = xp.sum(xp.exp(logits), axis=-1, keepdims=True)
    logs = logits - xp.log(total)
    entropy = -xp.sum(xp.exp(logs) * logs, axis=-1) / math.log(count)
    exponents = -scale * entropy
    weights = xp.exp(exponents - xp.max(exponents, axis=-1, keepdims=True))
    return weights / xp.sum(weights, axis=-1, keepdims=True)


_WAYS: dict[str, Callable[[Array, Array, float, int, Any], Array]] = {
    "softmax": _softmax,
    "uniform": _uniform,
    "top-k": _top_k,
    "max": _max,
    "entropy": _entropy,
}

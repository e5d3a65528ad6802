"""The mathematics of weighted visual-text cross alignment, on arrays alone.

Everything here takes NumPy arrays or PyTorch tensors (``float32`` or ``float64``, all arguments of
a call alike) and gives back arrays of the same kind, dtype and device. Nothing here knows of files,
images or models. Embeddings are expected at unit length: pass what an encoder gives, or apply
:func:`unit` first, which is safe for any finite vector. Symbols follow the paper (Li et al., ICML
2024, arXiv 2406.02915):

======================  ==========================================  =============
``x``, ``x_i``          whole image, crop ``i``                     (D), (N, D)
``y``, ``y_j``          label prompt, description ``j`` of a class  (D), (M, D)
``s_ij = <x_i, y_j>``   similarity matrix                           (N, M)
``w = softmax(S_c <x, x_i>)``  crop weights                         (N)
``v = softmax(S_d <y, y_j>)``  description weights                  (M)
======================  ==========================================  =============

The score comes in two forms. ``"sum"`` is the paper's formula, ``sum_ij w_i v_j s_ij``.
``"prototype"``, which the published code computes and its tables show, is that sum divided by
``|sum_i w_i x_i| |sum_j v_j y_j|``: the cosine of the two pooled vectors. Both are evaluated as one
dot product of pooled vectors, and in both the terms of :func:`contributions` add up to the score.

Leading dimensions, written ``...``, are batches throughout.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, Literal, TypeAlias, get_args

from crossalign.alignment.checks import (
    Array,
    _check_members,
    _check_ndim,
    _check_offsets,
    _check_same_batch,
    _check_same_dim,
    _check_scale,
    _check_weights,
    _namespace,
)
from crossalign.errors import AlignmentError
from crossalign.utils.validation import one_of

Form: TypeAlias = Literal["sum", "prototype"]
"""How the weighted sum becomes a score; see the module's text."""

FORMS: tuple[Form, ...] = get_args(Form)

PUBLISHED_CROP_SCALE = 54.598148345947266
"""S_c of the published code: exp(4) in single precision."""

PUBLISHED_DESCRIPTION_SCALE = 7.389056205749512
"""S_d of the published code: exp(2) in single precision."""


def unit(vectors: Array) -> Array:
    """Scale vectors to unit Euclidean length along the last axis.

    Safe for every finite input: components whose squares would overflow or vanish are first scaled
    by a power of two, which costs no precision. A zero vector stays zero.

    Args:
        vectors: Shape (..., D).

    Returns:
        Shape (..., D), each vector of length 1 (or 0 where it was all zeros).

    Raises:
        AlignmentError: If the array is not a finite float32 or float64 array of one axis or more.

    Example:
        >>> import numpy as np
        >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]]))
        array([[0.6, 0.8],
               [0. , 0. ]])
    """
    xp = _namespace(vectors=vectors)
    _check_ndim(1, vectors=vectors)
    return _unit(xp, vectors)


def crop_weights(image: Array, crops: Array, scale: float) -> Array:
    """Weigh crops by how much they resemble the whole image: ``w = softmax(S_c <x, x_i>)``.

    Args:
        image: Unit embeddings of the whole images, shape (..., D).
        crops: Unit embeddings of their crops, shape (..., N, D), N >= 1.
        scale: S_c; 0 weighs all crops alike, the published value is ``PUBLISHED_CROP_SCALE``.

    Returns:
        Shape (..., N), non-negative, each row adding up to 1; finite whatever the scale.

    Raises:
        AlignmentError: If shapes or dtypes disagree, or a value is not finite.

    Example:
        >>> import numpy as np
        >>> image, crops = np.array([1.0, 0.0]), np.array([[1.0, 0.0], [0.0, 1.0]])
        >>> crop_weights(image, crops, scale=np.log(3.0)).round(3)
        array([0.75, 0.25])
    """
    xp = _namespace(image=image, crops=crops)
    _check_members("image", image, "crops", crops)
    return _softmax_weights(xp, image, crops, scale)


def description_weights(label: Array, descriptions: Array, scale: float) -> Array:
    """Weigh descriptions by how much they resemble the label: ``v = softmax(S_d <y, y_j>)``.

    Args:
        label: Unit embeddings of the label prompts, shape (..., D).
        descriptions: Unit embeddings of the classes' descriptions, shape (..., M, D), M >= 1.
        scale: S_d; 0 weighs all alike, the published value is ``PUBLISHED_DESCRIPTION_SCALE``.

    Returns:
        Shape (..., M), non-negative, each row adding up to 1; finite whatever the scale.

    Raises:
        AlignmentError: If shapes or dtypes disagree, or a value is not finite.
    """
    xp = _namespace(label=label, descriptions=descriptions)
    _check_members("label", label, "descriptions", descriptions)
    return _softmax_weights(xp, label, descriptions, scale)


def similarity_matrix(crops: Array, descriptions: Array) -> Array:
    """Let every crop meet every description: ``s_ij = <x_i, y_j>``.

    Args:
        crops: Unit embeddings, shape (..., N, D).
        descriptions: Unit embeddings, shape (..., M, D).

    Returns:
        Shape (..., N, M), values in [-1, 1] up to rounding.

    Raises:
        AlignmentError: If shapes or dtypes disagree, or a value is not finite.

    Example:
        >>> import numpy as np
        >>> similarity_matrix(np.eye(2), np.array([[0.6, 0.8]]))
        array([[0.6],
               [0.8]])
    """
    xp = _namespace(crops=crops, descriptions=descriptions)
    _check_ndim(2, crops=crops, descriptions=descriptions)
    _check_same_dim("crops", crops, "descriptions", descriptions)
    _check_same_batch("crops", crops, "descriptions", descriptions)
    return xp.matmul(crops, xp.matrix_transpose(descriptions))


def pool(weights: Array, embeddings: Array, form: Form = "prototype") -> Array:
    """Reduce weighted embeddings to one vector: ``sum_i w_i x_i``.

    Args:
        weights: Shape (..., N).
        embeddings: Shape (..., N, D).
        form: ``"sum"`` leaves the vector as it is, ``"prototype"`` scales it to unit length.

    Returns:
        Shape (..., D).

    Raises:
        AlignmentError: If shapes or dtypes disagree, a value is not finite, or the form is unknown.
    """
    xp = _namespace(weights=weights, embeddings=embeddings)
    _check_weights("weights", weights, "embeddings", embeddings)
    one_of("score form", form, FORMS, error=AlignmentError)
    pooled = _weighted_sum(xp, weights, embeddings)
    return _unit(xp, pooled) if form == "prototype" else pooled


def image_vectors(image: Array, crops: Array, *, scale: float, form: Form = "prototype") -> Array:
    """Weigh and pool the crops of each image: the image side of the score.

    Args:
        image: Unit embeddings of the whole images, shape (..., D).
        crops: Unit embeddings of their crops, shape (..., N, D).
        scale: Crop scale S_c.
        form: Score form.

    Returns:
        Shape (..., D).

    Raises:
        AlignmentError: If shapes or dtypes disagree, a value is not finite, or the form is unknown.
    """
    return pool(crop_weights(image, crops, scale), crops, form)


def class_vectors(
    labels: Array,
    descriptions: Array,
    offsets: Any,
    *,
    scale: float,
    form: Form = "prototype",
) -> Array:
    """Weigh and pool the descriptions of each class: the class side of the score.

    Classes may have different numbers of descriptions, so these lie one class after the other.

    Args:
        labels: Unit embeddings of the label prompts, shape (C, D).
        descriptions: Unit embeddings of all descriptions, shape (sum of M_c, D).
        offsets: C + 1 rising integers; class c owns rows ``offsets[c]:offsets[c + 1]``.
        scale: Description scale S_d.
        form: Score form.

    Returns:
        Shape (C, D), one row per class.

    Raises:
        AlignmentError: If shapes or dtypes disagree, a class owns no row, or a value is not finite.

    Example:
        >>> import numpy as np
        >>> labels = np.array([[1.0, 0.0], [0.0, 1.0]])
        >>> descriptions = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
        >>> class_vectors(labels, descriptions, [0, 2, 3], scale=0.0, form="sum")
        array([[0.8, 0.4],
               [0. , 1. ]])
    """
    xp = _namespace(labels=labels, descriptions=descriptions)
    one_of("score form", form, FORMS, error=AlignmentError)
    _check_ndim(2, labels=labels, descriptions=descriptions)
    _check_same_dim("labels", labels, "descriptions", descriptions)
    bounds = _check_offsets(offsets, labels.shape[0], descriptions.shape[0])
    rows = []
    for index, (start, stop) in enumerate(itertools.pairwise(bounds)):
        members = descriptions[start:stop, :]
        weights = _softmax_weights(xp, labels[index, :], members, scale)
        rows.append(_weighted_sum(xp, weights, members))
    pooled = xp.stack(rows)
    return _unit(xp, pooled) if form == "prototype" else pooled


def scores(images: Array, classes: Array) -> Array:
    """Score every image against every class: one dot product of pooled vectors.

    Args:
        images: From :func:`image_vectors`, shape (..., D).
        classes: From :func:`class_vectors`, shape (C, D).

    Returns:
        Shape (..., C). In both forms values lie in [-1, 1] up to rounding.

    Raises:
        AlignmentError: If shapes or dtypes disagree, or a value is not finite.
    """
    xp = _namespace(images=images, classes=classes)
    _check_ndim(1, images=images)
    _check_ndim(2, classes=classes)
    _check_same_dim("images", images, "classes", classes)
    if images.ndim == 1:
        return xp.matmul(classes, images)
    return xp.matmul(images, xp.matrix_transpose(classes))


def contributions(
    crops: Array,
    crop_weights: Array,
    descriptions: Array,
    description_weights: Array,
    form: Form = "prototype",
) -> Array:
    """Take the score of one class apart: what each (crop, description) pair adds to it.

    Args:
        crops: Unit embeddings, shape (..., N, D).
        crop_weights: w, shape (..., N).
        descriptions: Unit embeddings of one class's descriptions, shape (..., M, D).
        description_weights: v, shape (..., M).
        form: Score form.

    Returns:
        Shape (..., N, M): ``w_i v_j s_ij``, in the prototype form divided by
        ``|sum_i w_i x_i| |sum_j v_j y_j|``. The terms add up to the score, up to rounding.

    Raises:
        AlignmentError: If shapes or dtypes disagree, a value is not finite, or the form is unknown.

    Example:
        >>> import numpy as np
        >>> terms = contributions(
        ...     np.eye(2), np.array([0.5, 0.5]), np.array([[1.0, 0.0]]), np.array([1.0]), "sum"
        ... )
        >>> terms
        array([[0.5],
               [0. ]])
    """
    xp = _namespace(
        crops=crops,
        crop_weights=crop_weights,
        descriptions=descriptions,
        description_weights=description_weights,
    )
    _check_weights("crop_weights", crop_weights, "crops", crops)
    _check_weights("description_weights", description_weights, "descriptions", descriptions)
    _check_same_dim("crops", crops, "descriptions", descriptions)
    one_of("score form", form, FORMS, error=AlignmentError)
    terms = similarity_matrix(crops, descriptions)
    terms = terms * crop_weights[..., :, None] * description_weights[..., None, :]
    if form == "sum":
        return terms
    image_norm = _norm(xp, _weighted_sum(xp, crop_weights, crops))
    class_norm = _norm(xp, _weighted_sum(xp, description_weights, descriptions))
    return _divide_or_zero(xp, terms, (image_norm * class_norm)[..., None, None])


def crop_contributions(
    crops: Array, crop_weights: Array, classes: Array, form: Form = "prototype"
) -> Array:
    """Take the scores of all classes apart by crop: what each crop adds to each of them.

    These are the terms of :func:`contributions`, summed over each class's descriptions.

    Args:
        crops: Unit embeddings, shape (..., N, D).
        crop_weights: w, shape (..., N).
        classes: From :func:`class_vectors` in the same form, shape (C, D).
        form: Score form.

    Returns:
        Shape (..., N, C), adding up over the crops to the scores, up to rounding.

    Raises:
        AlignmentError: If shapes or dtypes disagree, a value is not finite, or the form is unknown.

    Example:
        >>> import numpy as np
        >>> crop_contributions(np.eye(2), np.array([0.25, 0.75]), np.eye(2), "sum")
        array([[0.25, 0.  ],
               [0.  , 0.75]])
    """
    xp = _namespace(crops=crops, crop_weights=crop_weights, classes=classes)
    _check_weights("crop_weights", crop_weights, "crops", crops)
    _check_ndim(2, classes=classes)
    _check_same_dim("crops", crops, "classes", classes)
    one_of("score form", form, FORMS, error=AlignmentError)
    terms = xp.matmul(crops, xp.matrix_transpose(classes)) * crop_weights[..., :, None]
    if form == "sum":
        return terms
    image_norm = _norm(xp, _weighted_sum(xp, crop_weights, crops))
    return _divide_or_zero(xp, terms, image_norm[..., None, None])


# --------------------------------------------------------------------------------------------------
# Inside, arguments are trusted.


def _softmax_weights(xp: Any, anchor: Array, members: Array, scale: float) -> Array:
    cosines = xp.matmul(members, anchor[..., :, None])[..., 0]
    scale = _check_scale(scale)
    # The shift comes before the multiplication: scale * cosine could overflow, this cannot, and the
    # largest exponent is exactly 0. With a negative scale the largest exponent is at the minimum.
    extreme = xp.max if scale >= 0 else xp.min
    exponents = scale * (cosines - extreme(cosines, axis=-1, keepdims=True))
    weights = xp.exp(exponents)
    return weights / xp.sum(weights, axis=-1, keepdims=True)


def _weighted_sum(xp: Any, weights: Array, embeddings: Array) -> Array:
    return xp.matmul(weights[..., None, :], embeddings)[..., 0, :]


def _binary_exponent(xp: Any, vectors: Array) -> Array:
    """Power of two near the largest component, shape (..., 1); 1 for a zero vector."""
    largest = xp.max(xp.abs(vectors), axis=-1, keepdims=True)
    exponent = xp.floor(xp.log2(xp.where(largest > 0, largest, xp.ones_like(largest))))
    # log2 may round up past the largest exponent, and down below the smallest normal one.
    limit = math.frexp(float(xp.finfo(vectors.dtype).max))[1] - 1
    return 2.0 ** xp.clip(exponent, 1 - limit, limit)


def _norm(xp: Any, vectors: Array) -> Array:
    scale = _binary_exponent(xp, vectors)
    return (xp.linalg.vector_norm(vectors / scale, axis=-1, keepdims=True) * scale)[..., 0]


def _unit(xp: Any, vectors: Array) -> Array:
    scaled = vectors / _binary_exponent(xp, vectors)
    return _divide_or_zero(xp, scaled, xp.linalg.vector_norm(scaled, axis=-1, keepdims=True))


def _divide_or_zero(xp: Any, values: Array, divisor: Array) -> Array:
    zero = divisor == 0
    return xp.where(zero, xp.zeros_like(values), values / xp.where(zero, divisor + 1, divisor))

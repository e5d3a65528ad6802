"""Checks of arrays at the boundary of the room: expected, got, remedy."""

from __future__ import annotations

import itertools
import math
import operator
from typing import Any, TypeAlias

import array_api_compat

from crossalign.errors import AlignmentError

Array: TypeAlias = Any
"""A NumPy array or a PyTorch tensor of ``float32`` or ``float64``."""


def _namespace(**arrays: Array) -> Any:
    """Check kind, dtype and finiteness of the arrays, and give their common namespace."""
    try:
        xp = array_api_compat.array_namespace(*arrays.values())
        dtypes = [array.dtype for array in arrays.values()]
    except (TypeError, ValueError, AttributeError) as error:
        kinds = ", ".join(f"{name}: {type(value).__name__}" for name, value in arrays.items())
        raise AlignmentError(
            f"expected NumPy arrays or PyTorch tensors, all of one kind; got {kinds}. "
            "Convert them first, for example with numpy.asarray(x, dtype='float32')."
        ) from error
    if dtypes[0] not in (xp.float32, xp.float64) or any(kind != dtypes[0] for kind in dtypes):
        found = ", ".join(f"{name}: {value.dtype}" for name, value in arrays.items())
        raise AlignmentError(
            f"expected float32 or float64, the same for every argument; got {found}. "
            "Cast them to one of the two."
        )
    for name, array in arrays.items():
        if not bool(xp.all(xp.isfinite(array))):
            raise AlignmentError(
                f"expected finite numbers; '{name}' of shape {tuple(array.shape)} holds NaN or "
                "infinity. Look for them where these embeddings were made."
            )
    return xp


def _check_ndim(least: int, **arrays: Array) -> None:
    for name, array in arrays.items():
        if array.ndim < least or 0 in array.shape:
            shape = "(..., D)" if least == 1 else "(..., N, D)"
            raise AlignmentError(
                f"expected '{name}' of shape {shape} with no empty axis; got {tuple(array.shape)}."
            )


def _check_same_dim(first: str, a: Array, second: str, b: Array) -> None:
    if a.shape[-1] != b.shape[-1]:
        raise AlignmentError(
            f"expected '{first}' and '{second}' to share the embedding dimension D (last axis); "
            f"got {tuple(a.shape)} and {tuple(b.shape)}. Both sides must come from one encoder."
        )


def _check_members(one: str, anchor: Array, many: str, members: Array) -> None:
    _check_ndim(1, **{one: anchor})
    _check_ndim(2, **{many: members})
    _check_same_dim(one, anchor, many, members)
    if anchor.shape[:-1] != members.shape[:-2] and anchor.ndim > 1:
        raise AlignmentError(
            f"expected '{one}' of shape (..., D) and '{many}' of shape (..., N, D) with the same "
            f"leading axes; got {tuple(anchor.shape)} and {tuple(members.shape)}."
        )


def _check_same_batch(first: str, a: Array, second: str, b: Array) -> None:
    leading = a.shape[:-2], b.shape[:-2]
    if all(leading) and leading[0] != leading[1]:
        raise AlignmentError(
            f"expected '{first}' and '{second}' to have the same leading axes, or one of them "
            f"none; got {tuple(a.shape)} and {tuple(b.shape)}."
        )


def _check_weights(one: str, weights: Array, many: str, members: Array) -> None:
    _check_ndim(1, **{one: weights})
    _check_ndim(2, **{many: members})
    if weights.shape != members.shape[:-1]:
        raise AlignmentError(
            f"expected one weight for each vector: '{one}' of shape (..., N) for '{many}' of shape "
            f"(..., N, D); got {tuple(weights.shape)} and {tuple(members.shape)}."
        )


def _check_scale(scale: float) -> float:
    try:
        value = float(scale)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise AlignmentError(f"expected a finite scale; got {scale!r}.")
    # Beyond this every softmax is a hard maximum already, and float32 would overflow.
    return max(-1e30, min(value, 1e30))


def _check_offsets(offsets: Any, classes: int, rows: int) -> list[int]:
    try:
        bounds = [operator.index(bound) for bound in offsets]
    except TypeError as error:
        raise AlignmentError(
            f"expected offsets as {classes + 1} whole numbers; got {offsets!r}."
        ) from error
    rising = all(a < b for a, b in itertools.pairwise(bounds))
    if len(bounds) != classes + 1 or bounds[0] != 0 or bounds[-1] != rows or not rising:
        raise AlignmentError(
            f"expected offsets of {classes + 1} rising integers from 0 to {rows} (the classes' "
            f"first rows, then the end; no class without a description); got {bounds[:8]}"
            f"{'...' if len(bounds) > 8 else ''} of length {len(bounds)}."
        )
    return bounds

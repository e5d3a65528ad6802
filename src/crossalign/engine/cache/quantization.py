"""How embeddings become bytes and numbers again.

A view takes 16 bits a number: whole numbers from -32767 to 32767, times a scale of its own in
single precision. That is as small as float16 and several times closer, since float16 spends its
exponent on a range that unit vectors do not use: ``python benchmarks/relabel.py`` prints both.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from crossalign.encoders.base import Embeddings

Indices: TypeAlias = npt.NDArray[np.int64]
"""Numbers of views, shape (k,): 0 is the whole image, i + 1 the crop of row i of its boxes."""

Packed: TypeAlias = npt.NDArray[Any]
"""Rounded vectors, shape (k,), a record each: ``scale`` float32, ``steps`` int16 of shape (D,)."""

_STEPS = 32767


def pack(vectors: Embeddings) -> Packed:
    """Round vectors to 16 bits a number.

    Args:
        vectors: float32, shape (k, D), finite, D >= 1.

    Returns:
        Shape (k,); each number within half a step, 1/65534 of its row's largest.
    """
    largest = np.abs(vectors).max(axis=1)
    packed = np.empty(len(vectors), _record(vectors.shape[1]))
    # Never 0, and never so small that a division by it loses digits.
    packed["scale"] = np.maximum(largest / np.float32(_STEPS), np.finfo(np.float32).tiny)
    packed["steps"] = np.clip(np.rint(vectors / packed["scale"][:, None]), -_STEPS, _STEPS)
    return packed


def unpack(packed: Packed) -> Embeddings:
    """Make packed vectors numbers again.

    Args:
        packed: Shape (k,).

    Returns:
        float32, shape (k, D).

    Example:
        >>> unpack(pack(np.array([[0.6, 0.8]], dtype=np.float32))).round(4)
        array([[0.6, 0.8]], dtype=float32)
    """
    vectors: Embeddings = packed["steps"].astype(np.float32)
    vectors *= packed["scale"][:, None]
    return vectors


def from_bytes(data: bytes, count: int) -> Packed:
    """Read packed vectors.

    Args:
        data: What ``tobytes()`` of packed vectors gave.
        count: How many there are, at least 1.

    Returns:
        Shape (count,).
    """
    return np.frombuffer(data, _record((len(data) // count - 4) // 2))


def checksum(*parts: bytes) -> int:
    """Guard bytes on disk against rot.

    Args:
        *parts: The bytes.

    Returns:
        CRC-32 of all parts together.
    """
    value = 0
    for part in parts:
        value = zlib.crc32(part, value)
    return value


def text_key(text: str) -> bytes:
    """Name a text by 16 bytes.

    Args:
        text: Any text.

    Returns:
        Its digest.
    """
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _record(dim: int) -> np.dtype[Any]:
    return np.dtype([("scale", "<f4"), ("steps", "<i2", (dim,))])

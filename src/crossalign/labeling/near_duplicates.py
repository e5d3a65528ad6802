"""Similarity hashes of embeddings, for near-duplicates and for what is unlike the rest.

A hash is 512 signs of random projections, 64 bytes. Two unit vectors at an angle a differ in a
share a / pi of their signs (Goemans and Williamson, 1995; Charikar, STOC 2002), so a million images
are compared in 64 MB and without reading their embeddings again.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from crossalign.encoders.base import Embeddings

BITS = 512

Hashes = npt.NDArray[np.uint8]
"""Shape (n, 64), a hash a row."""

# Orders in which hashes are sorted, and how far a hash is compared in each. A near-duplicate
# differs in few bits, so in most orders it stands close by.
_ORDERS, _REACH = 16, 3


@functools.lru_cache(maxsize=4)
def _planes(dim: int) -> Embeddings:
    planes: Embeddings = np.random.default_rng(512).standard_normal((dim, BITS), dtype=np.float32)
    return planes


def simhash(embedding: Embeddings) -> bytes:
    """Hash an embedding so that close ones get close hashes (SimHash).

    Args:
        embedding: Unit vector, shape (D,).

    Returns:
        64 bytes.
    """
    return np.packbits(embedding @ _planes(len(embedding)) > 0).tobytes()


def bits_apart(cosine: float) -> int:
    """How many bits of two hashes differ, on average.

    Args:
        cosine: Of their embeddings.

    Returns:
        0 to 512.

    Example:
        >>> bits_apart(1.0), bits_apart(0.0)
        (0, 256)
    """
    return round(float(np.arccos(cosine)) / np.pi * BITS)


def distances(first: Hashes, second: Hashes) -> npt.NDArray[np.int64]:
    """Count the bits in which hashes differ, pair by pair.

    Args:
        first: Shape (n, 64).
        second: Shape (n, 64).

    Returns:
        Shape (n,), 0 to 512.
    """
    counts: npt.NDArray[np.int64] = _COUNTS[first ^ second].sum(axis=1, dtype=np.int64)
    return counts


_COUNTS = np.array([bin(value).count("1") for value in range(256)], np.uint8)


def near_pairs(hashes: Hashes, most: int) -> Iterator[tuple[int, int]]:
    """Find pairs of hashes that differ in few bits.

    Hashes are sorted in several orders of their bytes, and each is compared with the next few:
    n log n work in place of n squared. Of a pair that differs in 5 % of its bits nearly all are
    found, of equal ones all are linked.

    Args:
        hashes: Shape (n, 64).
        most: Bits in which a pair may differ.

    Yields:
        Pairs of rows, the lower first; a pair may come more than once.
    """
    rng = np.random.default_rng(16)
    for _ in range(_ORDERS):
        columns = rng.permutation(hashes.shape[1])[:16]
        order = np.lexsort(hashes[:, columns].T)
        for step in range(1, min(_REACH, len(order) - 1) + 1):
            first, second = order[:-step], order[step:]
            for start in range(0, len(first), 65536):
                a, b = first[start : start + 65536], second[start : start + 65536]
                close = distances(hashes[a], hashes[b]) <= most
                for one, other in zip(a[close].tolist(), b[close].tolist(), strict=True):
                    yield min(one, other), max(one, other)


def groups(pairs: Iterator[tuple[int, int]]) -> list[list[int]]:
    """Join pairs that share a member.

    Args:
        pairs: Pairs of rows.

    Returns:
        Groups of two rows or more, each rising, in the order of their first rows.

    Example:
        >>> groups(iter([(3, 5), (0, 1), (1, 4)]))
        [[0, 1, 4], [3, 5]]
    """
    leader: dict[int, int] = {}

    def find(row: int) -> int:
        leader.setdefault(row, row)
        while leader[row] != row:
            leader[row] = leader[leader[row]]
            row = leader[row]
        return row

    for one, other in pairs:
        first, second = sorted((find(one), find(other)))
        leader[second] = first
    found: dict[int, list[int]] = {}
    for row in sorted(leader):
        found.setdefault(find(row), []).append(row)
    return list(found.values())

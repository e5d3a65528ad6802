"""Layouts of crops: where to cut, from numbers alone.

A layout is a function of the count, the range of sides as shares of the short side, the image's
width and height, and the seed and content that its draws are keyed by. It gives boxes
``(left, top, right, bottom)``, int64 of shape (count, 4). Boxes are the same on every machine and
with every version of NumPy: the draws are raw words of a counter-based generator (Philox), and all
else is integer arithmetic and single operations in double precision.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Boxes: TypeAlias = npt.NDArray[np.int64]
"""Crop boxes ``(left, top, right, bottom)`` in pixels of the upright image, shape (N, 4)."""

Layout: TypeAlias = Callable[[int, tuple[float, float], int, int, int, bytes], Boxes]

Words: TypeAlias = npt.NDArray[np.uint64]
Floats: TypeAlias = npt.NDArray[np.float64]

REFINED_IOU = 0.85
"""A candidate whose IoU with a kept crop exceeds this is dropped (BiFTA, arXiv 2601.20419)."""

REFINED_TRIES = 3
"""Candidates drawn for each crop, at most."""

NESTED_STEPS = 3
"""Crops of each region that grows."""

_BITS = 32


def random(
    count: int, side: tuple[float, float], width: int, height: int, seed: int, digest: bytes
) -> Boxes:
    """Draw side and place of every crop by itself."""
    words = _words(seed, digest, b"crossalign.crops", 3 * count).reshape(count, 3)
    # 53 bits make a double.
    return _place((words >> np.uint64(11)).astype(np.float64) * 2.0**-53, side, width, height)


def even(
    count: int, side: tuple[float, float], width: int, height: int, seed: int, digest: bytes
) -> Boxes:
    """Spread sides and places evenly: a scrambled Sobol sequence in place of independent draws."""
    words = _words(seed, digest, b"crossalign.even", 3 * (_BITS + 1)).reshape(3, _BITS + 1)
    bits = max(1, (count - 1).bit_length())
    columns = [_sobol_column(axis, bits, words[axis], count) for axis in range(3)]
    return _place(np.stack(columns, axis=1), side, width, height)


def refined(
    count: int, side: tuple[float, float], width: int, height: int, seed: int, digest: bytes
) -> Boxes:
    """Draw as :func:`random` does and drop what nearly repeats a crop kept before.

    A place that three candidates for each crop so far have not filled takes the last of them as it
    is. So there are always ``count`` boxes, and a larger count only adds to them.
    """
    kept, filled = np.empty((count, 4), np.int64), 0
    candidates = random(REFINED_TRIES * count, side, width, height, seed, digest)
    for number, box in enumerate(candidates, start=1):
        late = number >= REFINED_TRIES * (filled + 1)
        if late or not np.any(iou(box, kept[:filled]) > REFINED_IOU):
            kept[filled] = box
            filled += 1
        if filled == count:
            break
    return kept


def nested(
    count: int, side: tuple[float, float], width: int, height: int, seed: int, digest: bytes
) -> Boxes:
    """Let every region grow: a random crop of the smallest side, then around it larger ones.

    Each region has ``NESTED_STEPS`` crops, whose sides rise in equal ratios to the largest; at the
    border they are moved inside.
    """
    regions = -(-count // NESTED_STEPS)
    low, high = side
    seeds = random(regions, (low, low), width, height, seed, digest)
    centres = (seeds[:, :2] + seeds[:, 2:]) / 2
    rows = np.empty((regions, NESTED_STEPS, 4), np.int64)
    for step, share in enumerate((low, min(max(math.sqrt(low * high), low), high), high)):
        length = max(1, int(share * min(width, height)))
        free = np.array([width - length, height - length])
        corners = np.clip(np.floor(centres - length / 2), 0, free).astype(np.int64)
        rows[:, step] = np.concatenate([corners, corners + length], axis=1)
    return rows.reshape(-1, 4)[:count]


def grid(
    count: int, side: tuple[float, float], width: int, height: int, _seed: int, _digest: bytes
) -> Boxes:
    """Three sizes, small ones more often (in inverse proportion), each on its own even lattice."""
    low, high = side
    levels = np.array([high, math.sqrt(low * high), low])
    shares = np.cumsum(1.0 / levels) / np.sum(1.0 / levels)
    ends = np.floor(shares * count + 0.5).astype(int)
    rows: list[tuple[int, int, int, int]] = []
    for level, number in zip(levels, np.diff(ends, prepend=0), strict=True):
        length = max(1, int(level * min(width, height)))
        rows.extend(
            (left, top, left + length, top + length)
            for left, top in _lattice(int(number), width - length, height - length)
        )
    return np.array(rows, dtype=np.int64)


LAYOUTS: dict[str, Layout] = {
    "random": random,
    "grid": grid,
    "even": even,
    "refined": refined,
    "nested": nested,
}
"""The layouts by name."""


def iou(box: Boxes, others: Boxes) -> Floats:
    """Intersection over union of one box, shape (4,), with others, shape (N, 4): shape (N,)."""
    # In double precision: areas of huge images overflow 64 bits.
    one, many = box.astype(np.float64), others.astype(np.float64)
    across = np.minimum(one[2], many[:, 2]) - np.maximum(one[0], many[:, 0])
    down = np.minimum(one[3], many[:, 3]) - np.maximum(one[1], many[:, 1])
    both = np.maximum(across, 0.0) * np.maximum(down, 0.0)
    areas = (many[:, 2] - many[:, 0]) * (many[:, 3] - many[:, 1])
    shares: Floats = both / ((one[2] - one[0]) * (one[3] - one[1]) + areas - both)
    return shares


def _words(seed: int, digest: bytes, purpose: bytes, count: int) -> Words:
    """Raw words, which alone are promised to stay the same in every NumPy version."""
    key = hashlib.blake2b(seed.to_bytes(8, "little") + digest, digest_size=16, person=purpose)
    return np.random.Philox(key=int.from_bytes(key.digest(), "little")).random_raw(count)


def _place(draws: Floats, side: tuple[float, float], width: int, height: int) -> Boxes:
    """Turn draws in [0, 1) of side, left and top, shape (N, 3), into boxes inside the image."""
    low, high = side
    lengths = (low + (high - low) * draws[:, 0]) * min(width, height)
    sides = np.maximum(lengths.astype(np.int64), 1)
    lefts = np.floor(draws[:, 1] * (width - sides + 1)).astype(np.int64)
    tops = np.floor(draws[:, 2] * (height - sides + 1)).astype(np.int64)
    return np.stack([lefts, tops, lefts + sides, tops + sides], axis=1)


def _sobol_column(axis: int, bits: int, words: Words, count: int) -> Floats:
    """One axis of the first ``count`` points, scrambled by a random linear map and a shift.

    The map is lower triangular with ones on its diagonal (Matousek, 1998), so it keeps the
    sequence's evenness, and the shift makes each point by itself uniform.
    """
    rows = [int(word) for word in words]
    shift = rows[_BITS] >> (64 - _BITS)
    numbers = np.arange(count)
    points = np.full(count, shift, np.int64)
    for bit, direction in enumerate(_directions(axis, bits)):
        scrambled = 0
        for place in range(_BITS):
            above = ~((1 << (_BITS - place)) - 1)  # bits that weigh more than this one
            mask = rows[place] & above & ((1 << _BITS) - 1) | 1 << (_BITS - 1 - place)
            scrambled = scrambled << 1 | (direction & mask).bit_count() & 1
        points ^= np.where(numbers >> bit & 1, scrambled, 0)
    return points.astype(np.float64) * 2.0**-_BITS


def _directions(axis: int, bits: int) -> list[int]:
    """Direction numbers of Sobol's first three axes: polynomials 1, x + 1 and x^2 + x + 1."""
    numbers = ([1] * bits, [1], [1, 3])[axis]
    while len(numbers) < bits:
        last, before = numbers[-1], numbers[-2:][0]
        numbers.append(2 * last ^ (last if axis == 1 else 4 * before ^ before))
    return [number << (_BITS - 1 - index) for index, number in enumerate(numbers[:bits])]


def _lattice(count: int, free_x: int, free_y: int) -> list[tuple[int, int]]:
    """Spread points over [0, free_x] x [0, free_y]: rows in proportion to the shape."""
    if count == 0:
        return []
    across = math.sqrt(count * (free_x + 1) / (free_y + 1))
    lines = min(count, max(1, round(count / max(across, 1.0))))
    points: list[tuple[int, int]] = []
    for line, row in enumerate(np.array_split(np.arange(count), lines)):
        top = _spread(line, lines, free_y)
        points.extend((_spread(place, len(row), free_x), top) for place in range(len(row)))
    return points


def _spread(index: int, count: int, free: int) -> int:
    """Place number ``index`` of ``count`` from one end to the other; alone, in the middle."""
    return free // 2 if count == 1 else round(index * free / (count - 1))

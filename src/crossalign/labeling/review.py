"""What to look at first when a job is done: counts, doubts, oddities, near-duplicates, errors."""

from __future__ import annotations

import array
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossalign.labeling.jobfile import DONE, FAILED, JobFile
from crossalign.labeling.sketches import BITS, bits_apart, groups, near_pairs

NEAR_COSINE = 0.96
"""Whole-image embeddings at least about this close count as near-duplicates."""

_LIST = 5
# Below this many images of a label there is no telling what is usual.
_FEW = 8


@dataclass(frozen=True, slots=True)
class Named:
    """An image in a list.

    Args:
        path: The image.
        label: Its label.
        value: Its confidence or margin, or how unlike the others it is.
    """

    path: str
    label: str
    value: float


@dataclass(frozen=True, slots=True)
class Review:
    """What to look at first.

    Args:
        counts: Images of each decision, the most frequent first. With several labels an image, of
            each label.
        sure: What ``least_sure`` goes by: ``"confidence"``, ``"margin"`` or ``"score"``.
        least_sure: The most doubtful labels, the most doubtful first.
        unusual: Images least like the others of their label; ``value`` is the mean share of
            signs of random projections that agree, 0.5 for unrelated images.
        duplicates: Groups of near-duplicates, as paths; the largest groups first.
        duplicate_groups: How many groups there are.
        errors: Each kind of error with its number of images and one of them.
        failed: Images without a label.
    """

    counts: tuple[tuple[str, int], ...]
    sure: str
    least_sure: tuple[Named, ...]
    unusual: tuple[Named, ...]
    duplicates: tuple[tuple[str, ...], ...]
    duplicate_groups: int
    errors: tuple[tuple[str, int, str], ...]
    failed: int


def review(job: JobFile, count: int = _LIST, near: float = NEAR_COSINE) -> Review:
    """Look through a finished job.

    Takes 72 bytes of memory an image; everything else stays in the job file.

    Args:
        job: The job.
        count: How many images to list of each kind.
        near: Cosine from which on images are near-duplicates.

    Returns:
        What to look at first.
    """
    duplicates = _duplicates(job, near)
    return Review(
        counts=tuple(_counts(job)),
        sure=_sure(job),
        least_sure=tuple(
            Named(os.fsdecode(path), label, value)
            for path, label, value in job.query(
                "SELECT path, label, sure FROM items WHERE state = ? ORDER BY sure, position "
                "LIMIT ?",
                DONE,
                count,
            )
        ),
        unusual=tuple(_unusual(job, count)),
        duplicates=tuple(duplicates[:count]),
        duplicate_groups=len(duplicates),
        errors=tuple(_errors(job)),
        failed=job.count(FAILED),
    )


def _counts(job: JobFile) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    first = next((row for row in job.rows() if row.error is None), None)
    if first is not None and isinstance(first.decision, list):
        for row in job.rows():
            for name in row.decision or ():
                counts[name] = counts.get(name, 0) + 1
    else:
        query = "SELECT decision, COUNT(*) FROM items WHERE state = ? GROUP BY decision"
        counts.update(job.query(query, DONE))
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _sure(job: JobFile) -> str:
    for (text,) in job.query("SELECT row FROM items WHERE state = ? LIMIT 1", DONE):
        row = json.loads(text)
        return next((name for name in ("confidence", "margin") if row[name] is not None), "score")
    return "score"


def _unusual(job: JobFile, count: int) -> Iterator[Named]:
    """Images whose sketch agrees least with the mean sketch of their label."""
    sums: dict[str, npt.NDArray[np.int64]] = {}
    sizes: dict[str, int] = {}
    query = "SELECT label, sketch, path FROM items WHERE state = ? AND sketch IS NOT NULL"
    for label, data, _ in job.query(query, DONE):
        bits = np.unpackbits(np.frombuffer(data, np.uint8))
        sums[label] = sums.get(label, np.zeros(BITS, np.int64)) + bits
        sizes[label] = sizes.get(label, 0) + 1
    least: list[tuple[float, bytes, str]] = []
    for label, data, path in job.query(query, DONE):
        if sizes[label] < _FEW:
            continue
        bits = np.unpackbits(np.frombuffer(data, np.uint8)).astype(np.int64)
        others, rest = sums[label] - bits, sizes[label] - 1
        agree = float(np.where(bits == 1, others, rest - others).mean() / rest)
        least.append((agree, path, label))
        if len(least) > 50 * count:
            least = sorted(least)[:count]
    for agree, path, label in sorted(least)[:count]:
        yield Named(os.fsdecode(path), label, round(agree, 4))


def _duplicates(job: JobFile, near: float) -> list[tuple[str, ...]]:
    numbers, rows = array.array("q"), bytearray()
    query = "SELECT number, sketch FROM items WHERE sketch IS NOT NULL ORDER BY position, number"
    for number, data in job.query(query):
        numbers.append(number)
        rows += data
    if len(numbers) < 2:
        return []
    sketches = np.frombuffer(rows, np.uint8).reshape(len(numbers), -1)
    found = groups(near_pairs(sketches, bits_apart(near)))
    return [
        tuple(_path(job, numbers[row]) for row in group)
        for group in sorted(found, key=lambda group: (-len(group), group[0]))
    ]


def _path(job: JobFile, number: int) -> str:
    ((path,),) = job.query("SELECT path FROM items WHERE number = ?", number)
    return os.fsdecode(path)


def _errors(job: JobFile) -> list[tuple[str, int, str]]:
    """Kinds of errors: what is left of the messages without the names and the numbers in them."""
    kinds: dict[str, tuple[int, str]] = {}
    for path, text in job.query("SELECT path, row FROM items WHERE state = ?", FAILED):
        name = os.fsdecode(path)
        message = str(json.loads(text)["error"])
        kind = message.removeprefix(f"{name}: ").replace(name, "...")
        number, example = kinds.get(kind, (0, name))
        kinds[kind] = (number + 1, example)
    ranked = sorted(kinds.items(), key=lambda item: (-item[1][0], item[0]))
    return [(kind, number, example) for kind, (number, example) in ranked]

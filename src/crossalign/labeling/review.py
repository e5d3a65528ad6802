"""What to look at first when a job is done: counts, doubts, oddities, near-duplicates, errors."""

from __future__ import annotations

import array
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossalign.labeling.decisions import ABSTENTIONS
from crossalign.labeling.job_file import DONE, FAILED, JobFile
from crossalign.labeling.near_duplicates import BITS, bits_apart, groups, near_pairs
from crossalign.utils.text import counted

NEAR_COSINE = 0.96
"""Whole-image embeddings at least about this close count as near-duplicates."""

_LIST = 5
# Classes that images were given, without the abstentions, of which no two images need be alike.
_LABELS = "FROM given JOIN items USING (number) WHERE name NOT IN (?, ?, ?)"
# Below this many images of a label there is no telling what is usual.
_FEW = 8


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image in a list.

    Args:
        path: The image.
        label: Its label, or one of several.
        value: How sure that is, or how unlike the others of that label the image is.
    """

    path: str
    label: str
    value: float


@dataclass(frozen=True, slots=True)
class Review:
    """What to look at first.

    Args:
        counts: Images of each class, the most frequent first, then of each abstention in place of a
            class. With several labels an image counts once for each.
        several: Whether an image may have several labels.
        sure: What ``least_sure`` goes by: ``"confidence"``, ``"margin"``, ``"score"``, or
            ``"distance to the threshold"`` with several labels.
        least_sure: The most doubtful labels, the most doubtful first.
        unusual: Images least like the others of their label; ``value`` is the mean share of
            signs of random projections that agree, 0.5 for unrelated images.
        duplicates: Groups of near-duplicates, as paths; the largest groups first.
        duplicate_groups: How many groups there are.
        errors: Each kind of error with its number of images and one of them.
        failed: Images without a label.
    """

    counts: tuple[tuple[str, int], ...]
    several: bool
    sure: str
    least_sure: tuple[ListedImage, ...]
    unusual: tuple[ListedImage, ...]
    duplicates: tuple[tuple[str, ...], ...]
    duplicate_groups: int
    errors: tuple[tuple[str, int, str], ...]
    failed: int

    @property
    def groups_in_words(self) -> str:
        """How many groups of near-duplicates there are, and how many of them are listed."""
        groups, listed = self.duplicate_groups, len(self.duplicates)
        text = counted(groups, "group")
        shown = "the largest is shown" if listed == 1 else f"the {listed} largest are shown"
        return f"{text}, {shown}" if listed < groups else text


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
    several, sure = _measure(job)
    return Review(
        counts=tuple(counts(job)),
        several=several,
        sure=sure,
        least_sure=tuple(
            ListedImage(os.fsdecode(path), label, value)
            for path, label, value in job.query(
                f"SELECT path, name, sure {_LABELS} ORDER BY sure, number LIMIT ?",
                *ABSTENTIONS,
                count,
            )
        ),
        unusual=tuple(_unusual(job, count)),
        duplicates=tuple(duplicates[:count]),
        duplicate_groups=len(duplicates),
        errors=tuple(_errors(job)),
        failed=job.count(FAILED),
    )


def counts(job: JobFile) -> list[tuple[str, int]]:
    """Count the images of each class, and of each abstention in place of a class.

    Args:
        job: The job.

    Returns:
        Name and number, the most frequent class first, abstentions after the classes.
    """
    found = job.query("SELECT name, COUNT(*) FROM given GROUP BY name")
    return sorted(found, key=lambda item: (item[0] in ABSTENTIONS, -item[1], item[0]))


def _measure(job: JobFile) -> tuple[bool, str]:
    """Whether there may be several labels an image, and what says how sure they are."""
    for (text,) in job.query("SELECT row FROM items WHERE state = ? LIMIT 1", DONE):
        row = json.loads(text)
        if isinstance(row["decision"], list):
            return True, "distance to the threshold"
        return False, next((name for name in ("confidence", "margin") if name in row), "score")
    return False, "score"


def _unusual(job: JobFile, count: int) -> Iterator[ListedImage]:
    """Images whose hash agrees least with the mean hash of their label."""
    sums: dict[str, npt.NDArray[np.int64]] = {}
    sizes: dict[str, int] = {}
    query = f"SELECT name, sketch, path {_LABELS} AND sketch IS NOT NULL"
    for label, data, _ in job.query(query, *ABSTENTIONS):
        bits = np.unpackbits(np.frombuffer(data, np.uint8))
        sums[label] = sums.get(label, np.zeros(BITS, np.int64)) + bits
        sizes[label] = sizes.get(label, 0) + 1
    least: dict[bytes, tuple[float, bytes, str]] = {}  # of several labels the one it fits least
    for label, data, path in job.query(query, *ABSTENTIONS):
        if sizes[label] < _FEW:
            continue
        bits = np.unpackbits(np.frombuffer(data, np.uint8)).astype(np.int64)
        others, rest = sums[label] - bits, sizes[label] - 1
        agree = float(np.where(bits == 1, others, rest - others).mean() / rest)
        found = (agree, path, label)
        least[path] = min(found, least.get(path, found))
        if len(least) > 50 * count:
            least = {one[1]: one for one in sorted(least.values())[:count]}
    for agree, path, label in sorted(least.values())[:count]:
        yield ListedImage(os.fsdecode(path), label, round(agree, 4))


def _duplicates(job: JobFile, near: float) -> list[tuple[str, ...]]:
    numbers, rows = array.array("q"), bytearray()
    query = "SELECT number, sketch FROM items WHERE sketch IS NOT NULL ORDER BY position, number"
    for number, data in job.query(query):
        numbers.append(number)
        rows += data
    if len(numbers) < 2:
        return []
    hashes = np.frombuffer(rows, np.uint8).reshape(len(numbers), -1)
    found = groups(near_pairs(hashes, bits_apart(near)))
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

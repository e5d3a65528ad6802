"""What a labelled data set is, and what its readers share."""

from __future__ import annotations

import json
import posixpath
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from crossalign.errors import EvaluationError
from crossalign.evaluation.datasets.lists import Names, named, read_text
from crossalign.images import ImageSource, has_image_ending
from crossalign.utils.files import packaged_text


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled image.

    Args:
        key: Its name within the data set, the same on every machine, with ``/`` between folders.
        image: Where its pixels are: a path, or the bytes of a file.
        label: Index of its class.
    """

    key: str
    image: ImageSource
    label: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """A labelled data set, read as it is iterated over.

    Args:
        name: Name of its reader.
        split: Which part of it.
        root: Its folder.
        class_ids: What the data set calls its C classes: folders, WordNet ids, numbers. No two
            are alike.
        class_names: What goes into prompts, in the same order. Published lists of names may hold
            one twice.
        total: Number of images.
        templates: Templates published for this data set; none where the common ones are used.
        notes: What one should know about how it was read, such as folders that were left out.
    """

    name: str
    split: str
    root: Path
    class_ids: tuple[str, ...]
    class_names: tuple[str, ...]
    total: int
    _examples: Callable[[], Iterable[Example]] = field(repr=False, compare=False)
    templates: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Example]:
        return iter(self._examples())

    def __len__(self) -> int:
        return self.total


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What is asked of a reader.

    Args:
        root: Folder of the data set.
        split: Which part; None for the usual one.
        names: Class names to use in place of the data set's own.
        partial: Take what is there of a published data set.
    """

    root: Path
    split: str | None = None
    names: Names | None = None
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Reader:
    """How one data set, or one layout of data sets, is read.

    Args:
        name: Its name on the command line.
        title: Its name in words, and who published it.
        layout: The files expected below the root.
        source: Where to get it.
        read: Makes the data set.
        expected: For each split the published number of classes and images; empty where any number
            will do. The first split is the usual one.
        templates: Templates published for it.
    """

    name: str
    title: str
    layout: str
    source: str
    read: Callable[[Reader, ReadOptions], Dataset]
    expected: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    templates: tuple[str, ...] = ()

    @classmethod
    def known(cls, name: str, read: Callable[[Reader, ReadOptions], Dataset]) -> Reader:
        """Make the reader of a data set, or a layout, that ``data/datasets.json`` describes.

        Args:
            name: Its name there and on the command line.
            read: Makes the data set.

        Returns:
            The reader.
        """
        card = json.loads(packaged_text("evaluation", "datasets.json"))[name]
        expected = {split: tuple(counts) for split, counts in card.pop("expected", {}).items()}
        templates = tuple(card.pop("templates", ()))
        return cls(name=name, read=read, expected=expected, templates=templates, **card)

    def missing(self, what: str) -> EvaluationError:
        """Make the error for a data set that is not there, or not whole.

        Args:
            what: What is missing.

        Returns:
            An error that says what is expected and where to get it.
        """
        return EvaluationError(
            f"{self.title}: {what}. Expected below the root: {self.layout}. To be had from: "
            f"{self.source}."
        )

    def choose_split(self, asked: str | None) -> str:
        """Check the name of a split.

        Args:
            asked: What was asked for; None for the usual one.

        Returns:
            The split.

        Raises:
            EvaluationError: If there is no such split.
        """
        if asked is None:
            return next(iter(self.expected))
        if asked not in self.expected:
            raise EvaluationError(
                f"{self.title} has the splits {', '.join(self.expected)}; got {asked!r}."
            )
        return asked


Listed: TypeAlias = Callable[[], Iterable[tuple[str, int]]]
"""Gives pairs of a path below the root and a class index, anew at every call."""


def listed(
    reader: Reader,
    options: ReadOptions,
    split: str,
    class_ids: Sequence[str],
    class_names: Sequence[str],
    pairs: Listed,
) -> Dataset:
    """Make a data set of files that a list names, and check that they are there.

    Args:
        reader: The reader.
        options: What was asked of it.
        split: The split.
        class_ids: Ids of the classes.
        class_names: Their own names; those of ``options`` go before them.
        pairs: Paths below the root and class indices.

    Returns:
        The data set.

    Raises:
        EvaluationError: If images or classes are missing, or more than was published.
    """

    def examples() -> Iterator[Example]:
        for path, label in pairs():
            if not options.partial or (options.root / path).is_file():
                yield Example(path, options.root / path, label)

    counts: Counter[int] = Counter()
    absent: list[str] = []
    for example in examples():
        counts[example.label] += 1
        if not (options.root / example.key).is_file():
            absent.append(example.key)
    total, root = counts.total(), options.root
    if absent:
        raise reader.missing(
            f"{len(absent)} of {total} images are missing in {root}, the first is {absent[0]}"
        )
    found = dataset_of(
        reader, options, split, class_ids, class_names, total, examples, reader.templates
    )
    published = None if options.partial else reader.expected.get(split)
    if published is not None and published != (len(class_ids), total):
        empty = [name for index, name in enumerate(class_ids) if not counts[index]]
        hint = f"; classes without an image: {', '.join(empty[:3])}" if empty else ""
        raise reader.missing(
            f"{root} holds {total} images of {len(class_ids)} classes, the split '{split}' as "
            f"published has {published[1]} of {published[0]}{hint}. Use --partial to evaluate on "
            "it all the same"
        )
    return found


def dataset_of(
    reader: Reader,
    options: ReadOptions,
    split: str,
    class_ids: Sequence[str],
    class_names: Sequence[str],
    total: int,
    examples: Callable[[], Iterable[Example]],
    templates: tuple[str, ...],
) -> Dataset:
    """Make a data set of what its reader found.

    Args:
        reader: The reader.
        options: What was asked of it.
        split: The split.
        class_ids: Ids of the classes.
        class_names: Their own names; those of ``options`` go before them.
        total: Number of images.
        examples: Gives them, anew at every call.
        templates: Templates published for it.

    Returns:
        The data set.

    Raises:
        EvaluationError: If there are no images, or the given names do not fit the classes.
    """
    if total == 0:
        raise reader.missing(f"no images in {options.root}")
    names = named(options.names, class_ids, class_names)
    ids = tuple(class_ids)
    return Dataset(reader.name, split, options.root, ids, names, total, examples, templates)


def lines(reader: Reader, root: Path, name: str) -> list[list[str]]:
    """Read a list file that a data set comes with.

    Args:
        reader: The reader.
        root: Folder of the data set.
        name: The file, below the root.

    Returns:
        The words of each line that is neither empty nor a comment.

    Raises:
        EvaluationError: If there is no such file.
    """
    path = root / name
    if not path.is_file():
        raise reader.missing(f"no file {path}")
    rows = (line.split() for line in read_text(path).splitlines())
    return [row for row in rows if row and not row[0].startswith("#")]


def image_names(folder: Path) -> Iterator[str]:
    """Find the images of a folder, those of subfolders included; hidden ones are none.

    Args:
        folder: The folder.

    Yields:
        Names below the folder, with ``/`` between folders, in no order.
    """
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if has_image_ending(path) and not any(part.startswith(".") for part in name.parts):
            yield name.as_posix()


def subfolders(folder: Path) -> list[str]:
    """List the folders directly below one, but for hidden ones.

    Args:
        folder: The folder.

    Returns:
        Sorted names.
    """
    if not folder.is_dir():
        return []
    return sorted(
        path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )


def folder_pairs(root: Path, folders: Sequence[str], below: str = "") -> Listed:
    """Give the images of class folders, one folder in memory at a time.

    Args:
        root: Folder of the data set.
        folders: A folder for each class; one that is not there has no images.
        below: The folder that holds them, below the root.

    Returns:
        Paths below the root and class indices.
    """

    def pairs() -> Iterator[tuple[str, int]]:
        for label, folder in enumerate(folders):
            for name in sorted(image_names(root / below / folder)):
                yield posixpath.join(below, folder, name), label

    return pairs


def first_folder(root: Path, names: Iterable[str], default: str = "") -> str:
    """Choose among the names that a folder goes by.

    Args:
        root: Where to look.
        names: The names, the usual ones first.
        default: What to give where there is none.

    Returns:
        The first that is a folder below the root.
    """
    return next((name for name in names if (root / name).is_dir()), default)

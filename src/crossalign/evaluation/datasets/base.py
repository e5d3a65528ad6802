"""What a labelled data set is, and what its readers share."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from crossalign.descriptions import wordify
from crossalign.errors import EvaluationError
from crossalign.images import ImageSource

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif")


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
class Names:
    """Class names given by hand.

    Args:
        ordered: Names in class order.
        by_id: Names by class id; empty where the list has no ids.
        origin: Where they come from.
    """

    ordered: tuple[str, ...]
    by_id: Mapping[str, str]
    origin: str


@dataclass(frozen=True, slots=True)
class Ask:
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
    read: Callable[[Reader, Ask], Dataset]
    expected: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    templates: tuple[str, ...] = ()

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
    ask: Ask,
    split: str,
    class_ids: Sequence[str],
    class_names: Sequence[str],
    pairs: Listed,
) -> Dataset:
    """Make a data set of files that a list names, and check that they are there.

    Args:
        reader: The reader.
        ask: What was asked of it.
        split: The split.
        class_ids: Ids of the classes.
        class_names: Their own names; those of ``ask`` go before them.
        pairs: Paths below the root and class indices.

    Returns:
        The data set.

    Raises:
        EvaluationError: If images or classes are missing, or more than was published.
    """

    def examples() -> Iterator[Example]:
        for path, label in pairs():
            if not ask.partial or (ask.root / path).is_file():
                yield Example(path, ask.root / path, label)

    counts: Counter[int] = Counter()
    absent: list[str] = []
    for example in examples():
        counts[example.label] += 1
        if not (ask.root / example.key).is_file():
            absent.append(example.key)
    if absent:
        raise reader.missing(
            f"{len(absent)} of {counts.total()} images are missing in {ask.root}, the first is "
            f"{absent[0]}"
        )
    check_counts(reader, ask, split, counts, class_ids)
    return Dataset(
        name=reader.name,
        split=split,
        root=ask.root,
        class_ids=tuple(class_ids),
        class_names=named(ask.names, class_ids, class_names),
        total=counts.total(),
        _examples=examples,
        templates=reader.templates,
    )


def check_counts(
    reader: Reader, ask: Ask, split: str, counts: Mapping[int, int], class_ids: Sequence[str]
) -> None:
    """Compare what was found with what was published.

    Args:
        reader: The reader.
        ask: What was asked of it.
        split: The split.
        counts: Images of each class index.
        class_ids: Ids of the classes.

    Raises:
        EvaluationError: If they differ.
    """
    total = sum(counts.values())
    if total == 0:
        raise reader.missing(f"no images in {ask.root}")
    if ask.partial or split not in reader.expected:
        return
    classes, images = reader.expected[split]
    if (len(class_ids), total) == (classes, images):
        return
    empty = [name for index, name in enumerate(class_ids) if not counts.get(index)]
    hint = f"; classes without an image: {', '.join(empty[:3])}" if empty else ""
    raise reader.missing(
        f"{ask.root} holds {total} images of {len(class_ids)} classes, the split '{split}' as "
        f"published has {images} of {classes}{hint}. Use --partial to evaluate on it all the same"
    )


def named(names: Names | None, class_ids: Sequence[str], own: Sequence[str]) -> tuple[str, ...]:
    """Choose the class names.

    Args:
        names: Those given by hand, if any.
        class_ids: Ids of the classes.
        own: The data set's own names.

    Returns:
        A name for each class.

    Raises:
        EvaluationError: If the given names do not fit the classes.
    """
    if names is None:
        return tuple(own)
    if names.by_id:
        unknown = [name for name in class_ids if name not in names.by_id]
        if unknown:
            raise EvaluationError(
                f"{names.origin}: expected a name for each of the {len(class_ids)} classes; there "
                f"is none for {', '.join(map(repr, unknown[:3]))} ({len(unknown)} in all)."
            )
        return tuple(names.by_id[name] for name in class_ids)
    if len(names.ordered) != len(class_ids):
        raise EvaluationError(
            f"{names.origin}: expected {len(class_ids)} class names, one for each class in the "
            f"order {', '.join(map(repr, class_ids[:3]))}, ...; got {len(names.ordered)}. A .csv "
            "file with the columns folder,class_name names classes in any order."
        )
    return names.ordered


def read_names(path: Path) -> Names:
    """Read class names from a file, doubles and all.

    ``.txt``: one a line, in class order. ``.csv``: columns ``folder,class_name``. ``.json``: a list
    in class order, ``{id: name}``, or ``{index: [id, name]}`` as in the class index of ImageNet
    that Keras and torchvision publish.

    Args:
        path: The file.

    Returns:
        The names.

    Raises:
        EvaluationError: If the file cannot be read or holds something else.
    """
    readers = {".txt": _names_txt, ".csv": _names_csv, ".json": _names_json}
    if path.suffix.lower() not in readers:
        raise EvaluationError(
            f"{path}: expected class names in a .txt, .csv or .json file; got the ending "
            f"'{path.suffix}'."
        )
    try:
        ordered, by_id = readers[path.suffix.lower()](read_text(path))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise EvaluationError(
            f"{path}: expected class names, one a line (.txt), folder,class_name (.csv), or a list "
            f"or a mapping (.json); got something else ({error})."
        ) from error
    if not ordered or any(not str(name).strip() for name in ordered):
        raise EvaluationError(f"{path}: expected a name for every class; some are empty.")
    return Names(tuple(ordered), by_id, str(path))


def _names_txt(text: str) -> tuple[list[str], dict[str, str]]:
    return [line.strip() for line in text.splitlines() if line.strip()], {}


def _names_csv(text: str) -> tuple[list[str], dict[str, str]]:
    rows = list(csv.DictReader(text.splitlines()))
    by_id = {row["folder"]: row["class_name"] for row in rows}
    if len(by_id) != len(rows):
        raise ValueError("a folder stands in it twice")
    return list(by_id.values()), by_id


def _names_json(text: str) -> tuple[list[str], dict[str, str]]:
    content = json.loads(text)
    if isinstance(content, list):
        return content, {}
    values = list(content.values())
    if all(isinstance(value, str) for value in values):
        return values, dict(content)
    pairs = sorted((int(index), value) for index, value in content.items())
    by_id = {folder: wordify(name) for _, (folder, name) in pairs}
    return list(by_id.values()), by_id


def read_text(path: Path) -> str:
    """Read a text file of a data set.

    Args:
        path: The file.

    Returns:
        Its text.

    Raises:
        EvaluationError: If it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise EvaluationError(f"{path}: expected a text file; it cannot be read ({reason}).") from (
            error
        )


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


def image_names(folder: Path) -> list[str]:
    """List the images of a folder, those of subfolders included.

    Args:
        folder: The folder.

    Returns:
        Sorted names below the folder, with ``/`` between folders.
    """
    return sorted(path.relative_to(folder).as_posix() for path in _images(folder))


def has_images(folder: Path) -> bool:
    """Tell whether there is an image in a folder or below it.

    Args:
        folder: The folder.

    Returns:
        True at the first one found.
    """
    return next(_images(folder), None) is not None


def _images(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in IMAGE_ENDINGS and not hidden:
            yield path


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
    prefix = f"{below}/" if below else ""

    def pairs() -> Iterator[tuple[str, int]]:
        for label, folder in enumerate(folders):
            for name in image_names(root / below / folder):
                yield f"{prefix}{folder}/{name}", label

    return pairs

"""From a data set's class names to what a classifier is given, doubles and all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crossalign.errors import EvaluationError
from crossalign.methods import ClassTexts, Method, class_texts
from crossalign.texts.descriptions import DescriptionSet, wordify
from crossalign.texts.descriptors import descriptor_sentences


@dataclass(frozen=True, slots=True, eq=False)
class ClassList:
    """The classes of a data set, of which several may share a name.

    A classifier refuses classes that no encoder can tell apart, but published lists of names hold
    some. Such classes share a column of scores here: they tie, and the first of them is predicted,
    as in the published code.

    Args:
        names: Name of each class, as often as it stands in the list, C of them.
        unique: Different names, in order of first appearance, U of them.
        column: Place of each class among the different names, int64, shape (C,).
    """

    names: tuple[str, ...]
    unique: tuple[str, ...]
    column: npt.NDArray[np.int64]

    @classmethod
    def of(cls, names: Sequence[str]) -> ClassList:
        """Make a class_list.

        Args:
            names: Name of each class.

        Returns:
            The class_list.

        Example:
            >>> class_list = ClassList.of(["crane", "hen", "Crane"])
            >>> class_list.unique, class_list.column.tolist()
            (('crane', 'hen'), [0, 1, 0])
        """
        places: dict[str, int] = {}
        unique: list[str] = []
        for name in names:
            if _folded(name) not in places:
                places[_folded(name)] = len(unique)
                unique.append(" ".join(name.split()))
        column = np.array([places[_folded(name)] for name in names], dtype=np.int64)
        return cls(tuple(names), tuple(unique), column)

    @property
    def shared(self) -> int:
        """How many classes can never be predicted, because one of their name comes before them."""
        return len(self.names) - len(self.unique)


@dataclass(frozen=True, slots=True)
class Sources:
    """Files with texts about the classes, read.

    Args:
        descriptions: Sentences about each class.
        descriptors: Short descriptors of each class.
    """

    descriptions: DescriptionSet | None = None
    descriptors: DescriptionSet | None = None

    @classmethod
    def load(cls, descriptions: str | None, descriptors: str | None) -> Sources:
        """Read the files.

        Args:
            descriptions: Path, if there is one.
            descriptors: Path, if there is one.

        Returns:
            The texts.

        Raises:
            EvaluationError: If a file has names alone.
            DescriptionError: If a file cannot be used.
        """
        return cls(_described(descriptions), _described(descriptors))


def _described(path: str | None) -> DescriptionSet | None:
    if path is None:
        return None
    found = DescriptionSet.load(Path(path))
    if not found.has_descriptions:
        raise EvaluationError(
            f"{path}: expected texts for each class, {{class: [text, ...]}}; got names alone. "
            "Class names are given with --names FILE."
        )
    return found


def classes_for(method: Method, class_list: ClassList, sources: Sources) -> DescriptionSet:
    """Choose the texts that a method gets.

    ``descriptors`` gets the descriptors. ``descriptions`` gets the sentences; where there are none,
    sentences made of the descriptors; where there are none either, names alone, which the method
    puts into templates.

    Args:
        method: The method.
        class_list: The classes.
        sources: Texts about them.

    Returns:
        The different classes with their texts.

    Raises:
        EvaluationError: If the method needs texts that are not there.
    """
    names = DescriptionSet.from_classes(class_list.unique)
    if method.texts == "descriptors":
        if sources.descriptors is None:
            raise EvaluationError(
                f"method '{method.name}' needs short descriptors of every class. Give them with "
                "--descriptors FILE (.json, {class: [descriptor, ...]}), or leave the method out."
            )
        return _matched(class_list.unique, sources.descriptors)
    if method.texts != "descriptions":
        return names
    if sources.descriptions is not None:
        return _matched(class_list.unique, sources.descriptions)
    if sources.descriptors is not None:
        matched = _matched(class_list.unique, sources.descriptors)
        return DescriptionSet(matched.classes, descriptor_sentences(matched, method.style))
    return names


def texts_of(
    method: Method, classes: DescriptionSet, sources: Sources, seed: int, *, bank: bool
) -> ClassTexts:
    """Write out what a method encodes, and say in words where it comes from.

    Args:
        method: The method.
        classes: From :func:`classes_for`.
        sources: The texts it chose from.
        seed: For random words.
        bank: Whether the bank describes names alone.

    Returns:
        Label prompts, texts and their origin.
    """
    written = class_texts(method, classes, seed, bank=bank)
    made = sources.descriptions is None and sources.descriptors is not None
    if method.texts == "descriptions" and made:
        return ClassTexts(written.labels, written.texts, "sentences of descriptors")
    return written


def _matched(names: Sequence[str], given: DescriptionSet) -> DescriptionSet:
    by_name = {_folded(name): texts for name, texts in zip(given, given.texts, strict=True)}
    missing = [name for name in names if _folded(name) not in by_name]
    if missing:
        raise EvaluationError(
            f"expected texts for each of the {len(names)} class names; there are none for "
            f"{', '.join(map(repr, missing[:3]))} ({len(missing)} in all). The file's names: "
            f"{', '.join(map(repr, given.classes[:3]))}, ... Give matching names with --names FILE."
        )
    return DescriptionSet(tuple(names), tuple(by_name[_folded(name)] for name in names))


def _folded(name: str) -> str:
    return " ".join(wordify(name).casefold().split())

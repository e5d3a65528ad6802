"""Classes and the texts that describe them.

A `DescriptionSet` is the one form in which classes enter crossalign: an ordered list of class
names, each with its texts, or with none at all ("names only"). It is checked when it is made, so
everything behind it can trust it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossalign.errors import DescriptionError
from crossalign.texts.class_files import (
    PROVENANCE,
    check_content,
    file_format,
    listed_names,
    parse_json,
    read_text,
    write_classes,
)
from crossalign.texts.validation import (
    as_items,
    clean,
    clean_texts,
    copy_provenance,
    kind,
    reject_lookalikes,
)
from crossalign.utils.text import counted, did_you_mean, quoted

__all__ = ["DescriptionSet", "wordify"]


def wordify(name: str) -> str:
    """Turn the underscores of a class name into spaces, as published WCA does in every prompt.

    Args:
        name: A class name, often the name of a folder.

    Returns:
        The name with each ``_`` replaced by a space; nothing else changes.

    Example:
        >>> wordify("german_shorthaired")
        'german shorthaired'
    """
    return name.replace("_", " ")


@dataclass(frozen=True, slots=True, repr=False)
class DescriptionSet:
    """Class names in order, each with the texts that describe it.

    Whitespace around names and texts is removed. A text that occurs twice in one class is kept
    twice on purpose: it then counts twice, in the mean as in the softmax, as in the published
    code. Names keep their underscores; see `wordify`.

    Args:
        classes: Class names, at least one, no two alike after folding case, whitespace and
            underscores (text encoders of the CLIP kind lower-case what they read, so two such
            classes would tie on every image).
        texts: One tuple of texts for each class, in the same order. Either every class has at
            least one text, or none has any (a plain class list).
        provenance: Where the texts came from, a JSON object of any content, or None. It is kept
            and saved with the set, and otherwise of no consequence: two sets that differ in it
            alone are equal.

    Raises:
        DescriptionError: Something above does not hold.

    Example:
        >>> pets = DescriptionSet.from_mapping({"tabby cat": ["striped fur"], "pug": ["flat face"]})
        >>> pets
        DescriptionSet(2 classes, 2 texts, 1 each: 'tabby cat', 'pug')
        >>> pets["pug"]
        ('flat face',)
    """

    classes: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    provenance: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)
    _positions: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = as_items(self.classes, "class names")
        classes = tuple(clean(name, "a class name", f"at position {i}") for i, name in names)
        if not classes:
            raise DescriptionError("Expected at least one class, got none. Name the classes.")
        reject_lookalikes(classes)
        groups = [group for _, group in as_items(self.texts, "tuples of texts")]
        if len(groups) != len(classes):
            raise DescriptionError(
                f"Expected one tuple of texts for each of the {len(classes)} classes, "
                f"got {len(groups)}. Give an empty tuple for every class if there are no texts."
            )
        texts = tuple(clean_texts(c, group) for c, group in zip(classes, groups, strict=True))
        empty = [name for name, group in zip(classes, texts, strict=True) if not group]
        if empty and len(empty) < len(classes):
            raise DescriptionError(
                f"Expected at least one text for every class, got none for {quoted(empty)} "
                f"({len(empty)} of {len(classes)} classes). Write a text for each of them, "
                "or leave out all texts."
            )
        object.__setattr__(self, "classes", classes)
        object.__setattr__(self, "texts", texts)
        object.__setattr__(self, "provenance", copy_provenance(self.provenance))
        object.__setattr__(self, "_positions", {name: i for i, name in enumerate(classes)})

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Iterable[str]]) -> DescriptionSet:
        """Make a set from ``{class: [text, ...]}``.

        Args:
            mapping: Class names to their texts, in the order that scores will have. A mapping
                under the key ``$provenance`` is not a class but says where the texts came from.

        Returns:
            The checked set.

        Raises:
            DescriptionError: The mapping is not one, or a name or text is not usable.

        Example:
            >>> DescriptionSet.from_mapping({"owl": ["a round face", "large eyes"]})["owl"]
            ('a round face', 'large eyes')
        """
        if not isinstance(mapping, Mapping):
            raise DescriptionError(
                f"Expected a mapping of class names to lists of texts, got {kind(mapping)}. "
                "For names alone, use DescriptionSet.from_classes."
            )
        provenance = mapping.get(PROVENANCE)
        if isinstance(provenance, Mapping):
            mapping = {name: texts for name, texts in mapping.items() if name != PROVENANCE}
        else:  # a list: somebody's class has that name
            provenance = None
        return cls(tuple(mapping), tuple(mapping.values()), provenance)  # type: ignore[arg-type]

    @classmethod
    def from_classes(cls, names: Iterable[str]) -> DescriptionSet:
        """Make a set of class names without texts.

        Args:
            names: Class names, in the order that scores will have.

        Returns:
            The checked set; its ``has_descriptions`` is false.

        Raises:
            DescriptionError: No name, or one that is not usable.

        Example:
            >>> DescriptionSet.from_classes(["cat", "dog"])
            DescriptionSet(2 classes, names only: 'cat', 'dog')
        """
        classes = tuple(name for _, name in as_items(names, "class names"))
        return cls(classes, ((),) * len(classes))

    @classmethod
    def of(
        cls, obj: DescriptionSet | Mapping[str, Iterable[str]] | Iterable[str]
    ) -> DescriptionSet:
        """Make a set from whatever names classes: a set, a mapping or a sequence of names.

        Args:
            obj: A `DescriptionSet` (returned as it is), a mapping as for `from_mapping`, or
                names as for `from_classes`.

        Returns:
            The checked set.

        Raises:
            DescriptionError: Anything else, a lone string or path among it.

        Example:
            >>> DescriptionSet.of(["cat", "dog"]).classes
            ('cat', 'dog')
        """
        if isinstance(obj, DescriptionSet):
            return obj
        if isinstance(obj, Mapping):
            return cls.from_mapping(obj)
        return cls.from_classes(obj)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> DescriptionSet:
        """Read a set from a file.

        ``.json`` holds ``{class: [text, ...]}``, the format in which CuPL (Pratt et al., 2023)
        and CLIP-D (Menon and Vondrick, 2023) publish theirs, or a list of class names. An object
        under the key ``$provenance`` says where the texts came from and is no class. ``.txt``
        holds one class name a line; blank lines and lines that start with ``#`` are skipped.
        Both are UTF-8, with or without a byte order mark.

        Args:
            path: The file.

        Returns:
            The checked set, in the order of the file.

        Raises:
            DescriptionError: The file is missing, broken, or names classes that are not usable.
                The message starts with the path.
        """
        file = Path(path)
        names_only = not file.is_dir() and file_format(file) == ".txt"
        try:
            text = read_text(file)
            if names_only:
                return cls.from_classes(listed_names(text))
            content = parse_json(text)
            check_content(content)
            return cls.of(content)
        except DescriptionError as error:
            raise DescriptionError(f"{file}: {error}") from error.__cause__

    def save(self, path: str | os.PathLike[str]) -> None:
        r"""Write the set to a file that `load` reads back as an equal set.

        The file appears whole or not at all, and equal sets give equal bytes (UTF-8, ``\n``).

        Args:
            path: A ``.json`` file, or a ``.txt`` file if the set has names only. It is replaced
                if it is there; its folder must be.

        Raises:
            DescriptionError: Another ending, texts for a ``.txt`` file, or a file that cannot
                be written.
        """
        file = Path(path)
        content: Any = self.to_dict() if self.has_descriptions else list(self.classes)
        if file_format(file) == ".txt":
            if self.has_descriptions or any(name.startswith("#") for name in self.classes):
                raise DescriptionError(
                    f"{file}: expected a .json file, got .txt, which holds only class names that "
                    "do not start with '#'. Save to a .json file."
                )
            content = "".join(f"{name}\n" for name in self.classes)
        elif self.has_descriptions and self.provenance is not None:
            content[PROVENANCE] = self.provenance
        write_classes(file, content)

    def to_dict(self) -> dict[str, list[str]]:
        """Copy the set into plain ``{class: [text, ...]}``.

        Returns:
            A new dictionary in class order; its lists are empty if the set has names only.
        """
        return {c: list(texts) for c, texts in zip(self.classes, self.texts, strict=True)}

    @property
    def has_descriptions(self) -> bool:
        """Whether every class has texts (otherwise none has)."""
        return bool(self.texts[0])

    def index(self, name: str) -> int:
        """Find the position of a class.

        Args:
            name: A class name, exactly as in ``classes``.

        Returns:
            Its position, from 0.

        Raises:
            DescriptionError: There is no such class; the message names the nearest ones.
        """
        try:
            return self._positions[name]
        except (KeyError, TypeError):
            hint = did_you_mean(name, self.classes, 3) or f" Known: {quoted(self.classes)}."
            raise DescriptionError(
                f"Expected one of the {len(self)} classes, got {name!r}.{hint}"
            ) from None

    def subset(self, classes: Iterable[str]) -> DescriptionSet:
        """Keep some classes, in the order given.

        Args:
            classes: Names of classes of this set.

        Returns:
            A new set.

        Raises:
            DescriptionError: A class is unknown or named twice, or none is named.

        Example:
            >>> DescriptionSet.of(["cat", "dog", "hen"]).subset(["hen", "cat"]).classes
            ('hen', 'cat')
        """
        positions = [self.index(name) for _, name in as_items(classes, "class names")]
        return DescriptionSet(
            tuple(self.classes[i] for i in positions),
            tuple(self.texts[i] for i in positions),
            self.provenance,
        )

    def __len__(self) -> int:
        return len(self.classes)

    def __iter__(self) -> Iterator[str]:
        return iter(self.classes)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._positions

    def __getitem__(self, name: str) -> tuple[str, ...]:
        return self.texts[self.index(name)]

    def __repr__(self) -> str:
        plural = "" if len(self) == 1 else "es"
        counts = sorted({len(group) for group in self.texts})
        each = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        total = sum(len(group) for group in self.texts)
        what = f"{counted(total, 'text')}, {each} each" if total else "names only"
        return f"DescriptionSet({len(self)} class{plural}, {what}: {quoted(self.classes)})"

"""A description file as it stands, whatever is wrong with it.

`DescriptionSet.load` refuses a file at its first fault; the linter must read on and name them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from crossalign.errors import DescriptionError
from crossalign.texts.class_files import (
    PROVENANCE,
    check_content,
    file_format,
    listed_names,
    parse_json,
    read_bytes,
)
from crossalign.texts.descriptions import DescriptionSet
from crossalign.texts.lint.findings import Finding
from crossalign.texts.quality import visible
from crossalign.texts.validation import kind


class Pairs(dict[str, Any]):
    """A JSON object that remembers its pairs, repeated keys included."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


class DraftText(NamedTuple):
    """One text as it stands in a file.

    Args:
        class_name: Its class.
        position: In the file's list of texts of the class, from 0.
        text: The text.
    """

    class_name: str
    position: int
    text: str


@dataclass(slots=True)
class DraftClass:
    """One class as it stands in a file.

    Args:
        name: Its name.
        texts: Those of its texts that are texts.
    """

    name: str
    texts: list[DraftText]


@dataclass(slots=True)
class Draft:
    """A file, or a set, laid open for the checks.

    Args:
        classes: In the order of the file; names may come twice.
        findings: What was found while reading.
        provenance: What stands under ``$provenance``.
        names_only: Whether it is a plain list of names.
        readable: Whether the content could be taken apart at all.
    """

    classes: list[DraftClass] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    provenance: Any = None
    names_only: bool = False
    readable: bool = True

    @property
    def texts(self) -> list[DraftText]:
        """All texts, class after class."""
        return [text for entry in self.classes for text in entry.texts]

    def add(self, name: str, texts: Iterable[tuple[int, str]] = ()) -> None:
        """Add a class.

        Args:
            name: Its name.
            texts: Its texts and their positions.
        """
        listed = [DraftText(name, position, text) for position, text in texts]
        self.classes.append(DraftClass(name, listed))

    def fault(self, message: str, *where: Any, check: str = "structure") -> None:
        """Note a fault of the file's form.

        Args:
            message: What is wrong; anything in it is made safe to print.
            *where: Class, position and text, as far as it is about them.
            check: What finds such faults.
        """
        self.findings.append(Finding("error", check, visible(message, 400), *where))


def draft_of(classes: DescriptionSet) -> Draft:
    """Lay a checked set open.

    Args:
        classes: The set.

    Returns:
        The same as a draft.
    """
    draft = Draft(provenance=classes.provenance, names_only=not classes.has_descriptions)
    for name, texts in zip(classes.classes, classes.texts, strict=True):
        draft.add(name, enumerate(texts))
    return draft


def read_draft(file: Path) -> Draft:
    """Read a description file, faults and all.

    Args:
        file: A ``.json`` or ``.txt`` file.

    Returns:
        What it holds, and what was wrong with its form.

    Raises:
        DescriptionError: If there is no such file, or it cannot be read or is far too large.
    """
    names_only = file_format(file) == ".txt"
    try:
        content = read_bytes(file)
    except DescriptionError as error:
        raise DescriptionError(f"{file}: {error}") from error.__cause__
    draft = Draft(names_only=names_only)
    text = _decoded(content, draft)
    if names_only:
        for name in listed_names(text):
            draft.add(name)
    elif text.strip():
        _take_apart(text, draft)
    if draft.readable and not draft.classes:
        draft.fault("no class at all. Name the classes.")
    return draft


def _decoded(content: bytes, draft: Draft) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        draft.fault(
            f"not UTF-8 (byte {error.start} is 0x{content[error.start]:02x}); read as "
            "Windows-1252 here. Save the file as UTF-8.",
            check="encoding",
        )
        return content.decode("cp1252", errors="replace")


def _take_apart(text: str, draft: Draft) -> None:
    try:
        # Not strict: a raw control character within a string is found below, and can be mended.
        content = parse_json(text, Pairs, strict=False)
        check_content(content)
    except DescriptionError as error:
        draft.readable = False
        draft.fault(str(error))
        return
    if isinstance(content, Pairs):
        for name, value in content.pairs:
            if name == PROVENANCE and isinstance(value, Pairs):
                draft.provenance = value
            else:
                draft.add(name, _texts(name, value, draft))
        return
    draft.names_only = True
    for position, name in enumerate(content):
        if isinstance(name, str):
            draft.add(name)
        else:
            draft.fault(f"class name {position} is {_kind(name)}, not a string.")


def _texts(name: str, value: Any, draft: Draft) -> Iterator[tuple[int, str]]:
    if isinstance(value, str):
        draft.fault("a lone text; put it into a list.", name, 0, value)
        value = [value]
    elif not isinstance(value, list):
        draft.fault(f"{_kind(value)} in place of a list of texts.", name)
        value = []
    for position, text in enumerate(value):
        if isinstance(text, str):
            yield position, text
        else:
            draft.fault(f"{_kind(text)} in place of a text.", name, position)


def _kind(value: Any) -> str:
    return "an object" if isinstance(value, Pairs) else kind(value)

"""A description file as it stands, whatever is wrong with it.

`DescriptionSet.load` refuses a file at its first fault; the linter must read on and name them all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossalign.errors import DescriptionError
from crossalign.texts.descriptions import DescriptionSet
from crossalign.texts.lint.findings import Finding
from crossalign.texts.quality import visible
from crossalign.texts.validation import PROVENANCE, kind

MAX_BYTES = 256 * 1024 * 1024


class Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs, repeated keys included."""


@dataclass(slots=True)
class DraftClass:
    """One class as it stands in a file.

    Args:
        name: Its name.
        texts: Position in the file's list, and text.
    """

    name: str
    texts: list[tuple[int, str]]


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

    def all_texts(self) -> Iterator[tuple[DraftClass, int, str]]:
        """Walk over the texts.

        Yields:
            Class, position in the class, text.
        """
        for entry in self.classes:
            for position, text in entry.texts:
                yield entry, position, text


def draft_of(classes: DescriptionSet) -> Draft:
    """Lay a checked set open.

    Args:
        classes: The set.

    Returns:
        The same as a draft.
    """
    entries = [
        DraftClass(name, list(enumerate(texts)))
        for name, texts in zip(classes.classes, classes.texts, strict=True)
    ]
    return Draft(entries, [], classes.provenance, names_only=not classes.has_descriptions)


def read_draft(file: Path) -> Draft:
    """Read a description file, faults and all.

    Args:
        file: A ``.json`` or ``.txt`` file.

    Returns:
        What it holds, and what was wrong with its form.

    Raises:
        DescriptionError: If there is no such file, or it cannot be read or is far too large.
    """
    if file.suffix.lower() not in (".json", ".txt"):
        raise DescriptionError(
            f"{file}: expected a .json or .txt file, got the ending '{file.suffix}'."
        )
    try:
        size = file.stat().st_size
        if size > MAX_BYTES:
            raise DescriptionError(
                f"{file}: expected at most {MAX_BYTES >> 20} MiB, got {size >> 20} MiB."
            )
        content = file.read_bytes()
    except OSError as error:
        raise DescriptionError(
            f"{file}: expected a readable file, got: {error.strerror or error}. Check the path."
        ) from error
    draft = Draft()
    text = _decoded(content, draft)
    if file.suffix.lower() == ".txt":
        lines = [line.strip() for line in text.replace("\r", "\n").split("\n")]
        draft.names_only = True
        draft.classes = [DraftClass(x, []) for x in lines if x and not x.startswith("#")]
    elif text.strip():
        _take_apart(text, draft)
    if draft.readable and not draft.classes:
        _fault(draft, "structure", "no class at all. Name the classes.")
    return draft


def _decoded(content: bytes, draft: Draft) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _fault(
            draft,
            "encoding",
            f"not UTF-8 (byte {error.start} is 0x{content[error.start]:02x}); read as "
            "Windows-1252 here. Save the file as UTF-8.",
        )
        return content.decode("cp1252", errors="replace")


def _take_apart(text: str, draft: Draft) -> None:
    try:
        # Not strict: a raw control character within a string is found below, and can be mended.
        content = json.loads(text, object_pairs_hook=Pairs, strict=False)
    except json.JSONDecodeError as error:
        draft.readable = False
        where = f"line {error.lineno}, column {error.colno}"
        _fault(draft, "structure", f"broken JSON in {where}: {error.msg}. Mend it there.")
        return
    except (ValueError, RecursionError) as error:
        draft.readable = False
        _fault(draft, "structure", f"JSON of another kind ({error}). Write {{class: [text, ...]}}.")
        return
    if isinstance(content, Pairs):
        for name, value in content:
            if name == PROVENANCE and isinstance(value, Pairs):
                draft.provenance = as_dict(value)
            else:
                draft.classes.append(DraftClass(name, _texts(name, value, draft)))
    elif isinstance(content, list):
        draft.names_only = True
        for position, name in enumerate(content):
            if isinstance(name, str):
                draft.classes.append(DraftClass(name, []))
            else:
                _fault(draft, "structure", f"class name {position} is {_kind(name)}, not a string.")
    else:
        draft.readable = False
        _fault(
            draft,
            "structure",
            f"{_kind(content)}, and not an object {{class: [text, ...]}} or a list of names.",
        )


def _texts(name: str, value: Any, draft: Draft) -> list[tuple[int, str]]:
    if isinstance(value, str):
        _fault(draft, "structure", "a lone text; put it into a list.", name, 0, value)
        return [(0, value)]
    if isinstance(value, Pairs) or not isinstance(value, list):
        _fault(draft, "structure", f"{_kind(value)} in place of a list of texts.", name)
        return []
    texts = []
    for position, text in enumerate(value):
        if isinstance(text, str):
            texts.append((position, text))
        else:
            _fault(draft, "structure", f"{_kind(text)} in place of a text.", name, position)
    return texts


def as_dict(value: Any) -> Any:
    """Turn pairs back into dictionaries, at any depth.

    Args:
        value: What the JSON held.

    Returns:
        The same of plain dictionaries and lists; of repeated keys the last counts.
    """
    if isinstance(value, Pairs):
        return {key: as_dict(item) for key, item in value}
    if isinstance(value, list):
        return [as_dict(item) for item in value]
    return value


def _kind(value: Any) -> str:
    return visible("an object" if isinstance(value, Pairs) else kind(value))


def _fault(
    draft: Draft,
    check: str,
    message: str,
    name: str | None = None,
    position: int | None = None,
    text: str | None = None,
) -> None:
    draft.findings.append(Finding("error", check, message, name, position, text))

"""What the linter can mend without guessing at anybody's meaning."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossalign.errors import DescriptionError
from crossalign.texts.class_files import PROVENANCE, write_classes
from crossalign.texts.lint.draft import Draft, read_draft
from crossalign.texts.quality import bad_characters, mended_mojibake, text_id, visible
from crossalign.texts.validation import lookalike_key


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that was mended.

    Args:
        fix: Name of the fix.
        class_name: The class.
        message: What was done, in one line that is safe to print.
    """

    fix: str
    class_name: str
    message: str


def _without_bad_characters(text: str) -> str:
    bad = set(bad_characters(text))
    spaces = "\t\n\v\f\r\x85\u2028\u2029"
    return "".join(
        " " if char in spaces else char for char in text if char not in bad or char in spaces
    )


# In this order: each sees what the one before it made.
TEXT_FIXES: dict[str, Callable[[str], str]] = {
    "encoding": mended_mojibake,
    "characters": _without_bad_characters,
    "composition": lambda text: unicodedata.normalize("NFC", text),
    "spaces": lambda text: " ".join(text.split()),
}
"""Fixes of one text by name, none of which changes its words."""


def fix(path: str | Path) -> list[Change]:
    """Mend a JSON description file in place.

    Mended are: UTF-8 read as Windows-1252, control and invisible characters, decomposed accents,
    odd spaces and line breaks, empty texts, texts that stand twice in one class, lone texts in
    place of lists, and one class name that stands twice with two lists. The file is replaced whole
    or not at all, and not touched where nothing was to mend; what is mended is laid out with two
    spaces. Provenance follows its texts.

    Args:
        path: A ``.json`` file.

    Returns:
        What was changed, in the order of the file.

    Raises:
        DescriptionError: If it is no such file, broken beyond reading, or cannot be written.
    """
    file = Path(path)
    if file.suffix.lower() != ".json":
        raise DescriptionError(f"{file}: only .json files can be mended; edit this one by hand.")
    draft = read_draft(file)
    reading = [found for found in draft.findings if found.check == "encoding"]
    if not draft.readable or reading or draft.names_only or not draft.classes:
        found = [finding.message for finding in draft.findings]
        why = found[0] if found else "it is no object {class: [text, ...]}"
        raise DescriptionError(f"{file}: cannot be mended: {why}")
    lost = [x for x in draft.findings if x.check == "structure" and x.text is None]
    if lost:  # writing the file anew would drop what is no text
        raise DescriptionError(
            f"{file}: cannot be mended before {visible(lost[0].class_name or '')!r} is: "
            f"{lost[0].message}"
        )
    changes = [
        Change("structure", found.class_name or "", "a lone text was put into a list")
        for found in draft.findings
    ]
    renamed: dict[str, str] = {}
    content = _mended(draft, changes, renamed)
    if not changes:
        return []
    if draft.provenance is not None:
        content[PROVENANCE] = _follow(draft.provenance, renamed)
    write_classes(file, content)
    return changes


def _mended(draft: Draft, changes: list[Change], renamed: dict[str, str]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for entry in draft.classes:
        name = _mended_text(entry.name, entry.name, changes)
        if name in content:
            changes.append(Change("duplicate-class", name, "its two lists were merged"))
        texts: list[str] = content.setdefault(name, [])
        seen = {lookalike_key(text) for text in texts}
        for _, _, text in entry.texts:
            mended = _mended_text(text, name, changes)
            renamed[text_id(text)] = text_id(mended)
            if not mended:
                changes.append(Change("empty", name, "an empty text was removed"))
            elif lookalike_key(mended) in seen:
                message = f"'{visible(mended, 60)}' stood twice and now stands once"
                changes.append(Change("repeated", name, message))
            else:
                texts.append(mended)
            seen.add(lookalike_key(mended))
    return content


def _mended_text(text: str, class_name: str, changes: list[Change]) -> str:
    for name, mend in TEXT_FIXES.items():
        mended = mend(text)
        if mended != text:
            changes.append(
                Change(name, class_name, f"'{visible(text, 60)}' became '{visible(mended, 60)}'")
            )
        text = mended
    return text


def _follow(provenance: Any, renamed: dict[str, str]) -> Any:
    """Let identifiers of texts, wherever they stand, name the texts as they are now."""
    if isinstance(provenance, dict):
        return {key: _follow(value, renamed) for key, value in provenance.items()}
    if isinstance(provenance, list):
        return [_follow(value, renamed) for value in provenance]
    return renamed.get(provenance, provenance) if isinstance(provenance, str) else provenance

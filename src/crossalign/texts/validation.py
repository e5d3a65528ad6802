"""What class names and texts must be like; the checks behind `DescriptionSet`.

Every function raises `DescriptionError` with what was expected, what came and what to do.
"""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from crossalign.errors import DescriptionError


def kind(obj: object) -> str:
    """Say what was given, for a message."""
    if obj is None:
        return "nothing (null)"
    if isinstance(obj, str | bool | int | float):
        text = repr(obj)
        return f"the {type(obj).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
    return f"a {type(obj).__name__}"


def as_items(obj: object, what: str) -> Iterator[tuple[int, Any]]:
    """Walk over a list-like object with positions; refuse what only looks like a list."""
    if isinstance(obj, str | bytes | os.PathLike):
        remedy = f"Put it into a list: [{obj!r}]; to read a file, use DescriptionSet.load(path)."
    elif isinstance(obj, set | frozenset):
        remedy = "A set has no order to keep; pass sorted(...) of it."
    elif isinstance(obj, Mapping) or not isinstance(obj, Iterable):
        remedy = "Pass a list or tuple of strings."
    else:
        return enumerate(obj)
    raise DescriptionError(f"Expected a sequence of {what}, got {kind(obj)}. {remedy}")


def clean(value: object, what: str, where: str, *, line_breaks: bool = False) -> str:
    """Strip one name or text; refuse what no text encoder could read.

    Published descriptions hold line breaks and tabs; every tokeniser reads them as spaces, so in
    texts they are kept as they are.
    """
    if not isinstance(value, str):
        raise DescriptionError(
            f"Expected {what} to be a string, got {kind(value)} {where}. "
            "Write it as a string in quotes."
        )
    text = str(value).strip()
    seen = set(text) - set("\n\r\t") if line_breaks else set(text)
    categories = {unicodedata.category(char): char for char in sorted(seen)}
    if not categories.keys() - {"Cf", "Zs"}:  # nothing, or nothing but spaces and invisible marks
        raise DescriptionError(f"Expected {what}, got an empty one {where}. Fill it in or drop it.")
    for category in ("Cc", "Cs", "Zl", "Zp"):
        if category in categories:
            raise DescriptionError(
                f"Expected {what} of printable characters, got the control character "
                f"{categories[category]!r} in {text!r} {where}. Remove it or use a space."
            )
    return text


def clean_texts(name: str, group: object) -> tuple[str, ...]:
    """Check the texts of a class."""
    if group is None or isinstance(group, str | Mapping):
        remedy = "Write the texts as one flat list of strings."
        if isinstance(group, str):
            remedy = f"Put it into a list, even if it is the only one: [{group!r}]."
        raise DescriptionError(
            f"Expected a list of texts for class {name!r}, got {kind(group)}. {remedy}"
        )
    items = as_items(group, f"texts for class {name!r}")
    return tuple(
        clean(text, f"a text of class {name!r}", f"at position {i}", line_breaks=True)
        for i, text in items
    )


def copy_provenance(provenance: object) -> dict[str, Any] | None:
    """Copy a JSON object, so that what a set holds cannot change under it."""
    if provenance is None:
        return None
    try:
        if not isinstance(provenance, Mapping):
            raise TypeError(f"got {kind(provenance)}")
        copied: dict[str, Any] = json.loads(json.dumps(dict(provenance), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise DescriptionError(
            f"Expected provenance as a JSON object ({error}). Use texts, numbers, lists and "
            "objects, or leave it out."
        ) from None
    return copied


def reject_lookalikes(classes: tuple[str, ...]) -> None:
    """Refuse names that a text encoder cannot tell apart."""
    seen: dict[str, str] = {}
    for name in classes:
        key = lookalike_key(name)
        if key in seen:
            same = f"{name!r} twice" if seen[key] == name else f"{seen[key]!r} and {name!r}"
            raise DescriptionError(
                f"Expected every class once, got {same}. Case, underscores and extra "
                "spaces make no difference to the text encoder, so the two would tie silently on "
                "every image. Remove or rename one."
            )
        seen[key] = name


def lookalike_key(name: str) -> str:
    """Give what a text encoder cannot tell a name from: equal keys would tie on every image."""
    return " ".join(unicodedata.normalize("NFC", name).casefold().replace("_", " ").split())

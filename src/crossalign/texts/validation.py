"""What class names, texts and their files must be like; the checks behind `DescriptionSet`.

Every function raises `DescriptionError` with what was expected, what came and what to do.
"""

from __future__ import annotations

import json
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from crossalign.errors import DescriptionError
from crossalign.utils.files import write_text

if TYPE_CHECKING:
    from pathlib import Path

PROVENANCE = "$provenance"
"""Key of a description file under which stands where its texts came from, and not a class."""

FORMATS = (
    ".json ({class: [text, ...]} or a list of class names) or .txt (one class name a line, UTF-8)"
)


def some(names: Sequence[str], limit: int = 3) -> str:
    """Quote the first few names."""
    shown = ", ".join(repr(name) for name in names[:limit])
    return shown + (", ..." if len(names) > limit else "")


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


def check_class_name(name: object) -> None:
    """Refuse what cannot be put into a prompt as a class name."""
    clean(name, "a class name", "in a prompt")


def clean_texts(name: str, group: object) -> tuple[str, ...]:
    """Check the texts of a class."""
    if isinstance(group, str):
        raise DescriptionError(
            f"Expected a list of texts for class {name!r}, got {kind(group)}. "
            f"Put it into a list, even if it is the only one: [{group!r}]."
        )
    if group is None or isinstance(group, Mapping):
        raise DescriptionError(
            f"Expected a list of texts for class {name!r}, got {kind(group)}. "
            "Write the texts as one flat list of strings."
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


def check_content(content: object) -> None:
    """Refuse JSON that is neither an object nor a list."""
    if not isinstance(content, dict | list):
        raise DescriptionError(
            f"Expected an object {{class: [text, ...]}} or a list of class names, got "
            f"{kind(content)}. Rewrite the file in one of these forms."
        )


def read(file: Path) -> str:
    """Read a file of classes as text."""
    if file.is_dir():
        raise DescriptionError(f"Expected a file, got a folder. Expected {FORMATS}.")
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise DescriptionError("Expected a file, but there is none. Check the path.") from None
    except OSError as error:
        raise DescriptionError(
            f"Expected a readable file, got: {error.strerror or error}. Check its permissions."
        ) from error
    except UnicodeDecodeError as error:
        raise DescriptionError(
            f"Expected UTF-8 text, got other bytes (byte {error.start}). Save the file as UTF-8."
        ) from None
    if not text.strip():
        raise DescriptionError(f"Expected classes, but the file is empty. Expected {FORMATS}.")
    return text


def _unique_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    repeated = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    if repeated:
        raise DescriptionError(
            f"Expected every class once, got {some(repeated)} more than once in the JSON object; "
            "only the last would count. Merge the lists."
        )
    return dict(pairs)


def parse_json(text: str) -> Any:
    """Parse JSON in which no key may come twice."""
    try:
        return json.loads(text, object_pairs_hook=_unique_object)
    except DescriptionError:
        raise
    except json.JSONDecodeError as error:
        raise DescriptionError(
            f"Expected JSON, got broken JSON in line {error.lineno}, column {error.colno}: "
            f"{error.msg}. Mend it there."
        ) from None
    except (ValueError, RecursionError) as error:
        deep = isinstance(error, RecursionError)
        got = "lists or objects that are nested too deeply" if deep else f"something else ({error})"
        raise DescriptionError(
            f"Expected JSON of class names and texts, got {got}. Write {{class: [text, ...]}}."
        ) from None


def write_whole(file: Path, content: str) -> None:
    """Write a file that appears whole or not at all."""
    try:
        write_text(file, content)
    except OSError as error:
        raise DescriptionError(
            f"{file}: could not be written ({error.strerror or error}). "
            "Check that the folder exists and is writable."
        ) from error

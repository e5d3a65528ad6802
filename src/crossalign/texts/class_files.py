"""Files of classes and descriptions: what they may be called, and how they are read and written.

Every function raises `DescriptionError` with what was expected, what came and what to do.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crossalign.errors import DescriptionError
from crossalign.texts.validation import kind
from crossalign.utils.files import failing_as, write_text
from crossalign.utils.text import quoted

PROVENANCE = "$provenance"
"""Key of a description file under which stands where its texts came from, and not a class."""

FORMATS = (
    ".json ({class: [text, ...]} or a list of class names) or .txt (one class name a line, UTF-8)"
)


MAX_BYTES = 256 * 1024 * 1024
"""Largest file that is read."""


def file_format(file: Path) -> str:
    """Tell by its ending what is in a file of classes: ``.json`` or ``.txt``; refuse others."""
    suffix = file.suffix.lower()
    if suffix not in (".json", ".txt"):
        raise DescriptionError(f"{file}: expected {FORMATS}, got the ending '{suffix}'.")
    return suffix


def read_bytes(file: Path) -> bytes:
    """Read a file that is to be there."""
    if file.is_dir():
        raise DescriptionError(f"Expected a file, got a folder. Expected {FORMATS}.")
    try:
        if (size := file.stat().st_size) > MAX_BYTES:
            raise DescriptionError(f"Expected at most {MAX_BYTES >> 20} MiB, got {size >> 20} MiB.")
        return file.read_bytes()
    except FileNotFoundError:
        raise DescriptionError("Expected a file, but there is none. Check the path.") from None
    except OSError as error:
        raise DescriptionError(
            f"Expected a readable file, got: {error.strerror or error}. Check its permissions."
        ) from error


def read_text(file: Path) -> str:
    """Read a file of classes as text, UTF-8 with or without a byte order mark."""
    try:
        text = read_bytes(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DescriptionError(
            f"Expected UTF-8 text, got other bytes (byte {error.start}). Save the file as UTF-8."
        ) from None
    if not text.strip():
        raise DescriptionError(f"Expected classes, but the file is empty. Expected {FORMATS}.")
    return text


def listed_names(text: str) -> list[str]:
    """Take the class names out of a ``.txt`` file: one a line, but for comments."""
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n")]
    return [line for line in lines if line and not line.startswith("#")]


def _unique_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    repeated = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    if repeated:
        raise DescriptionError(
            f"Expected every class once, got {quoted(repeated)} more than once in the JSON object; "
            "only the last would count. Merge the lists."
        )
    return dict(pairs)


def parse_json(
    text: str,
    objects: Callable[[list[tuple[str, Any]]], Any] = _unique_object,
    *,
    strict: bool = True,
) -> Any:
    """Parse JSON.

    Objects are made of their pairs by ``objects``, which refuses repeated keys by default; if not
    ``strict``, texts may hold control characters.
    """
    try:
        return json.loads(text, object_pairs_hook=objects, strict=strict)
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


def check_content(content: object) -> None:
    """Refuse JSON that is neither an object nor a list."""
    if not isinstance(content, dict | list):
        raise DescriptionError(
            f"Expected an object {{class: [text, ...]}} or a list of class names, got "
            f"{kind(content)}. Rewrite the file in one of these forms."
        )


def write_classes(file: Path, content: Any) -> None:
    """Write a JSON file of classes that appears whole or not at all; a text as it is."""
    text = content
    if not isinstance(content, str):
        text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    remedy = "). Check that the folder exists and is writable."
    with failing_as(DescriptionError, f"{file}: could not be written (", remedy):
        write_text(file, text)

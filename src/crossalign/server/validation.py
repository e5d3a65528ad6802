"""Says what is wrong with a request's fields: what was expected, and what came."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from crossalign.utils.files import packaged_text

# By the names that Pydantic gives to what it finds, with what it knows of each filled in;
# ``expected`` is our own, see `schemas`.
_EXPECTED: dict[str, str] = json.loads(packaged_text("server", "expected.json"))
_COUNTED = ("too_long", "too_short")


def describe_invalid(
    errors: Iterable[Mapping[str, Any]], known: Sequence[str] = (), limit: int = 3
) -> str:
    """Say what is wrong with a request's fields.

    Args:
        errors: As Pydantic lists them.
        known: Names of all fields that there are.
        limit: How many to name.

    Returns:
        A sentence for each.
    """
    errors = list(errors)
    lines = [_sentence(error, known) for error in errors[:limit]]
    more = len(errors) - len(lines)
    return " ".join(lines) + (f" And {more} more." if more else "")


def _sentence(error: Mapping[str, Any], known: Sequence[str]) -> str:
    where = error["loc"][1:] if error["loc"][:1] in _PARTS else error["loc"]
    place = ".".join(map(_short, where)) or "request"
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return f"{place}: expected this field; it is missing."
    if kind == "extra_forbidden":
        return f"{place}: there is no such field; there are {', '.join(known)}."
    if kind not in _EXPECTED:
        return f"{place}: {error['msg'].rstrip('.')}."
    expected = _EXPECTED[kind].format_map(context)
    got = context["actual_length"] if kind in _COUNTED else _kind(error.get("input"))
    return f"{place}: expected {expected}; got {got}."


# Parts of a request that FastAPI names before a field.
_PARTS = (("path",), ("query",))


def _kind(value: object) -> str:
    """Name a value as JSON does; short ones as they are."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return _short(repr(value)) if value else "nothing"
    return "a list"


def _short(part: object) -> str:
    text = str(part)
    shown = text if len(text) <= 60 else text[:57] + "..."
    return shown if shown.isprintable() else repr(shown)

"""What somebody mended by hand in a finished file is not written over.

A file says of each class, in its provenance under ``written``, what its texts were when they were
written. A class whose texts are others now, or of which it says nothing, is somebody's own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from crossalign.errors import DescriptionError
from crossalign.texts.descriptions import DescriptionSet
from crossalign.texts.quality import text_id
from crossalign.texts.validation import lookalike_key

_WRITTEN = "written"


def stamped(described: DescriptionSet) -> DescriptionSet:
    """Note what the texts of each class are, so that a change by hand is seen.

    Args:
        described: What will be saved.

    Returns:
        The same, with ``written`` in its provenance.
    """
    written = {name: _mark(described[name]) for name in described}
    return dataclasses.replace(
        described, provenance={**(described.provenance or {}), _WRITTEN: written}
    )


def edited_by_hand(path: Path) -> DescriptionSet | None:
    """Find the classes of a file whose texts are not as they were written.

    Args:
        path: The file; it may not be there.

    Returns:
        Those classes, with the provenance of the file; None if there are none.

    Raises:
        DescriptionError: If there is a file that cannot be read.
    """
    if not path.exists():
        return None
    try:
        found = DescriptionSet.load(path)
    except DescriptionError as error:
        raise DescriptionError(
            f"{error} It stands where the descriptions shall go, and somebody may need it: mend "
            "it, move it, or add --overwrite."
        ) from error
    written = (found.provenance or {}).get(_WRITTEN)
    marks = written if isinstance(written, dict) else {}
    names = [name for name in found if found[name] and marks.get(name) != _mark(found[name])]
    return found.subset(names) if names else None


def without(names: Iterable[str], kept: DescriptionSet | None) -> list[str]:
    """List the classes that are not kept.

    Args:
        names: Class names.
        kept: Classes that are.

    Returns:
        Those of the names that are to be described.
    """
    held = {lookalike_key(name) for name in kept or ()}
    return [name for name in names if lookalike_key(name) not in held]


def merged(
    names: Iterable[str], described: DescriptionSet | None, kept: DescriptionSet | None
) -> DescriptionSet | None:
    """Put kept classes in the place of what was written for them.

    Args:
        names: Class names, in the order of the file.
        described: What was written.
        kept: What :func:`edited_by_hand` found. Of these, classes that are not among the names come
            last.

    Returns:
        All of it, with the provenance of both; None if there is nothing.
    """
    if kept is None:
        return described if described is None else stamped(described)
    held = {lookalike_key(name): name for name in kept}
    groups: dict[str, tuple[str, ...]] = {}
    for name in names:
        own = held.pop(lookalike_key(name), None)
        if own is not None:
            groups[own] = kept[own]
        elif described is not None and name in described:
            groups[name] = described[name]
    groups.update((own, kept[own]) for own in held.values())
    new = [name for name in groups if name not in kept]
    if described is None or not new:
        return kept.subset(groups)
    fresh, old = stamped(described.subset(new)).provenance or {}, kept.provenance or {}
    marks = old.get(_WRITTEN)
    provenance = {
        **fresh,
        "answers": _of(kept, old.get("answers")) + _of(described.subset(new), fresh.get("answers")),
        _WRITTEN: {
            **{name: mark for name, mark in _pairs(marks) if name in kept},
            **fresh[_WRITTEN],
        },
    }
    return DescriptionSet(tuple(groups), tuple(groups.values()), provenance)


def _mark(texts: Iterable[str]) -> str:
    return text_id("\n".join(text_id(text) for text in texts))


def _of(classes: DescriptionSet, answers: Any) -> list[Any]:
    """Those answers, in a file's provenance, that are about some classes."""
    listed = answers if isinstance(answers, list) else []
    return [item for item in listed if isinstance(item, dict) and item.get("class") in classes]


def _pairs(values: Any) -> list[tuple[str, Any]]:
    return list(values.items()) if isinstance(values, dict) else []

"""Lists of class names, and the other text files that data sets come with."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from crossalign.errors import EvaluationError
from crossalign.texts.descriptions import wordify


@dataclass(frozen=True, slots=True)
class Names:
    """Class names given by hand.

    Args:
        ordered: Names in class order.
        by_id: Names by class id; empty where the list has no ids.
        origin: Where they come from.
        by_name: Names by what the data set itself calls a class, letters and digits alone; empty
            where they go by id or by their order.
    """

    ordered: tuple[str, ...]
    by_id: Mapping[str, str]
    origin: str
    by_name: Mapping[str, str] = field(default_factory=dict)


def named(names: Names | None, class_ids: Sequence[str], own: Sequence[str]) -> tuple[str, ...]:
    """Choose the class names.

    Args:
        names: Those given by hand, if any.
        class_ids: Ids of the classes.
        own: The data set's own names.

    Returns:
        A name for each class.

    Raises:
        EvaluationError: If the given names do not fit the classes.
    """
    if names is None:
        return tuple(own)
    if names.by_id:
        unknown = [name for name in class_ids if name not in names.by_id]
        if unknown:
            raise EvaluationError(
                f"{names.origin}: expected a name for each of the {len(class_ids)} classes; there "
                f"is none for {', '.join(map(repr, unknown[:3]))} ({len(unknown)} in all)."
            )
        return tuple(names.by_id[name] for name in class_ids)
    if names.by_name:
        strange = [name for name in own if _bare(name) not in names.by_name]
        if strange:
            raise EvaluationError(
                f"{names.origin}: expected the data set's own class names but for case and "
                f"punctuation; there is none like {', '.join(map(repr, strange[:3]))} "
                f"({len(strange)} in all). A .csv file with the columns folder,class_name names "
                "classes in any way."
            )
        return tuple(names.by_name[_bare(name)] for name in own)
    if len(names.ordered) != len(class_ids):
        raise EvaluationError(
            f"{names.origin}: expected {len(class_ids)} class names, one for each class in the "
            f"order {', '.join(map(repr, class_ids[:3]))}, ...; got {len(names.ordered)}. A .csv "
            "file with the columns folder,class_name names classes in any order."
        )
    return names.ordered


def read_names(path: Path) -> Names:
    """Read class names from a file, doubles and all.

    ``.txt``: one a line, in class order. ``.csv``: columns ``folder,class_name``. ``.json``: a list
    in class order, ``{id: name}``, ``{index: [id, name]}`` as in the class index of ImageNet that
    Keras and torchvision publish, or a file of descriptions, ``{name: [description, ...]}``, whose
    names are matched with the data set's own.

    Args:
        path: The file.

    Returns:
        The names.

    Raises:
        EvaluationError: If the file cannot be read or holds something else.
    """
    readers = {".txt": _names_txt, ".csv": _names_csv, ".json": _names_json}
    if path.suffix.lower() not in readers:
        raise EvaluationError(
            f"{path}: expected class names in a .txt, .csv or .json file; got the ending "
            f"'{path.suffix}'."
        )
    text = read_text(path)
    try:
        ordered, by_id, by_name = readers[path.suffix.lower()](text)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise EvaluationError(
            f"{path}: expected class names, one a line (.txt), folder,class_name (.csv), or a list "
            f"or a mapping (.json); got something else ({error})."
        ) from error
    if not ordered or any(not str(name).strip() for name in ordered):
        raise EvaluationError(f"{path}: expected a name for every class; some are empty.")
    return Names(tuple(ordered), by_id, str(path), by_name)


_Found: TypeAlias = tuple[list[str], dict[str, str], dict[str, str]]
"""Names in order, by id and by the data set's own names."""


def _names_txt(text: str) -> _Found:
    return [line.strip() for line in text.splitlines() if line.strip()], {}, {}


def _names_csv(text: str) -> _Found:
    rows = list(csv.DictReader(text.splitlines()))
    by_id = {row["folder"]: row["class_name"] for row in rows}
    if len(by_id) != len(rows):
        raise ValueError("a folder stands in it twice")
    return list(by_id.values()), by_id, {}


def _names_json(text: str) -> _Found:
    content = json.loads(text)
    if isinstance(content, list):
        return content, {}, {}
    values = list(content.values())
    if all(isinstance(value, str) for value in values):
        return values, dict(content), {}
    if not all(key.isdecimal() for key in content):
        return _described(content)
    pairs = sorted((int(index), value) for index, value in content.items())
    by_id = {folder: wordify(name) for _, (folder, name) in pairs}
    return list(by_id.values()), by_id, {}


def _described(content: dict[str, Any]) -> _Found:
    """Take the names of a file of descriptions; what begins with $ is not about a class."""
    found = {key: texts for key, texts in content.items() if not key.startswith("$")}
    if not all(isinstance(texts, list) for texts in found.values()):
        raise ValueError("it is neither of names nor of descriptions")
    by_name = {_bare(name): name for name in found}
    if len(by_name) != len(found):
        raise ValueError("two names differ in case or punctuation alone")
    return list(found), {}, by_name


def _bare(name: str) -> str:
    """Leave of a name what is alike in every way of writing it."""
    return "".join(filter(str.isalnum, name.casefold()))


def read_text(path: Path) -> str:
    """Read a text file of a data set.

    Args:
        path: The file.

    Returns:
        Its text.

    Raises:
        EvaluationError: If it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise EvaluationError(f"{path}: expected a text file; it cannot be read ({reason}).") from (
            error
        )

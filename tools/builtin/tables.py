"""Read and check the two word tables the built-in model is made from.

Run it with no arguments to check the tables that lie beside it and print their counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HERE = Path(__file__).resolve().parent
CLASSES_PATH = HERE / "imagenet_classes.tsv"
GROUPS_PATH = HERE / "everyday_groups.tsv"
CLASS_COUNT = 1000

_WORDNET_ID = re.compile(r"n\d{8}")
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


@dataclass(frozen=True)
class ClassRow:
    """One ILSVRC-2012 class.

    Attributes:
        index: Position in the standard order, 0 to 999.
        wordnet_id: WordNet id, such as ``n01440764``.
        names: Names for the class, the everyday one first.
    """

    index: int
    wordnet_id: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class GroupRow:
    """One everyday word above the classes.

    Attributes:
        names: Names for the group, the everyday one first.
        members: Indices of the member classes, ascending.
    """

    names: tuple[str, ...]
    members: tuple[int, ...]


def read_classes(path: Path) -> list[ClassRow]:
    """Read and check the class table.

    Args:
        path: The tab-separated file: index, WordNet id, names joined with ``"; "``.

    Returns:
        The 1000 rows in index order.

    Raises:
        ValueError: If a row is malformed, out of order or repeats a WordNet id or a name, or if the
            file does not hold exactly 1000 rows.
    """
    rows: list[ClassRow] = []
    ids: dict[str, int] = {}
    owners: dict[str, int] = {}
    for number, fields in _data_lines(path, 3):
        index_text, wordnet_id, names_text = fields
        if index_text != str(len(rows)):
            raise ValueError(f"{path}:{number}: expected index {len(rows)}, got {index_text!r}")
        if not _WORDNET_ID.fullmatch(wordnet_id):
            raise ValueError(f"{path}:{number}: not a WordNet noun id: {wordnet_id!r}")
        if wordnet_id in ids:
            raise ValueError(
                f"{path}:{number}: {wordnet_id} already stands on line {ids[wordnet_id]}"
            )
        ids[wordnet_id] = number
        names = _names(path, number, names_text)
        _claim(path, number, names, owners)
        rows.append(ClassRow(index=len(rows), wordnet_id=wordnet_id, names=names))
    if len(rows) != CLASS_COUNT:
        raise ValueError(f"{path}: expected {CLASS_COUNT} classes, got {len(rows)}")
    return rows


def read_groups(path: Path) -> list[GroupRow]:
    """Read and check the table of everyday words.

    Args:
        path: The tab-separated file: names joined with ``"; "``, member indices or ranges.

    Returns:
        The rows in file order.

    Raises:
        ValueError: If a row is malformed, repeats a name of another row, or lists members that are
            out of range or not ascending, or if the file holds no rows.
    """
    rows: list[GroupRow] = []
    owners: dict[str, int] = {}
    for number, (names_text, members_text) in _data_lines(path, 2):
        names = _names(path, number, names_text)
        _claim(path, number, names, owners)
        rows.append(GroupRow(names=names, members=_members(path, number, members_text)))
    if not rows:
        raise ValueError(f"{path}: no groups in the file")
    return rows


def check_apart(classes: Sequence[ClassRow], groups: Sequence[GroupRow]) -> None:
    """Check that no group bears the name of a class.

    Args:
        classes: Rows of the class table.
        groups: Rows of the table of everyday words.

    Raises:
        ValueError: If a name stands in both tables, whatever its case.
    """
    owners = {name.casefold(): row.index for row in classes for name in row.names}
    for group in groups:
        for name in group.names:
            if name.casefold() in owners:
                raise ValueError(
                    f"the group name {name!r} is a name of class {owners[name.casefold()]} too"
                )


def _data_lines(path: Path, columns: int) -> Iterator[tuple[int, list[str]]]:
    """Yield each data line's number and fields, past comments.

    Args:
        path: The file to read.
        columns: How many tab-separated fields each line must have.

    Yields:
        The line number, counted from 1, and the fields.

    Raises:
        ValueError: If a line is empty or has another number of fields.
    """
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != columns:
            raise ValueError(
                f"{path}:{number}: expected {columns} tab-separated fields, got {len(fields)}"
            )
        yield number, fields


def _names(path: Path, number: int, text: str) -> tuple[str, ...]:
    """Split a field of names and check each.

    Args:
        path: The file, for the message.
        number: The line number, for the message.
        text: Names joined with ``"; "``.

    Returns:
        The names in order.

    Raises:
        ValueError: If a name is empty, padded or written with an underscore, or stands twice.
    """
    names = tuple(text.split("; "))
    for name in names:
        if not name or name != " ".join(name.split()) or "_" in name or ";" in name:
            raise ValueError(f"{path}:{number}: badly written name {name!r} in {text!r}")
    if len({name.casefold() for name in names}) != len(names):
        raise ValueError(f"{path}:{number}: a name stands twice in {text!r}")
    return names


def _claim(path: Path, number: int, names: Sequence[str], owners: dict[str, int]) -> None:
    """Enter a row's names, refusing one that an earlier row has.

    Args:
        path: The file, for the message.
        number: The row's line number.
        names: The row's names.
        owners: Line number of each folded name so far; added to.

    Raises:
        ValueError: If an earlier row has one of the names, whatever its case.
    """
    for name in names:
        first = owners.setdefault(name.casefold(), number)
        if first != number:
            raise ValueError(f"{path}:{number}: the name {name!r} already stands on line {first}")


def _members(path: Path, number: int, text: str) -> tuple[int, ...]:
    """Spell out a field of indices and ranges.

    Args:
        path: The file, for the message.
        number: The line number, for the message.
        text: Comma-separated indices or ranges, such as ``"7,10-12"``.

    Returns:
        The indices, ascending.

    Raises:
        ValueError: If a part is malformed, out of range, or not above the part before it.
    """
    members: list[int] = []
    for part in text.split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise ValueError(f"{path}:{number}: not an index or a range a-b: {part!r}")
        first = int(match[1])
        last = first if match[2] is None else int(match[2])
        if last >= CLASS_COUNT:
            raise ValueError(f"{path}:{number}: {part!r} is above the last index {CLASS_COUNT - 1}")
        if (match[2] is not None and last <= first) or (members and first <= members[-1]):
            raise ValueError(f"{path}:{number}: {part!r} is not in ascending order in {text!r}")
        members.extend(range(first, last + 1))
    return tuple(members)


def main() -> None:
    """Check the two tables beside this script and print their counts."""
    classes = read_classes(CLASSES_PATH)
    groups = read_groups(GROUPS_PATH)
    check_apart(classes, groups)
    class_names = sum(len(row.names) for row in classes)
    group_names = sum(len(row.names) for row in groups)
    members = [len(row.members) for row in groups]
    covered = len({index for row in groups for index in row.members})
    print(f"{CLASSES_PATH.name}: {len(classes)} classes, {class_names} names")
    print(
        f"{GROUPS_PATH.name}: {len(groups)} groups, {group_names} names, {sum(members)} memberships"
        f" ({members.count(1)} groups of one), {covered} classes covered"
    )


if __name__ == "__main__":
    main()

"""The data files of this room: words, templates and classes that ship with the package."""

from __future__ import annotations

from importlib import resources


def data_text(name: str) -> str:
    """Read a data file.

    Args:
        name: Its name in ``texts/data``.

    Returns:
        Its text.
    """
    return (resources.files("crossalign.texts") / "data" / name).read_text(encoding="utf-8")


def data_lists(name: str) -> dict[str, list[str]]:
    """Read a data file of lists: ``[name]`` begins one, each further line is an item of it.

    Args:
        name: Its name in ``texts/data``.

    Returns:
        Items by the names of their lists, without empty lines and those that start with ``#``.
    """
    lists: dict[str, list[str]] = {}
    for line in data_text(name).splitlines():
        if line.startswith("["):
            items = lists[line.strip("[]")] = []
        elif line and not line.startswith("#"):
            items.append(line)
    return lists


def data_words(name: str) -> dict[str, list[str]]:
    """Read a data file of lists of single words, however many stand in a line.

    Args:
        name: Its name in ``texts/data``.

    Returns:
        Words by the names of their lists.
    """
    return {key: " ".join(lines).split() for key, lines in data_lists(name).items()}

"""The bank: ready visual descriptions of everyday classes, found by name.

It knows some 1,300 classes (ImageNet's thousand, breeds of pets, groceries, textures and everyday
words) by their names, other names, plurals and spellings, each with seven descriptions of parts,
surfaces and views, written for this package. The file is read when the first class is looked up.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass

from crossalign.errors import DescriptionError
from crossalign.texts._data import data_text
from crossalign.texts.descriptions import DescriptionSet, wordify
from crossalign.texts.english import indefinite_article, singulars
from crossalign.texts.validation import as_items, clean
from crossalign.utils.text import close_names, quoted

__all__ = ["Entry", "descriptions", "find", "names"]


@dataclass(frozen=True, slots=True)
class Entry:
    """What the bank has for a name.

    Args:
        name: The class in the bank.
        word: What stands for it in the descriptions: the name that was looked up, or for a plural
            the singular.
        descriptions: The descriptions, at least six.
    """

    name: str
    word: str
    descriptions: tuple[str, ...]


def find(name: str) -> Entry | None:
    """Look a class up by name, by another name of it, or by their plurals.

    Case, underscores, hyphens and spaces make no difference. A word of several senses is taken in
    one, an everyday one ("kiwi" is the fruit): look at the descriptions before relying on them.

    Args:
        name: The class.

    Returns:
        Its entry, or None if the bank does not know it.

    Raises:
        DescriptionError: If the name is not a string, or empty.

    Example:
        >>> find("Pugs").descriptions[0]
        'The flat, deeply creased black mask of a pug.'
        >>> find("espresso_machine").name
        'espresso maker'
        >>> find("flux capacitor") is None
        True
    """
    word = " ".join(wordify(clean(name, "a class name", "to look up")).split())
    known, blocks = _bank()
    key = _key(word)
    if key not in known:
        keys = map(_key, singulars(re.sub(r"[\W_]+", " ", word.casefold()).strip()))
        key = next((single for single in keys if single in known), "")
        if not key or _key(word) == "boxers":  # these are clothes, a boxer is a dog
            return None
        word = known[key][0]
    spelled, place = known[key]
    if word.isupper():  # "PUG" would be read letter by letter
        word = spelled
    head, _, body = blocks[place].partition("\n")
    with_article = f"{indefinite_article(word)} {word}"
    texts = tuple(
        line.replace("{a}", with_article) if "{a}" in line else line.replace("{}", word)
        for line in body.split("\n")
        if line
    )
    return Entry(head.split(" | ")[0], word, texts)


def descriptions(classes: Iterable[str]) -> DescriptionSet:
    """Take the descriptions of classes out of the bank, to read, mend, save or pass on.

    Args:
        classes: Class names, in the order that scores will have.

    Returns:
        The classes by the names given, with their descriptions.

    Raises:
        DescriptionError: If the bank does not know one of them; the message says which.

    Example:
        >>> descriptions(["pug", "beagle"])
        DescriptionSet(2 classes, 14 texts, 7 each: 'pug', 'beagle')
    """
    listed = [name for _, name in as_items(classes, "class names")]
    found = {name: find(name) for name in listed}
    missing = [name for name, entry in found.items() if entry is None]
    if missing:
        known, _ = _bank()
        near = [known[key][0] for key in close_names(_key(missing[0]), known, 3)]
        hint = f"Near {missing[0]!r}: {quoted(near)}. " if near else ""
        raise DescriptionError(
            f"Expected classes that the bank knows, got {quoted(missing)} ({len(missing)} of "
            f"{len(listed)}). {hint}Write descriptions for them, or give names alone to the "
            "classifier, which then uses templates where the bank has nothing."
        )
    texts = tuple(entry.descriptions for entry in map(found.get, listed) if entry is not None)
    return DescriptionSet(tuple(listed), texts)


def names() -> tuple[str, ...]:
    """List the classes that the bank knows, without their other names.

    Returns:
        The names, in the order of the file.

    Example:
        >>> len(names()) > 1200
        True
    """
    return tuple(block.partition("\n")[0].split(" | ")[0] for block in _bank()[1])


@functools.cache
def _bank() -> tuple[dict[str, tuple[str, int]], list[str]]:
    """Read the file: for each key the name and the block it belongs to, and the blocks."""
    blocks = data_text("bank.txt").split("\n= ")[1:]  # what comes first is a comment
    known = {
        _key(name): (name, place)
        for place, block in enumerate(blocks)
        for name in block.partition("\n")[0].split(" | ")
    }
    return known, blocks


def _key(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())

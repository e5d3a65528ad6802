"""Texts of random words: what is left of descriptions when their meaning is taken away.

WaffleCLIP (Roth et al., "Waffling around for Performance: Visual Classification with Random Words
and Broad Concepts", ICCV 2023) showed that sentences with random words do nearly as well as
written descriptors, so every claim for descriptions should be measured against them.
"""

from __future__ import annotations

import math
import string
from typing import TYPE_CHECKING

import numpy as np

from crossalign.errors import DescriptionError
from crossalign.texts._data import data_words
from crossalign.texts.descriptions import DescriptionSet, wordify
from crossalign.texts.descriptors import SentenceStyle, check_style, descriptor_clause
from crossalign.texts.validation import as_items, kind
from crossalign.utils.validation import whole_number

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["WORDS", "waffle_texts"]

#: The ordinary words that `waffle_texts` draws from in style ``english``.
WORDS: tuple[str, ...] = tuple(data_words("waffle.txt")["words"])


def waffle_texts(
    descriptions: DescriptionSet,
    *,
    style: SentenceStyle = "english",
    seed: int = 0,
    count: int = 30,
    words: Sequence[str] | None = None,
    rng: np.random.RandomState | None = None,
) -> tuple[tuple[str, ...], ...]:
    """Make texts of random words and random letters, the same ones for every class.

    They alternate: one text of words, one of letters. In style ``english`` each is "A photo of a
    {class}, which has ...": two different words, or two strings of five letters. It depends on
    the seed alone, so classes and descriptors may change without changing it, and a smaller count
    gives the first texts of a larger one. Only raw bits of the Philox generator are used, so the
    texts are the same with every version of NumPy.

    Style ``published`` makes, draw for draw, the texts of the published code. There the number
    and length of the words follow the class names, the letters are those of the descriptors, "is"
    or "has" goes by the first letters, and texts are drawn for every class although those of one
    class, drawn last, replace all the others (so it is slow for many classes and long word lists).

    Args:
        descriptions: The classes; ``published`` also needs their descriptors, see above.
        style: ``"english"`` or ``"published"``.
        seed: A number from 0 to 2**64 - 1 (``published``: to 2**32 - 1).
        count: Texts for each class, at least 1 (``published``: even, and 30 is the published one).
        words: The words to draw from; `WORDS` if left out. ``published`` needs the list that the
            published code reads, which is not part of this package.
        rng: Only for ``published``: a generator to go on with, in place of the seed.

    Returns:
        One tuple of ``count`` texts for each class, in order.

    Raises:
        DescriptionError: A setting is not usable, or words or descriptors are missing.

    Example:
        >>> texts = waffle_texts(DescriptionSet.of(["cat", "dog"]), count=2)
        >>> for text in texts[1]:
        ...     print(text)
        A photo of a dog, which has angle desk.
        A photo of a dog, which has conhy, zgfsd.
    """
    check_style(style)
    descriptions = DescriptionSet.of(descriptions)
    published = style == "published"
    greatest = 2**32 - 1 if published else 2**64 - 1
    seed = whole_number("a seed", seed, 0, greatest, error=DescriptionError)
    count = whole_number("a count of texts", count, 1, 10**6 - 1, error=DescriptionError)
    if not published:
        if rng is not None:
            raise DescriptionError(
                "Expected no rng in style 'english', got one. It draws from the seed alone: "
                "pass seed=..., or style='published'."
            )
        return _english(descriptions, seed, count, _vocabulary(WORDS if words is None else words))
    if words is None:
        raise DescriptionError(
            "Expected the published word list for style 'published', got none. "
            "Pass it as words=[...], or use style='english'."
        )
    if count % 2:
        raise DescriptionError(
            f"Expected an even count in style 'published' (words and letters alternate), got "
            f"{count}. Use {count + 1}."
        )
    # The published list holds an empty word, and it is drawn.
    vocabulary = _vocabulary(words, least=1, empty=True)
    return _published(descriptions, rng or np.random.RandomState(seed), count // 2, vocabulary)


def _vocabulary(words: Sequence[str], least: int = 2, *, empty: bool = False) -> tuple[str, ...]:
    vocabulary = tuple(word for _, word in as_items(words, "words"))
    for word in vocabulary:
        if not isinstance(word, str) or not (empty or word.strip()):
            raise DescriptionError(
                f"Expected words as non-empty strings, got {kind(word)}. Remove it."
            )
    if len(vocabulary) < least:
        raise DescriptionError(
            f"Expected {least} or more words, got {len(vocabulary)}. Pass a longer list."
        )
    return vocabulary


def _english(
    descriptions: DescriptionSet, seed: int, count: int, vocabulary: tuple[str, ...]
) -> tuple[tuple[str, ...], ...]:
    bits = np.random.Philox(key=seed)

    def below(n: int) -> int:
        return int(bits.random_raw()) * n >> 64

    endings = []
    for i in range(count):
        if i % 2 == 0:
            first, second = below(len(vocabulary)), below(len(vocabulary) - 1)
            second += second >= first  # never the same word twice
            endings.append(f"{vocabulary[first]} {vocabulary[second]}")
        else:
            letters = "".join(string.ascii_lowercase[below(26)] for _ in range(10))
            endings.append(f"{letters[:5]}, {letters[5:]}")
    return tuple(
        tuple(f"A photo of a {name}, which has {ending}." for ending in endings)
        for name in descriptions
    )


def _published_shape(classes: tuple[str, ...]) -> tuple[int, int, int, int]:
    """Tell from the class names how long published texts are.

    Words in a text of words, letters that are kept of each; strings in a text of letters, letters
    in each of them.
    """
    split = [wordify(name).split(" ") for name in classes]
    mean_word = np.mean([np.mean([len(word) for word in words]) for words in split])
    # From here on the published code forgets to turn "_" into spaces, so a name with underscores
    # is one long word.
    raw = [name.split(" ") for name in classes]
    groups = round(float(np.mean([len(words) - 1 for words in raw]))) + 1
    longest = math.ceil(np.mean([max(len(word) for word in words) for words in raw]))
    words = max(1, round(float(np.mean([len(words) for words in split]))))
    return words, round(float(mean_word)), groups, longest // groups + 1


def _published(
    descriptions: DescriptionSet,
    rng: np.random.RandomState,
    pairs: int,
    vocabulary: tuple[str, ...],
) -> tuple[tuple[str, ...], ...]:
    classes = descriptions.classes
    used = {char for texts in descriptions.texts for text in texts for char in text}
    alphabet = sorted(used - set(" ,."))
    if not alphabet:
        raise DescriptionError(
            f"Expected descriptors to take letters from in style 'published', got {descriptions!r}."
            " Give each class its descriptors, or use style='english'."
        )
    words, length, strings, letters = _published_shape(classes)

    def draw(choices: Sequence[str]) -> str:
        # One item "without replacement": the legacy generator shuffles all of them for it.
        return choices[int(rng.permutation(len(choices))[0])]

    drawn: list[list[str]] = []
    for _ in classes:
        endings: list[str] = []
        for _ in range(pairs):
            endings.append(" ".join(draw(vocabulary)[:length] for _ in range(words)))
            groups = ("".join(draw(alphabet) for _ in range(letters)) for _ in range(strings))
            endings.append(", ".join(groups))
        drawn.append(endings)
    chosen = int(rng.randint(0, len(classes)))
    source = wordify(classes[chosen])
    clauses = [descriptor_clause(ending, "published") for ending in drawn[chosen]]
    texts = [f"A photo of a {source}, {clause}." for clause in clauses]
    # Replaced in the whole text, as published: a class called "photo" changes more than its name.
    return tuple(tuple(text.replace(source, wordify(name)) for text in texts) for name in classes)

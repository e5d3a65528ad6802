"""Which language a text is in, told by the small words that every sentence of it needs.

Made for descriptions, which are short and full of names: it says nothing rather than something
wrong. For languages in Latin letters alone; others are told by their script.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from crossalign.texts._data import data_words
from crossalign.texts.quality import majority

_SETS = {name: frozenset(words) for name, words in data_words("languages.txt").items()}

LANGUAGES = tuple(_SETS)
"""English names of the languages that are known, in small letters."""

_WORD = re.compile(r"[^\W\d_]+")
_FEWEST, _TIMES = 2, 3


def main_language(texts: Iterable[str]) -> str:
    """Find the language that most of some texts are in.

    Args:
        texts: Any number of them.

    Returns:
        One of ``LANGUAGES``; empty where most of the texts do not tell, or tell of several.

    Example:
        >>> main_language(["The curled tail of a pug.", "A pug with a flat face and big eyes."])
        'english'
    """
    return majority(_best(_words(text)) for text in texts)


def other_language(text: str, expected: str, name: str = "") -> str:
    """Find the language of a text that is not in the expected one.

    Args:
        text: A description.
        expected: One of ``LANGUAGES``; for any other the answer is always empty.
        name: The class, whose words may be of any language.

    Returns:
        One of ``LANGUAGES``; empty if the text is in the expected language, or does not tell.

    Example:
        >>> other_language("Un chat avec des oreilles pointues et un pelage roux.", "english")
        'french'
        >>> other_language("The bowl of a crème de la crème.", "english", "crème de la crème")
        ''
    """
    if expected not in _SETS:
        return ""
    words = _words(text) - _words(name)
    own = _SETS[expected]
    scores = {other: len(words & (_SETS[other] - own)) for other in LANGUAGES}
    best = max(scores, key=lambda other: scores[other])
    mine = len(words & (own - _SETS[best]))
    return best if scores[best] >= max(_FEWEST, _TIMES * mine + 1) else ""


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))


def _best(words: set[str]) -> str:
    scores = sorted(((len(words & own), name) for name, own in _SETS.items()), reverse=True)
    (most, name), (second, _) = scores[:2]
    return name if most >= _FEWEST and most > second else ""

"""Just enough English to put descriptors into sentences: questions about single words.

The word tables are in ``data/english.txt``. All words are lower case. Kinds, parts and verbs are
singular; a plural of a kind is not a kind ("which is a wheel", "which has wheels").
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from crossalign.texts._data import data_words

_LISTS = data_words("english.txt")
_TABLES = {name: frozenset(words) for name, words in _LISTS.items()}

ADJECTIVES = (
    _TABLES["qualities"] | _TABLES["colours"] | _TABLES["materials"] | _TABLES["participles"]
)
DEGREE_PAIRS = frozenset(
    tuple(pair.split())
    for pair in ("at least", "at most", "fewer than", "less than", "more than", "up to")
)
_CONSONANT_SOUNDS = tuple(_TABLES["consonant_sounds"])
_VOWEL_SOUNDS = tuple(_TABLES["vowel_sounds"])
_IRREGULAR = zip(_LISTS["irregular_plurals"][::2], _LISTS["irregular_plurals"][1::2], strict=True)
_PLURALS = (*_IRREGULAR, ("ies", "y"), ("ves", "f"), ("ves", "fe"), ("es", ""), ("s", ""))
_NUMERAL = re.compile(r"\d[\d.,]*(?:[-\u2013/x]\d[\d.,]*)?")
_ADJECTIVE_ENDING = re.compile(r".{3,}ed|.{3,}(?:ish|ous|ful|ly)|.{2,}less|.{3,}[ai]ble|.{2,}esque")


def __getattr__(name: str) -> frozenset[str]:
    """Give a table by its name in capitals, such as ``MASS_KINDS`` for ``mass_kinds``."""
    try:
        return _TABLES[name.lower()]
    except KeyError:
        raise AttributeError(f"there is no table of words {name!r}") from None


def is_adjective(word: str) -> bool:
    """Tell whether a word is an adjective or participle, by table and then by ending."""
    if word in ADJECTIVES:
        return True
    if word in _TABLES["not_adjectives"] or word in _TABLES["kinds"] or word in _TABLES["parts"]:
        return False
    *front, last = re.split(r"[-/]", word)
    if front:
        return last in {"fitting", "length", "like", "resistant", "size"} or is_adjective(last)
    return bool(_ADJECTIVE_ENDING.fullmatch(word))


def is_number(word: str) -> bool:
    """Tell whether a word is a count: "two", "4", "10-20", "several", "no"."""
    return word in _TABLES["numbers"] or bool(_NUMERAL.fullmatch(word))


def is_plural(noun: str) -> bool:
    """Guess whether a noun is a plural."""
    return noun in _TABLES["plurals"] or (
        noun.endswith("s") and not noun.endswith(("ss", "us", "is"))
    )


def singulars(noun: str) -> Iterator[str]:
    """Yield what a noun may be the plural of, the likeliest first; of "cups of tea" the cups."""
    head, of, rest = noun.partition(" of ")
    if of:
        yield from (f"{single}{of}{rest}" for single in singulars(head))
    if not noun.endswith("ss"):
        for plural, single in _PLURALS:
            if noun.endswith(plural):
                yield noun.removesuffix(plural) + single


def third_person(word: str, following: str = "", *, after_adverb: bool = False) -> str:
    """Give the third person singular of a verb, or "" if the word is not used as a verb here."""
    stems = [word, word.removesuffix("s"), word.removesuffix("es")]
    if word.endswith("ies"):
        stems.append(f"{word[:-3]}y")
    stem = next((s for s in stems if s in _TABLES["verbs"] or s in _TABLES["ambiguous_verbs"]), "")
    if not stem:
        return ""
    if stem in _TABLES["ambiguous_verbs"]:  # "controls the heat", but "controls for the oven"
        verb = following in _TABLES["determiners"] | {"like", "underground"}
    else:  # "live in water", but "live plants"
        verb = (
            stem != word
            or following
            in _TABLES["determiners"] | _TABLES["prepositions"] | _TABLES["conjunctions"]
        )
    if not verb and not after_adverb:
        return ""
    if stem != word:
        return word
    if word.endswith("y") and word[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("s", "sh", "ch", "x")) else f"{word}s"


def indefinite_article(phrase: str) -> str:
    """Choose "a" or "an" by the sound that a phrase starts with.

    Args:
        phrase: What will follow the article.

    Returns:
        ``"a"`` or ``"an"``.

    Example:
        >>> [indefinite_article(x) for x in ("hourglass", "unicorn", "one-eyed cat", "X-ray")]
        ['an', 'a', 'a', 'an']
    """
    word = re.split(r"[\s\-/]", phrase.strip(" \"'("), maxsplit=1)[0].strip(",.;:)'\"")
    lower = word.lower()
    if word[:1].isdigit():
        return "an" if re.match(r"8|(?:11|18)(?!\d)", word) else "a"
    if len(word) == 1 or (word.isupper() and len(word) <= 4):  # read letter by letter
        return "an" if lower[:1] in _TABLES["vowel_letters"] else "a"
    if lower.startswith(_VOWEL_SOUNDS):
        return "an"
    if lower.startswith(_CONSONANT_SOUNDS):
        return "a"
    return "an" if lower.startswith(("a", "e", "i", "o", "u", "\u00e9", "\u00f6")) else "a"

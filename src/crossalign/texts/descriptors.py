"""From a class name and a descriptor to a sentence: "red fox, which has orange fur".

This is the text form of CLIP-D (Menon and Vondrick, "Visual Classification via Description from
Large Language Models", ICLR 2023). Their helper chooses between "is" and "has" by the first
letters, so that antlers become "which is antlers"; it is kept here by the name ``published``, so
that their numbers can be made again. The style ``english`` looks at words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from crossalign.errors import DescriptionError
from crossalign.texts import english as en
from crossalign.texts.descriptions import DescriptionSet, wordify
from crossalign.texts.validation import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "SentenceStyle",
    "descriptor_clause",
    "descriptor_sentence",
    "descriptor_sentences",
]

SentenceStyle = Literal["english", "published"]

_BREAK = re.compile(r"[,;:)\]]$|^[-\u2013\u2014]$")


def descriptor_sentence(class_name: str, descriptor: str, style: SentenceStyle = "english") -> str:
    """Join a class name and a descriptor into one sentence, as CLIP-D does.

    Args:
        class_name: The class, put at the front. ``published`` writes its underscores as spaces,
            as the published code does; ``english`` leaves it as it is.
        descriptor: A phrase about the class, such as ``"a long tail"`` or ``"found in forests"``.
        style: ``"english"`` or ``"published"``, see `descriptor_clause`.

    Returns:
        ``"{class}, which ..."``, without a full stop.

    Raises:
        DescriptionError: The class name or (in style ``english``) the descriptor is empty, either
            is not a string, or the style is unknown.

    Example:
        >>> descriptor_sentence("red deer", "antlers")
        'red deer, which has antlers'
        >>> descriptor_sentence("red deer", "antlers", style="published")
        'red deer, which is antlers'
    """
    clean(class_name, "a class name", "in a prompt")
    clause = descriptor_clause(descriptor, style)
    return f"{wordify(class_name) if style == 'published' else class_name.strip()}, {clause}"


def descriptor_sentences(
    descriptions: DescriptionSet, style: SentenceStyle = "english"
) -> tuple[tuple[str, ...], ...]:
    """Make the CLIP-D sentences of every class.

    Args:
        descriptions: Classes with descriptors as their texts.
        style: ``"english"`` or ``"published"``, see `descriptor_clause`.

    Returns:
        One tuple of sentences for each class, in order.

    Raises:
        DescriptionError: The set has names only, or the style is unknown.

    Example:
        >>> descriptor_sentences(DescriptionSet.of({"owl": ["large eyes", "a bird of prey"]}))
        (('owl, which has large eyes', 'owl, which is a bird of prey'),)
    """
    descriptions = DescriptionSet.of(descriptions)
    if not descriptions.has_descriptions:
        raise DescriptionError(
            f"Expected classes with descriptors, got names only: {descriptions!r}. "
            "Give each class its descriptors, or choose a method that needs only names."
        )
    return tuple(
        tuple(descriptor_sentence(name, text, style) for text in descriptions[name])
        for name in descriptions
    )


def descriptor_clause(descriptor: str, style: SentenceStyle = "english") -> str:
    """Turn a descriptor into a clause that starts with "which".

    ``english`` goes by words: parts and features get "has", kinds of thing, qualities and
    measures get "is", verbs stay. It adds "a" or "an" where a kind or a common part lacks one,
    and it is a set of rules, so it can be wrong about rare words. ``published`` goes by the first
    letters alone, exactly as the code of CLIP-D, WaffleCLIP and WCA.

    Args:
        descriptor: A phrase, such as ``"a long tail"``.
        style: ``"english"`` or ``"published"``.

    Returns:
        The clause, without a full stop (``published`` leaves one that is there).

    Raises:
        DescriptionError: The descriptor is not a string or, in style ``english``, is empty; or
            the style is unknown.

    Example:
        >>> for text in ["yellow feathers", "small mammal", "made of wood", "usually has a lid"]:
        ...     print(descriptor_clause(text))
        which has yellow feathers
        which is a small mammal
        which is made of wood
        which usually has a lid
    """
    if not isinstance(descriptor, str):
        raise DescriptionError(
            f"Expected a descriptor as a string, got {descriptor!r}. Pass one string at a time."
        )
    check_style(style)
    if style == "published":
        return _published_clause(descriptor)
    words = _words(descriptor)
    if not words:
        raise DescriptionError(
            f"Expected a descriptor with at least one word, got {descriptor!r}. "
            "Fill it in or drop it."
        )
    return f"which {_predicate(words)}"


def check_style(style: object) -> None:
    """Refuse a style that is not known."""
    if style not in ("english", "published"):
        raise DescriptionError(
            f"Expected the style 'english' or 'published', got {style!r}. Choose one of them."
        )


def _published_clause(descriptor: str) -> str:
    if descriptor.startswith(("a", "used")):
        return f"which is {descriptor}"
    if descriptor.startswith(("has", "often", "typically", "may", "can")):
        return f"which {descriptor}"
    return f"which has {descriptor}"


class _Word(NamedTuple):
    text: str  # as written
    key: str  # lower case, without punctuation: for the tables

    @property
    def breaks(self) -> bool:
        """Whether a comma or its like follows."""
        return bool(_BREAK.search(self.text))


def _words(phrase: str) -> list[_Word]:
    texts = phrase.split()
    if texts:
        texts[-1] = texts[-1].rstrip(".;,")
    words = [_Word(t, t.lower().strip(",;:.()[]\"'!?\u2018\u2019\u201c\u201d")) for t in texts if t]
    if words and not any(word.key for word in words):
        return []
    return _decapitalise(words) if words else []


def _decapitalise(words: list[_Word]) -> list[_Word]:
    """Lower-case a first word that is ordinary English, not a name or an acronym."""
    first = words[0]
    capitalised = first.text[:1].isupper() and first.text[1:].islower()
    if not capitalised and not (first.text == "A" and len(words) > 1):
        return words
    known = en.DETERMINERS | en.PRONOUNS | en.PREPOSITIONS | en.FREQUENCY | en.DEGREES | en.NUMBERS
    known |= en.COPULAS | en.HAVES | en.MODALS | en.KINDS | en.PARTS | {"there"}
    if first.key in known or en.is_adjective(first.key) or en.third_person(first.key):
        return [_Word(first.text.lower(), first.key), *words[1:]]
    return words


def _text(words: Sequence[_Word]) -> str:
    return " ".join(word.text for word in words)


def _predicate(words: list[_Word], adverbs: Sequence[_Word] = ()) -> str:
    """Write what follows "which": a verb and its complement, adverbs in their place."""
    while len(words) > 1 and words[0].key in en.PRONOUNS:
        words = words[1:]
    while len(words) > 1 and words[0].key in en.FREQUENCY:
        adverbs, words = [*adverbs, _Word(words[0].text.rstrip(","), words[0].key)], words[1:]
    verb, rest = _verb_and_rest(words, bool(adverbs))
    if verb == "is":
        return " ".join(filter(None, ["is", _text(adverbs), rest]))
    return " ".join(filter(None, [_text(adverbs), verb, rest]))


def _verb_and_rest(words: list[_Word], after_adverb: bool) -> tuple[str, str]:
    first, second = words[0].key, words[1].key if len(words) > 1 else ""
    rest = words[1:]
    if first == "there" and (second in en.COPULAS or (second in en.MODALS and len(words) > 3)):
        if second in en.MODALS:  # "there may be a lid"
            return f"{second} have", _text(words[3:])
        return "has", _text(words[2:])
    if first in en.COPULAS:
        return "is", _text(rest)
    if first in en.HAVES:
        return "has", _text(rest)
    if first in en.MODALS and second not in en.PREPOSITIONS:
        return words[0].text, _text(rest)
    if first == "do" and second == "not":
        return "does", _text(rest)
    verb = en.third_person(first, second, after_adverb=after_adverb)
    if verb:
        return verb, _text(rest)
    return _own_subject(words) or _complement(words)


def _own_subject(words: list[_Word]) -> tuple[str, str] | None:
    """Rewrite a full clause, "the lid is flat", to "has a lid that is flat"."""
    for i, word in enumerate(words):
        if word.key in en.RELATIVES and i:
            return None
        following = words[i + 1].key if i + 1 < len(words) else ""
        finite = word.key in en.COPULAS | en.MODALS | en.HAVES - {"having"}
        if i and finite and following and words[i - 1].key not in en.DETERMINERS:
            break
        if word.breaks:
            return None
    else:
        return None
    if word.key in en.MODALS and following in en.PREPOSITIONS:
        return None  # "a beer can on a table"
    start = i
    while start > 1 and words[start - 1].key in en.FREQUENCY:
        start -= 1
    subject, predicate = words[:start], words[start:]
    head = _head(subject)
    if len(subject) == 2 and head in en.KINDS and subject[0].key in en.DETERMINERS:
        return "", _predicate(predicate)  # "the animal may have spots": it is the class itself
    plural = word.key in {"are", "have", "were"} or en.is_plural(head)
    determiner = subject[0].key if len(subject) > 1 else ""
    if determiner == "each" and len(subject) == 2 and word.key in {"has", "is"}:
        subject = [_Word(f"{subject[1].text}s", head)]
        plain = "have" if word.key == "has" else "are"
        predicate = [_Word(plain, plain) if w is word else w for w in predicate]
    elif determiner == "both":
        subject = [_Word("two", "two"), *subject[1:]]
    elif determiner in {"the", "its", "their"}:
        subject = subject[1:]
        if head in en.PARTS or not (plural or head in en.MASS):
            subject = _with_article(subject)
    elif (
        not plural and head in en.PARTS and determiner not in en.DETERMINERS | en.NUMBERS | {"each"}
    ):
        subject = _with_article(subject)
    return "has", f"{_text(subject)} that {_text(predicate)}"


def _complement(words: list[_Word]) -> tuple[str, str]:
    """Choose "is" or "has" for a phrase without a verb."""
    first, second = words[0].key, words[1].key if len(words) > 1 else ""
    skip = 2 if (first, second) in en.DEGREE_PAIRS else int(first in en.DEGREES)
    if skip and len(words) > skip:
        number = en.is_number(words[skip].key)
        if number and not _is_measure(words[skip:]):
            return "has", _text(words)
        if number or words[skip].key in {"the", "as"}:
            return "is", _text(words)
    if second == "of" and first in {"one", "part"}:
        return "is", _text(words)
    if en.is_number(first):
        return ("is" if _is_measure(words) else "has"), _text(words)
    if first == "with" and second:
        return "has", _text(words[1:])
    if first == "to" and second:
        return "is", f"used {_text(words)}"
    if first in en.PREPOSITIONS and not (first in en.DEGREES and skip):
        return "is", _text(words)
    if first.endswith("ing") and first not in en.ING_NOUNS and second:
        leads_on = second in en.DETERMINERS | en.PREPOSITIONS | en.NUMBERS
        if leads_on or first in en.ING_VERBS:
            return "is", _text(words)
    if first in en.PARTICIPLES and second.endswith("ing") and second not in en.ING_NOUNS:
        return "is", _text(words)  # "found growing on wood"
    return _phrase(words)


def _phrase(words: list[_Word]) -> tuple[str, str]:
    first = words[0].key
    if words[0].text.startswith(('"', "\u201c")):
        return "has", _text(words)  # a quotation is something written on it
    head = _head(words)
    if not head:  # adjectives alone, unless an article makes a noun of them: "a light"
        return ("has" if first in en.DETERMINERS else "is"), _text(words)
    if first in en.DETERMINERS:
        superlative = any(w.key.endswith("est") or w.key in {"only", "most"} for w in words[1:3])
        kind = head in en.KINDS and (first in en.ARTICLES | {"another"} or superlative)
        return ("is" if kind else "has"), _text(words)
    if head in en.MEASURES and len(words) > 1:
        return "is", f"of {_text(words)}"  # "medium size"
    if head in en.KINDS:
        return "is", _text(words if head in en.MASS_KINDS else _with_article(words))
    return "has", _text(_with_article(words) if head in en.PARTS else words)


def _with_article(words: list[_Word]) -> list[_Word]:
    article = en.indefinite_article(_text(words))
    return [_Word(article, article), *words]


def _head(words: Sequence[_Word]) -> str:
    """Find the noun that a phrase is about, or "" if it has only adjectives.

    It is the last word before the first preposition, relative pronoun or participle that opens
    a new part; commas and "and" only end it where a noun stands before them.
    """
    last = noun = ""
    for i, word in enumerate(words):
        key = word.key
        following = words[i + 1].key if i + 1 < len(words) else ""
        if word.text.startswith(("(", "[")) and i:
            break
        if key in en.CONJUNCTIONS or not key:
            if last and not en.is_adjective(last):
                return last
            continue
        if i and _opens_new_part(word, words[i - 1], following):
            break
        last = key
        if key in en.PARTS or (en.is_plural(key) and not en.is_adjective(key)):
            noun = key  # "seeds visible inside": the adjective may come behind
        if word.breaks and not en.is_adjective(last):
            return last
    return noun if en.is_adjective(last) or last in en.DETERMINERS else last


def _opens_new_part(word: _Word, previous: _Word, following: str) -> bool:
    if word.key == "to":  # "small to medium-sized dog", but "used to open bottles"
        quality = en.is_adjective(previous.key) and previous.key not in en.PARTICIPLES
        return not quality or not en.is_adjective(following)
    if word.key in en.PREPOSITIONS | en.RELATIVES | en.FREQUENCY:
        return True
    noun_before = not en.is_adjective(previous.key) and previous.key not in en.DETERMINERS
    if not noun_before or previous.key in en.CONJUNCTIONS or previous.breaks:
        return False
    if word.key.endswith("ing"):
        return word.key not in en.ING_NOUNS and bool(following)
    participle = word.key in en.PARTICIPLES or word.key.endswith("ed")
    return participle and en.is_adjective(word.key) and following in en.PREPOSITIONS


def _is_measure(words: Sequence[_Word]) -> bool:
    """Tell "10 to 20 cm long" and "six feet tall" from "two feet" and "10 cm wingspan"."""
    i = 0
    while i < len(words) and (en.is_number(words[i].key) or words[i].key in {"to", "or", "and"}):
        i += 1
    if i == len(words):
        return False
    fused = re.fullmatch(r"\d[\d.,]*(?:-\d+)?[- ]?([a-z]+)", words[i].key)  # "10cm"
    unit = fused[1] if fused else words[i].key
    extent = words[i + 1].key if i + 1 < len(words) else ""
    if unit not in en.UNITS or (i == 0 and not fused):
        return False
    if unit in {"feet", "in"} and not words[i - 1].key[:1].isdigit():
        return extent in en.EXTENTS - {"in", "at", "to", "or", "and"}
    return not extent or extent in en.EXTENTS

"""What can be wrong with a text by itself: small questions, each with a plain answer.

The writers ask them of every answer and the linter of every file.
"""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

# Bidirectional overrides and isolates, zero-width spaces and byte order marks: invisible, and read
# as unknown tokens. The joiners U+200C and U+200D are letters' business in many scripts and stay.
INVISIBLE = frozenset(
    "\u00ad\u200b\u200e\u200f\u2060\ufeff\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_UNPRINTABLE = ("Cc", "Cs", "Co", "Cn", "Zl", "Zp")

_MARKUP = re.compile(
    r"""
    </?[a-z][^<>]{0,200}> | <!--            # HTML and XML
    | &(?:[a-z]{2,10}|\#\d{1,7}|\#x[0-9a-f]{1,6});
    | \*\*|`|\]\(|(?<!\w)__(?=\w)             # Markdown: bold, code, links
    | ^\s*(?:\#{1,6}|[-*\u2022>])\s | ^\s*\d{1,3}[.)]\s
    | \{[\w ]*\}                              # a template's hole that nobody filled
    | \\[a-z]+\{ | \bhttps?://
    """,
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)

_REFUSAL = re.compile(
    r"""
    \bas\s+an?\s+(?:ai|artificial\s+intelligence|(?:large\s+)?language\s+model)\b
    | ^\W*(?:i['\u2019]?m|i\s+am)\s+(?:sorry|unable|afraid|not\s+able)\b
    | ^\W*(?:sorry|unfortunately)\b
    | ^\W*i\s+(?:cannot|(?:can|will|do)\s+not|(?:can|won|don)['\u2019]?t)\b
    | ^\W*i\s+(?:must|have\s+to)\s+(?:decline|refuse)\b
    | \bno\s+(?:\w+\s+){0,2}(?:answer\s+to|way\s+to\s+answer)\s+(?:this|that|the)\s+question\b
    """,
    re.IGNORECASE | re.VERBOSE,
)

_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_WORD = re.compile(r"[^\W_]+")
_SAME_SCRIPT = {"HIRAGANA": "CJK", "KATAKANA": "CJK"}
_UNSPACED = frozenset({"CJK", "THAI", "LAO", "KHMER", "MYANMAR"})


def digest(text: str) -> str:
    """Name a text by its content, letter for letter.

    Args:
        text: Any text.

    Returns:
        Its SHA-256, 64 hexadecimal digits.
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def text_id(text: str) -> str:
    """Name a text by its content, whatever its spaces, as provenance refers to it.

    Args:
        text: Any text.

    Returns:
        16 hexadecimal digits.
    """
    return digest(" ".join(unicodedata.normalize("NFC", text).split()))[:16]


def majority(values: Iterable[str]) -> str:
    """Find what most of some values are.

    Args:
        values: Any number of them; empty ones do not count.

    Returns:
        The one that more than half of them are; empty if there is none.
    """
    counts = Counter(filter(None, values))
    best = max(counts, key=counts.__getitem__, default="")
    return best if 2 * counts[best] > counts.total() else ""


def bad_characters(text: str, allowed: str = "\n\r\t") -> list[str]:
    """Find control, invisible, private and unpaired characters.

    Args:
        text: Any text.
        allowed: Control characters to let pass.

    Returns:
        Each such character once, sorted.
    """
    if text.isascii() and text.isprintable():
        return []
    found = {
        char
        for char in set(text) - set(allowed)
        if char in INVISIBLE or unicodedata.category(char) in _UNPRINTABLE
    }
    return sorted(found)


def markup(text: str) -> str:
    """Find markup: HTML, Markdown, list marks, links, entities, unfilled holes of a template.

    Args:
        text: Any text.

    Returns:
        The first piece of it; empty if there is none.
    """
    found = _MARKUP.search(text)
    return found[0].strip() if found else ""


def refuses(text: str) -> bool:
    """Tell whether a text is a language model's refusal rather than a description.

    Args:
        text: Any text.

    Returns:
        True if it speaks as one.
    """
    return _REFUSAL.search(text) is not None


def mended_mojibake(text: str) -> str:
    """Undo UTF-8 that was read as Windows-1252, where that is what happened beyond doubt.

    A run of characters beyond ASCII is mended if it is a sound UTF-8 sequence byte for byte; real
    words practically never are.

    Args:
        text: Any text.

    Returns:
        The text as it was meant; the same text if nothing was wrong.

    Example:
        >>> mended_mojibake("a cafÃ© chair"), mended_mojibake("a café chair")
        ('a café chair', 'a café chair')
    """
    return _NOT_ASCII.sub(_mend_run, text)


def _mend_run(run: re.Match[str]) -> str:
    try:
        return b"".join(map(_as_windows_byte, run[0])).decode("utf-8")
    except ValueError:
        return run[0]


def _as_windows_byte(char: str) -> bytes:
    try:
        return char.encode("cp1252")
    except UnicodeEncodeError:
        return char.encode("latin-1")  # the five bytes that Windows-1252 leaves open


def main_script(text: str) -> str:
    """Find the script that most letters of a text are written in.

    Args:
        text: Any text.

    Returns:
        Its Unicode name, such as ``"LATIN"``, ``"CYRILLIC"`` or ``"CJK"``; empty if no letters.
    """
    if text.isascii():
        return "LATIN" if any(map(str.isalpha, text)) else ""
    counts = Counter(_script(char) for char in text if char.isalpha())
    return counts.most_common(1)[0][0] if counts else ""


@functools.lru_cache(maxsize=4096)
def _script(char: str) -> str:
    first = unicodedata.name(char, "OTHER").split()[0]
    return _SAME_SCRIPT.get(first, first)


def names_class(text: str, name: str) -> bool:
    """Tell whether a text names its class, in the singular or a regular English plural.

    Args:
        text: A description.
        name: The class name; underscores and hyphens are spaces.

    Returns:
        True if the words of the name stand in the text one after the other.

    Example:
        >>> names_class("Two German shepherds' ears.", "german_shepherd")
        True
        >>> names_class("A scattered pattern.", "cat")
        False
    """
    wanted = _WORD.findall(_fold(name))
    if not wanted:
        return _fold(name) in _fold(text)
    if _script(name.strip()[:1] or " ") in _UNSPACED:
        return "".join(wanted) in "".join(_WORD.findall(_fold(text)))
    words = _WORD.findall(_fold(text))
    forms = [_forms(word) for word in wanted]
    return any(
        all(words[start + place] in form for place, form in enumerate(forms))
        for start in range(len(words) - len(forms) + 1)
    )


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


@functools.lru_cache(maxsize=4096)
def _forms(word: str) -> frozenset[str]:
    forms = {word, f"{word}s", f"{word}es"}
    if word.endswith("y"):
        forms.add(f"{word[:-1]}ies")
    if word.endswith(("f", "fe")):
        forms.add(f"{word.removesuffix('e')[:-1]}ves")
    if word.endswith("man"):
        forms.add(f"{word[:-3]}men")
    if word == "person":
        forms.add("people")
    return frozenset(forms)


def visible(text: str, limit: int = 80) -> str:
    """Write a text so that it is safe to print and ends in reasonable time.

    Args:
        text: Any text, a hostile one too.
        limit: Longest result in characters.

    Returns:
        The text with what cannot be shown escaped, cut with "..." if it is long.
    """
    shown = "".join(
        char if char.isprintable() and char not in INVISIBLE else _escaped(char)
        for char in text[: limit + 1]
    )
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


def _escaped(char: str) -> str:
    return " " if char in "\n\t" else char.encode("unicode_escape").decode("ascii")

"""Names and texts of users, made fit for a drawing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

# Widths of DejaVu Sans, matplotlib's font and wider than most, in shares of the font size.
_WIDTHS = {
    letter: width
    for width, letters in {
        0.3: "'ijl",
        0.35: "IJ ,./:;\\|",
        0.4: "()-[]ft",
        0.5: '!r"*_`',
        0.6: "?cszFLkvxy",
        0.65: "$0123456789EPSTYabdeghnopqu{}",
        0.75: "ABCKRVXZNU",
        0.85: "&DGHOQ#+<=>^w~",
        1.0: "M%@Wm",
    }.items()
    for letter in letters
}
_BOLD = 1.16
_CUT = " \u2026"

# What XML 1.0 cannot hold and no font shows, lone surrogates of undecodable file names among it.
_UNPRINTABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def printable(text: str) -> str:
    r"""Replace characters that cannot be shown.

    Args:
        text: Anything.

    Returns:
        The text, with such characters written as ``\xNN`` or ``\uNNNN``.

    Example:
        >>> printable("caf\u00e9 \x00 \udcff")
        'café \\x00 \\udcff'
    """
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def rounded(value: float) -> str:
    """Write a score, or what adds to one.

    Args:
        value: The number.

    Returns:
        It with three decimals; never a zero below zero.

    Example:
        >>> rounded(0.25), rounded(-0.0004)
        ('0.250', '0.000')
    """
    return f"{round(value, 3) + 0.0:.3f}"


def text_width(text: str, *, bold: bool = False) -> float:
    """Estimate how wide a line of text is; it is rather wider than it will be than narrower.

    Args:
        text: One line.
        bold: Whether its letters are bold.

    Returns:
        The width as a multiple of the font size.

    Example:
        >>> round(text_width("cat"), 2), round(text_width("cat", bold=True), 2)
        (1.65, 1.91)
    """
    return sum(map(_letter_width, text)) * (_BOLD if bold else 1.0)


def wrapped(text: str, width: float, lines: int, *, bold: bool = False) -> list[str]:
    """Break a text into lines that fit.

    Args:
        text: Anything.
        width: How wide a line may be, as a multiple of the font size; at least 3.
        lines: How many lines there may be; what does not fit is cut, and the cut is marked.
        bold: Whether its letters are bold.

    Returns:
        One line or more; words too long for a line are broken.

    Example:
        >>> wrapped("a tail curling behind its body", 8, lines=2)
        ['a tail curling', 'behind its …']
    """
    room = max(3.0, width) / (_BOLD if bold else 1.0)
    rows = [""]
    for word in printable(text).split():
        for piece in _pieces(word, room):
            longer = f"{rows[-1]} {piece}".strip()
            if text_width(longer) <= room:
                rows[-1] = longer
            else:
                rows.append(piece)
    if len(rows) <= lines:
        return rows
    last = rows[lines - 1]
    while last and text_width(last + _CUT) > room:
        shorter = last.rpartition(" ")[0]
        last = shorter if shorter else last[:-1]
    return [*rows[: lines - 1], (last + _CUT).strip()]


def _letter_width(letter: str) -> float:
    known = _WIDTHS.get(letter)
    if known is not None:
        return known
    if unicodedata.combining(letter):
        return 0.0
    base = unicodedata.normalize("NFD", letter)[0]
    return _WIDTHS.get(base, 1.0)


def _pieces(word: str, room: float) -> Iterator[str]:
    """Break a word that does not fit into a line."""
    start, width = 0, 0.0
    for place, letter in enumerate(word):
        width += _letter_width(letter)
        if width > room:
            yield word[start:place]
            start, width = place, _letter_width(letter)
    yield word[start:]

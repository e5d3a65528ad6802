"""Names and texts of users, made fit for a drawing."""

from __future__ import annotations

import re
import textwrap

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


def wrapped(text: str, letters: int, lines: int) -> list[str]:
    """Break a text into lines.

    Args:
        text: Anything.
        letters: How many fit into one line.
        lines: How many lines there may be; what does not fit is cut, and the cut is marked.

    Returns:
        One line or more.

    Example:
        >>> wrapped("a tail curling behind its body", 12, lines=2)
        ['a tail', 'curling …']
    """
    room = max(8, letters)
    shown = textwrap.wrap(printable(text), room, max_lines=lines, placeholder=" …")
    return shown or [""]

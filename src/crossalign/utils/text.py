"""Counts and lists in sentences."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


def counted(number: int, noun: str, *, grouped: bool = False) -> str:
    """Write how many there are.

    Args:
        number: How many.
        noun: What, in the singular; its plural ends in s.
        grouped: Put commas between thousands.

    Returns:
        Such as ``1 image`` or ``2 images``.

    Example:
        >>> counted(1, "image"), counted(1000, "image"), counted(1000, "image", grouped=True)
        ('1 image', '1000 images', '1,000 images')
    """
    digits = f"{number:,}" if grouped else str(number)
    return f"{digits} {noun}{'' if number == 1 else 's'}"


def first_of(names: Sequence[str], most: int) -> str:
    """List a few names, and say how many more there are.

    Args:
        names: All of them.
        most: How many to list.

    Returns:
        Such as ``a, b and 3 more``.

    Example:
        >>> first_of(["a", "b", "c"], 2), first_of(["a"], 2)
        ('a, b and 1 more', 'a')
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def quoted(names: Sequence[str], most: int = 3) -> str:
    """Quote a few names.

    Args:
        names: All of them.
        most: How many to quote.

    Returns:
        Such as ``'a', 'b', 'c', ...``.

    Example:
        >>> print(quoted(["cat", "dog"]), quoted(["cat", "dog"], 1))
        'cat', 'dog' 'cat', ...
    """
    return ", ".join(map(repr, names[:most])) + (", ..." if len(names) > most else "")


def count_images(number: int) -> str:
    """Count images in words.

    Args:
        number: How many.

    Returns:
        Such as ``1 image``, ``2 images`` or ``1,000 images``.

    Example:
        >>> count_images(1), count_images(1000)
        ('1 image', '1,000 images')
    """
    return counted(number, "image", grouped=True)


def close_names(name: object, names: Iterable[str], most: int = 1) -> list[str]:
    """Find the names that somebody may have meant, whatever their case.

    Args:
        name: What was written.
        names: What there is.
        most: How many to give.

    Returns:
        Those that are written much alike, the closest first.

    Example:
        >>> close_names("bultin", ["builtin", "onnx"]), close_names("zebra", ["builtin"])
        (['builtin'], [])
    """
    folded = {each.casefold(): each for each in names}
    found = difflib.get_close_matches(str(name).casefold(), folded, n=most)
    return [folded[each] for each in found]


def did_you_mean(name: object, names: Iterable[str], most: int = 1) -> str:
    """Ask whether the closest of several names was meant.

    Args:
        name: What was written.
        names: What there is.
        most: How many to ask for.

    Returns:
        A sentence with a space before it; empty where nothing is close.

    Example:
        >>> did_you_mean("bultin", ["builtin", "onnx"])
        " Did you mean 'builtin'?"
    """
    close = close_names(name, names, most)
    return f" Did you mean {quoted(close, most)}?" if close else ""

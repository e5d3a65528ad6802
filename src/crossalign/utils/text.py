"""Counts and lists in sentences."""

from __future__ import annotations

from collections.abc import Sequence


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

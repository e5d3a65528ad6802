"""Numbers in sentences."""

from __future__ import annotations

from crossalign.utils.text import counted


def images(count: int) -> str:
    """Count images in words.

    Args:
        count: How many.

    Returns:
        Such as ``1 image``, ``2 images`` or ``1,000 images``.

    Example:
        >>> images(1), images(1000)
        ('1 image', '1,000 images')
    """
    return counted(count, "image", grouped=True)

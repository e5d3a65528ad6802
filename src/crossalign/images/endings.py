"""Which files are pictures, told by their names: one list for all commands."""

from __future__ import annotations

import os

IMAGE_ENDINGS = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
        *(".png", ".webp", ".avif", ".gif", ".tif", ".tiff", ".bmp", ".dib", ".jp2", ".j2k"),
        *(".ppm", ".pgm", ".pnm"),
    }
)
"""How the names of photos end, in lower case: what is taken from folders and archives.

All that :func:`crossalign.load_image` reads and photos come as. Not among them: HEIC, for which
Pillow needs a plug-in, and what it reads but nobody keeps photos as (icons, for one).
"""


def has_image_ending(name: str | os.PathLike[str]) -> bool:
    """Tell by its name, in letters of either case, whether a file is a picture.

    Args:
        name: Of a file, or of a member of an archive; folders before it do not matter.

    Returns:
        Whether it ends like one.

    Example:
        >>> has_image_ending("pets/IMG_1.JPG"), has_image_ending("IMG_1.HEIC")
        (True, False)
    """
    # A million files of a folder go through here: a Path of each would take twice the time.
    return os.path.splitext(name)[1].lower() in IMAGE_ENDINGS  # noqa: PTH122

"""What an image may come as, and the names and digests of what came."""

from __future__ import annotations

import hashlib
import os
from typing import IO, Any, Protocol, TypeAlias

import numpy.typing as npt
from PIL import Image

from crossalign.errors import ImageError

_DIGESTED_PIXELS = 2**20


class SupportsArray(Protocol):
    """Anything NumPy can view as an array, for example a PyTorch tensor on the CPU."""

    def __array__(self) -> npt.NDArray[Any]: ...


ImageSource: TypeAlias = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | IO[bytes]
    | Image.Image
    | npt.NDArray[Any]
    | SupportsArray
)
"""What :func:`load_image` reads."""


def is_one_image(source: object) -> bool:
    """Tell a single image from several: some of what :func:`load_image` takes can be walked over.

    Args:
        source: An image, or something that yields images.

    Returns:
        Whether it is meant as one image.
    """
    single = (str, bytes, bytearray, memoryview, os.PathLike, Image.Image)
    return isinstance(source, single) or hasattr(source, "read") or hasattr(source, "__array__")


def source_name(source: object) -> str:
    """Name an image source for messages and tables.

    Args:
        source: Anything :func:`load_image` takes.

    Returns:
        The path as given; ``<bytes>``, ``<image>`` or ``<array>``; for an open file its name if it
        has one, else ``<file object>``; for anything else its type, such as ``<int>``.

    Example:
        >>> source_name("pets/tabby.jpg"), source_name(b"...")
        ('pets/tabby.jpg', '<bytes>')
    """
    if isinstance(source, str | os.PathLike):
        return os.fsdecode(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return "<bytes>"
    if isinstance(source, Image.Image):
        return "<image>"
    if callable(getattr(source, "read", None)):
        name = getattr(source, "name", None)
        return name if isinstance(name, str) else "<file object>"
    return "<array>" if hasattr(source, "__array__") else f"<{type(source).__name__}>"


def content_digest(image: Image.Image) -> bytes:
    """Digest the pixels of a picture; equal pixels give equal digests, whatever the file format.

    The digest keys the randomness of the crops: which crops an image gets depends on the seed and
    on this digest alone, never on its file name, its place in a batch or the worker that reads it.

    Args:
        image: A PIL image of mode ``RGB``, as :func:`load_image` returns it.

    Returns:
        16 bytes: BLAKE2b over the width and the height (8 bytes each, little endian) and the RGB
        bytes, row by row.

    Raises:
        ImageError: If the image is not of mode ``RGB``.

    Example:
        >>> content_digest(Image.new("RGB", (1, 1), "black")).hex()
        '70d2012c9df401a3e436e91c251769f2'
    """
    if image.mode != "RGB":
        raise ImageError(
            f"<image>: expected mode RGB, got {image.mode}; pass it through load_image first"
        )
    digest = hashlib.blake2b(digest_size=16)
    for side in image.size:
        digest.update(side.to_bytes(8, "little"))
    width, height = image.size
    rows = max(1, _DIGESTED_PIXELS // width)  # bytes of a large picture at once would be as large
    for top in range(0, height, rows):
        digest.update(image.crop((0, top, width, min(top + rows, height))).tobytes())
    return digest.digest()

"""From an image source to views: read, decoded, laid out; or found in the store undecoded."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL
from PIL import Image

from crossalign.encoders.base import Encoder, Preprocess, fingerprint
from crossalign.engine.cache.quantization import Indices, Packed
from crossalign.engine.cache.store import Store
from crossalign.images import crops
from crossalign.images.crops import Boxes, CropSpec, Pixels
from crossalign.images.load import (
    content_digest,
    load_image,
    load_reduced,
    read_file,
    source_name,
    stored_pixels,
)

# A crop of a reduced picture still has this many times the encoder's side, so that the last
# resize goes on shrinking and what the reduction blurred is out of sight.
_DRAFT_MARGIN = 2

BYTES_PER_PIXEL = 4
"""What Pillow keeps of an RGB picture in memory."""
DECODING = 2 * BYTES_PER_PIXEL
"""And while it is decoded, what it is decoded from or to included."""

_NO_BOXES: Boxes = np.empty((0, 4), np.int64)


_NO_INDICES: Indices = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """The views of one image, laid out, and what the store has of them.

    Args:
        size: Width and height of the upright image.
        digest: Content of the image.
        boxes: Its crops, shape (N, 4); none of them for methods that look at the whole image.
        stored: Views whose embeddings the store has, shape (k,).
        packed: These embeddings, shape (k,); None where there are none.
        file: Key of the image's file and the size of the image, for the store to remember.
    """

    size: tuple[int, int]
    digest: bytes
    boxes: Boxes
    stored: Indices = dataclasses.field(default_factory=lambda: _NO_INDICES)
    packed: Packed | None = None
    file: tuple[bytes, tuple[int, int]] | None = None

    @property
    def count(self) -> int:
        """How many views there are; number 0 is the whole image."""
        return 1 + len(self.boxes)


class Picture:
    """The pixels of an image: decoded when they are first needed, dropped when they are not.

    Args:
        size: Full width and height, in whose pixels boxes are; the picture's own by default.
        image: The upright picture, which may be reduced, where it is decoded already.
        decode: Gives it, where it is not.
    """

    def __init__(
        self,
        size: tuple[int, int] | None = None,
        *,
        image: Image.Image | None = None,
        decode: Callable[[], Image.Image] | None = None,
    ) -> None:
        self._decode = decode
        self._image = image
        self._lock = threading.Lock()
        self._cuts_left: int | None = None
        self.when_dropped: Callable[[], None] = lambda: None
        width, height = image.size if image is not None else size or (0, 0)
        self._size = size or (width, height)
        self.bytes = BYTES_PER_PIXEL * width * height

    def last(self, cuts: int) -> None:
        """Say that the picture can be dropped when it has been cut a few times more.

        Args:
            cuts: Calls of :meth:`cut` that are still to end.
        """
        with self._lock:
            self._cuts_left = cuts

    def cut(self, indices: Indices, boxes: Boxes, preprocess: Preprocess) -> Pixels:
        """Make views.

        Args:
            indices: Numbers of the views, rising, shape (k,), k >= 1.
            boxes: Crops of the image, shape (N, 4).
            preprocess: How pixels are made ready for the encoder.

        Returns:
            uint8, shape (k, S, S, 3).
        """
        with self._lock:
            if self._image is None:
                if self._decode is None:
                    raise RuntimeError("a picture was cut after its last cut")
                self._image = self._decode()
            image = self._image
        out = np.empty((len(indices), preprocess.size, preprocess.size, 3), np.uint8)
        first = int(indices[0] == 0)
        if first:
            out[0] = preprocess.whole(image)
        if len(indices) > first:
            preprocess.cut(image, boxes[indices[first:] - 1], out[first:], self._size)
        with self._lock:
            if self._cuts_left is not None:
                self._cuts_left -= 1
                if self._cuts_left == 0:
                    self._image = None
                    del image
                    self.when_dropped()
        return out


@dataclass(frozen=True)
class Opener:
    """Opens images for an encoder and a layout of crops; called in threads.

    Args:
        encoder: The encoder.
        spec: Its crops; None for the whole image alone.
        max_pixels: Larger images are refused.
        draft: Whether large JPEGs may be decoded at a part of their size.
        store: Where embeddings are kept, if anywhere.
    """

    encoder: Encoder
    spec: CropSpec | None
    max_pixels: int
    draft: bool
    store: Store | None

    @functools.cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self.encoder)

    @functools.cached_property
    def _least_side(self) -> int | None:
        """Short side in pixels that a picture decoded at a part of its size still has."""
        share = 1.0 if self.spec is None else self.spec.side[0]
        steps = self.encoder.preprocess
        least = math.ceil(_DRAFT_MARGIN * (steps.resize or steps.size) / share)
        return least if self.draft else None

    def look(self, source: Any) -> tuple[bytes | None, int]:
        """See how large an image is, without decoding it.

        Args:
            source: Anything that :func:`crossalign.load_image` takes. An open file is read.

        Returns:
            Its file's bytes, where they had to be read already, and the bytes of memory that its
            pixels take while they are decoded; 0 where its file does not say.

        Raises:
            ImageError: If it cannot be read.
        """
        wanted = self.store is not None or self.draft or hasattr(source, "read")
        data = read_file(source) if wanted else None
        return data, DECODING * stored_pixels(source if data is None else data)

    def __call__(self, source: Any, data: bytes | None) -> tuple[Views, Picture]:
        """Open one image.

        Args:
            source: As for :meth:`look`.
            data: Its file's bytes, where :meth:`look` read them.

        Returns:
            Its views, and its pixels, which are not decoded yet if the store knows the file.

        Raises:
            ImageError: If it cannot be used.
        """
        if data is None:
            image = load_image(source, max_pixels=self.max_pixels)
            return self._laid_out(image.size, content_digest(image)), Picture(image=image)
        key = self._file_key(data)
        known = None if self.store is None else self.store.get_file(key)
        if known is not None and math.prod(known[1]) <= self.max_pixels:
            content, size = known
            return self._laid_out(size, content), Picture(
                size, decode=lambda: self._decoded(data, source)[0]
            )
        image, size = self._decoded(data, source)
        content = content_digest(image)
        if image.size != size:  # a smaller picture of the same pixels is another image
            content = hashlib.blake2b(content + repr(size).encode(), digest_size=16).digest()
        return self._laid_out(size, content, (key, size)), Picture(size, image=image)

    def keep(self, views: Views, indices: Indices, packed: Packed) -> None:
        """Put new embeddings of an image into the store, if there is one.

        Args:
            views: The image.
            indices: Numbers of the views, shape (k,).
            packed: Their embeddings, shape (k,).
        """
        if self.store is not None:
            self.store.put_views(
                self._fingerprint, self._layout(), views.digest, indices, packed, views.file
            )

    def _laid_out(
        self,
        size: tuple[int, int],
        digest: bytes,
        file: tuple[bytes, tuple[int, int]] | None = None,
    ) -> Views:
        boxes = _NO_BOXES if self.spec is None else crops.boxes(self.spec, size, digest)
        stored, packed = _NO_INDICES, None
        if self.store is not None:
            stored, packed = self.store.get_views(self._fingerprint, self._layout(), digest)
            wanted = stored <= len(boxes)
            if packed is not None and not wanted.all():
                stored, packed = stored[wanted], packed[wanted]
        return Views(size, digest, boxes, stored, packed, file)

    def _layout(self) -> str:
        return "" if self.spec is None else crops.layout(self.spec)

    def _decoded(self, data: bytes, source: Any) -> tuple[Image.Image, tuple[int, int]]:
        least = self._least_side or 2**31
        return load_reduced(data, source_name(source), least, max_pixels=self.max_pixels)

    def _file_key(self, data: bytes) -> bytes:
        """Name a file's bytes and how they are decoded, in which versions of Pillow may differ."""
        digest = hashlib.blake2b(data, digest_size=16)
        digest.update(f"{PIL.__version__} {self._least_side}".encode())
        return digest.digest()

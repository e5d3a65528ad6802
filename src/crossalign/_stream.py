"""Images in, embeddings out, in order: prepared in threads, encoded in shared batches."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from crossalign.crops import Boxes, Pixels
from crossalign.encoders.base import Embeddings, Encoder
from crossalign.errors import CropError, ImageError

# Views that one thread cuts at a time. Small enough that the encoder starts early on a single
# image, large enough that handing them over costs nothing.
_VIEWS_PER_PART = 16


Cut: TypeAlias = Callable[[int, int], Pixels]
"""Makes views number ``start`` to ``stop`` of an image, view 0 being the whole of it: uint8, shape
(stop - start, S, S, 3). It holds the decoded image, so it is dropped as soon as all are cut."""


@dataclass(slots=True)
class Views:
    """One image, opened and laid out.

    Args:
        size: Width and height of the upright image.
        digest: Content of the image.
        boxes: Its crops, shape (N, 4); none of them for methods that look at the whole image.
    """

    size: tuple[int, int]
    digest: bytes
    boxes: Boxes

    @property
    def count(self) -> int:
        """How many views there are."""
        return 1 + len(self.boxes)


@dataclass(slots=True)
class Encoded:
    """One image with its embeddings, or with the reason why it has none.

    Args:
        source: What was given.
        views: What was encoded; None where there was an error.
        embeddings: float32, shape (1 + N, D); empty where there was an error.
        error: Why the image could not be used.
    """

    source: Any
    views: Views | None
    embeddings: Embeddings
    error: ImageError | CropError | MemoryError | None = None


@dataclass(slots=True)
class _Waiting:
    """An image of which some views are not encoded yet."""

    encoded: Encoded
    filled: int = 0

    @property
    def complete(self) -> bool:
        return self.encoded.error is not None or self.filled == len(self.encoded.embeddings)


class _Batch:
    """Views of consecutive images on their way to the encoder."""

    def __init__(self, encoder: Encoder, size: int) -> None:
        self.encoder = encoder
        self._size = size
        self._rows = 0
        self._parts: list[tuple[_Waiting, Pixels]] = []

    def add(self, owner: _Waiting, pixels: Pixels) -> None:
        """Append views of an image, and encode each time the batch is full."""
        start = 0
        while start < len(pixels):
            taken = pixels[start : start + self._size - self._rows]
            self._parts.append((owner, taken))
            self._rows += len(taken)
            start += len(taken)
            if self._rows == self._size:
                self.encode()

    def encode(self) -> None:
        """Encode what there is and hand the embeddings to their images."""
        if not self._parts:
            return
        parts, self._parts, self._rows = self._parts, [], 0
        pixels = [part for _, part in parts]
        rows = self.encoder.encode_images(pixels[0] if len(pixels) == 1 else np.concatenate(pixels))
        start = 0
        for owner, part in parts:
            stop = start + len(part)
            if owner.encoded.error is None:
                owner.encoded.embeddings[owner.filled : owner.filled + len(part)] = rows[start:stop]
                owner.filled += len(part)
            start = stop


_Job: TypeAlias = tuple[Views, list["Future[Pixels]"]]


def encode_stream(
    sources: Iterable[Any],
    prepare: Callable[[Any], tuple[Views, Cut]],
    encoder: Encoder,
    *,
    batch_size: int,
    workers: int,
) -> Iterator[Encoded]:
    """Encode images one after the other, in order, with memory that does not grow.

    Images are opened and cut by ``workers`` threads, at most twice as many images ahead, and the
    encoder starts as soon as enough views for a batch are cut; views of several images share a
    batch of ``batch_size``. An image that ``prepare`` refuses comes back with its error, in its
    place. Stopping early leaves no thread and no work behind.

    Args:
        sources: Images; read only as far ahead as needed.
        prepare: Opens one image, lays out its views and gives what cuts them; called in threads,
            as is what it gives.
        encoder: The encoder; called in the caller's thread.
        batch_size: Views in one call of the encoder.
        workers: Threads that prepare.

    Yields:
        One result for each source.
    """
    iterator = iter(sources)
    ahead: deque[tuple[Any, Future[_Job]]] = deque()
    waiting: deque[_Waiting] = deque()
    batch = _Batch(encoder, batch_size)
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="crossalign")

    def begin(source: Any) -> _Job:
        views, cut = prepare(source)
        starts = range(0, views.count, _VIEWS_PER_PART)
        return views, [
            pool.submit(cut, start, min(start + _VIEWS_PER_PART, views.count)) for start in starts
        ]

    try:
        while True:
            for source in itertools.islice(iterator, 2 * workers - len(ahead)):
                ahead.append((source, pool.submit(begin, source)))
            if not ahead:
                batch.encode()
                yield from _completed(waiting)
                return
            source, job = ahead.popleft()
            waiting.append(_receive(source, job, batch))
            if len(waiting) > batch_size + 2 * workers:
                # Only images that cannot be used came lately: they fill no batch, and must not
                # wait for ever behind the views of one that can.
                batch.encode()
            yield from _completed(waiting)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _receive(source: Any, job: Future[_Job], batch: _Batch) -> _Waiting:
    """Take one image's views as they are cut, and encode every batch that they fill."""
    nothing = np.empty((0, batch.encoder.card.dim), np.float32)
    owner = _Waiting(Encoded(source, None, nothing))
    try:
        views, parts = job.result()
        owner.encoded.embeddings = np.empty((views.count, batch.encoder.card.dim), np.float32)
        for part in parts:
            batch.add(owner, part.result())
    except (ImageError, CropError, MemoryError) as error:
        owner.encoded.error = error
        owner.encoded.embeddings = nothing
    else:
        owner.encoded.views = views
    return owner


def _completed(waiting: deque[_Waiting]) -> Iterator[Encoded]:
    while waiting and waiting[0].complete:
        yield waiting.popleft().encoded

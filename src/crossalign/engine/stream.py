"""The engine: images in, embeddings out, in order; cut in threads, encoded in shared batches.

An image says in rounds which views it wants encoded, by a *plan*: a generator that yields their
numbers and is sent their embeddings. A plan of one round wants all views at once; one of many can
stop when it has seen enough. Views of several images fill a batch, whatever round each is in.

Which views share a batch follows from the images and their plans alone, never from timing.
"""

from __future__ import annotations

import functools
import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from crossalign.encoders.base import Embeddings
from crossalign.engine.cache.quantization import Indices, Packed, pack, unpack
from crossalign.engine.memory_budget import MemoryBudget, Reservation
from crossalign.engine.views import Opener, Picture, Views
from crossalign.errors import CropError, ImageError
from crossalign.images.crops import Pixels
from crossalign.predictions import EncodedImage, ImageFailure

Plan: TypeAlias = Generator[Indices, Embeddings, None]
"""Yields numbers of views, each once, and is sent their embeddings, shape (k, D), in that order."""

Planner: TypeAlias = Callable[[Views], Plan]
"""Makes the plan of an image."""

# Views that one thread cuts at a time. Small enough that the encoder starts early on a single
# image, large enough that handing them over costs nothing.
_VIEWS_PER_PART = 16

# Memory for the decoded pixels of the images in work, in bytes for each thread that decodes them.
# With small images it is never filled; with large ones it keeps the memory down. Each thread can
# decode a photo of 12 megapixels, and no two of 60 are decoded at a time.
PIXEL_BYTES_PER_WORKER = 128 * 2**20

_ERRORS = (ImageError, CropError, MemoryError)


def all_views(views: Views) -> Generator[Indices, Embeddings, None]:
    """Plan to encode everything in one round.

    Args:
        views: The image.

    Yields:
        The numbers of all views.
    """
    yield np.arange(views.count)


@dataclass(slots=True, eq=False)
class _Image:
    """An image in work.

    Args:
        source: What was given.
        reservation: Its part of the memory for pixels.
        looking: Gives the bytes that it needs, as far as that can be told before it is decoded.
        opening: Gives its views and pixels.
    """

    source: Any
    reservation: Reservation
    looking: Future[int] = field(default_factory=Future)
    opening: Future[tuple[Views, Picture]] = field(default_factory=Future)
    views: Views | None = None
    picture: Picture | None = None  # dropped as soon as nothing more can be cut from it
    cutting: int = 0  # parts of it in the queue
    plan: Plan | None = None
    rows: Embeddings = field(default_factory=lambda: np.empty((0, 0), np.float32))
    encoded: npt.NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    asked: list[Indices] = field(default_factory=list)
    fresh: list[tuple[Indices, Packed]] = field(default_factory=list)
    missing: int = 0
    error: ImageFailure | None = None
    done: bool = False

    @property
    def all_asked(self) -> bool:
        """Whether its plan has asked for every view."""
        return sum(map(len, self.asked)) == len(self.rows)


@dataclass(slots=True, eq=False)
class _Engine:
    """Everything that is under way at one time.

    Args:
        opener: Opens images, and has the encoder.
        planner: Makes their plans.
        batch_size: Views in a batch.
        pool: Threads that cut.
        budget: Memory for pixels.
        queue: Views that are being cut.
        batch: Views that are cut and wait for a full batch.
        filled: How many these are.
        waiting: Images that are begun and not given out, in order.
    """

    opener: Opener
    planner: Planner
    batch_size: int
    pool: ThreadPoolExecutor
    budget: MemoryBudget
    queue: deque[tuple[_Image, Indices, Future[Pixels]]] = field(default_factory=deque)
    batch: list[tuple[_Image, Indices, Pixels]] = field(default_factory=list)
    filled: int = 0
    waiting: deque[_Image] = field(default_factory=deque)

    def has_room(self, most: int, size: int) -> bool:
        """Tell whether another image should be begun.

        Two batches of views are kept in work, so that one is cut while the other is encoded.

        Args:
            most: Images in work, those included that are done and wait for their turn.
            size: Memory that it needs for its pixels, in bytes. Where this says that there is
                some, there is, or will be without anything done in this thread.

        Returns:
            True if so.
        """
        queued = self.filled + sum(len(indices) for _, indices, _ in self.queue)
        if queued >= 2 * self.batch_size or len(self.waiting) >= most:
            return False
        held = sum(image.picture.bytes for image in self.waiting if image.picture is not None)
        return not held or held + size <= self.budget.size

    def begin(self, image: _Image) -> None:
        """Take up an image and have its first views cut."""
        self.waiting.append(image)
        try:
            views, picture = image.opening.result()
        except _ERRORS as error:
            self._finish(image, error)
            return
        image.opening = Future()  # which held the picture too
        image.views, image.picture = views, picture
        picture.when_dropped = functools.partial(self.budget.free, image.reservation)
        image.rows = np.empty((views.count, self.opener.encoder.card.dim), np.float32)
        image.encoded = np.zeros(views.count, np.bool_)
        if views.packed is not None:
            image.rows[views.stored] = unpack(views.packed)
            image.encoded[views.stored] = True
        image.plan = self.planner(views)
        self._ask(image, next(image.plan))
        self._go_on(image)

    def step(self) -> bool:
        """Take the views that were queued first into the batch; encode it when it is full.

        Returns:
            False if there was nothing to do.
        """
        if not self.queue:
            if self.batch:
                self._encode()
                return True
            return False
        image, indices, cutting = self.queue.popleft()
        image.cutting -= 1
        if not image.done:
            try:
                pixels = cutting.result()
            except _ERRORS as error:
                self._finish(image, error)
                return True
            if image.cutting == 0 and image.all_asked:
                image.picture = None
                self.budget.free(image.reservation)
            self._add(image, indices, pixels)
        return True

    def completed(self) -> Iterator[EncodedImage]:
        """Give out the images that are done, as long as none before them is not."""
        while self.waiting and self.waiting[0].done:
            image = self.waiting.popleft()
            views = image.views
            if views is None or image.error is not None:
                none = np.empty((0, 4), np.int64)
                yield EncodedImage(image.source, (0, 0), b"", none, None, image.error)
                continue
            used = np.sort(np.concatenate(image.asked))
            boxes = views.boxes[used[1:] - 1]
            yield EncodedImage(image.source, views.size, views.digest, boxes, image.rows[used])

    def _add(self, image: _Image, indices: Indices, pixels: Pixels) -> None:
        start = 0
        while start < len(pixels):
            stop = start + self.batch_size - self.filled
            taken = pixels[start:stop]
            self.batch.append((image, indices[start:stop], taken))
            self.filled += len(taken)
            start += len(taken)
            if self.filled == self.batch_size:
                self._encode()

    def _encode(self) -> None:
        """Encode the batch and hand the embeddings to their images."""
        batch, self.batch, self.filled = self.batch, [], 0
        pixels = [part for _, _, part in batch]
        rows = self.opener.encoder.encode_images(
            pixels[0] if len(pixels) == 1 else np.concatenate(pixels)
        )
        packed = None
        if self.opener.store is not None:
            packed = pack(rows)
            rows = unpack(packed)  # what the store will give next time
        start = 0
        for image, indices, _ in batch:
            stop = start + len(indices)
            image.rows[indices] = rows[start:stop]
            image.encoded[indices] = True
            if packed is not None:
                image.fresh.append((indices, packed[start:stop]))
            image.missing -= len(indices)
            start = stop
            if image.missing == 0:
                self._go_on(image)

    def _go_on(self, image: _Image) -> None:
        """Send the plan what it asked for, until it wants something that is to be encoded."""
        while image.plan is not None and not image.missing:
            try:
                wanted = image.plan.send(image.rows[image.asked[-1]])
            except StopIteration:
                if image.fresh and image.views is not None:
                    indices, packed = zip(*image.fresh, strict=True)
                    self.opener.keep(image.views, np.concatenate(indices), np.concatenate(packed))
                self._finish(image)
                return
            self._ask(image, wanted)

    def _ask(self, image: _Image, wanted: Indices) -> None:
        """Have those of the wanted views cut whose embeddings are not there."""
        image.asked.append(wanted)
        missing = np.sort(wanted[~image.encoded[wanted]])
        image.missing = len(missing)
        picture, views = image.picture, image.views
        if picture is None or views is None:  # everything was asked for before
            return
        starts = range(0, len(missing), _VIEWS_PER_PART)
        image.cutting += len(starts)
        if image.all_asked:
            picture.last(image.cutting)
        for start in starts:
            indices = missing[start : start + _VIEWS_PER_PART]
            cutting = self.pool.submit(
                picture.cut, indices, views.boxes, self.opener.encoder.preprocess
            )
            self.queue.append((image, indices, cutting))

    def _finish(self, image: _Image, error: ImageFailure | None = None) -> None:
        image.error, image.done = error, True
        image.picture = image.plan = None
        image.fresh.clear()
        self.budget.free(image.reservation)


def encode_stream(
    sources: Iterable[Any],
    opener: Opener,
    planner: Planner = all_views,
    *,
    batch_size: int,
    workers: int,
) -> Generator[EncodedImage, None, None]:
    """Encode images one after the other, in order, with memory that does not grow.

    Images are opened and cut by ``workers`` threads, at most twice as many images ahead, and
    decoded as far as there is memory for their pixels, of which their files say how much they need.
    The encoder starts as soon as enough views for a batch are cut. An image that cannot be used
    comes back with its error, in its place. Stopping early leaves no thread and no work behind.

    Args:
        sources: Images; read only as far ahead as needed.
        opener: Opens one image; called in threads.
        planner: Says which views of an image to encode.
        batch_size: Views in one call of the encoder, which is made in the caller's thread.
        workers: Threads that open and cut.

    Yields:
        One result for each source.
    """
    iterator = iter(sources)
    ahead: deque[_Image] = deque()
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="crossalign")
    budget = MemoryBudget(workers * PIXEL_BYTES_PER_WORKER)
    engine = _Engine(opener, planner, batch_size, pool, budget)
    try:
        while True:
            for source in itertools.islice(iterator, 2 * workers - len(ahead)):
                image = _Image(source, budget.reserve())
                ahead.append(image)
                image.looking = pool.submit(_look, image, opener, pool, budget)
            if ahead and engine.has_room(batch_size + 2 * workers, ahead[0].looking.result()):
                engine.begin(ahead.popleft())
            elif not engine.step() and not ahead:
                break
            yield from engine.completed()
        yield from engine.completed()
    finally:
        budget.close()
        pool.shutdown(wait=True, cancel_futures=True)
        if opener.store is not None:
            opener.store.flush()


def _look(image: _Image, opener: Opener, pool: ThreadPoolExecutor, budget: MemoryBudget) -> int:
    """See how large an image is, and have it opened as soon as there is memory for it."""

    def open_() -> None:
        try:
            views, picture = opener(image.source, data)
        except BaseException as error:
            budget.free(image.reservation)
            image.opening.set_exception(error)
            return
        budget.change(image.reservation, picture.bytes)
        image.opening.set_result((views, picture))

    try:
        data, size = opener.look(image.source)
    except BaseException as error:
        budget.free(image.reservation)
        image.opening.set_exception(error)
        return 0
    budget.ask(image.reservation, size, lambda: pool.submit(open_))
    return size

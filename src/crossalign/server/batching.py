"""Requests of many clients share the encoder's batches.

:class:`BatchingEncoder` is an encoder in front of an encoder: every thread that labels an image
calls it as it would call the real one, and a thread of its own puts the views of all callers into
full batches. The classifier knows nothing of it.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

import numpy as np

from crossalign.encoders.base import Embeddings, Encoder, check_pixels
from crossalign.errors import EncoderError
from crossalign.images.crops import Pixels
from crossalign.server import cancellation
from crossalign.server.cancellation import Budget, Job


@dataclass(slots=True, eq=False)
class _Call:
    """One caller's views on their way through one or several batches."""

    pixels: Pixels
    rows: Embeddings
    arrived: float
    job: Job | None
    taken: int = 0
    filled: int = 0
    result: Future[Embeddings] = field(default_factory=Future)


# Texts, and without batches views, encoded in one go: few enough that a job soon sees that it must
# end.
_TEXTS, _CHARACTERS, _VIEWS = 64, 8_000, 64

_View: TypeAlias = tuple[_Call, int]
Result = TypeVar("Result")


class BatchingEncoder:
    """Merges concurrent calls of many threads into full batches of one encoder.

    Views are served in the order in which they came, so nobody waits for ever. A batch goes off
    when it is full, when everybody who said they would bring views (:meth:`expecting`) has done so,
    or when its first views have waited for ``batch_seconds``. A batch that the encoder fails on is
    encoded again caller by caller, so that only those who really fail get the error.

    Args:
        encoder: The encoder that does the work.
        batch_views: Views in a full batch; 0 hands every call on as it is.
        batch_seconds: Longest time to wait for others.
        on_batch: Called after each batch with its number of views and the seconds it took.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        batch_views: int = 8,
        batch_seconds: float = 0.005,
        on_batch: Callable[[int, float], None] | None = None,
    ) -> None:
        self._encoder = encoder
        self.card, self.preprocess = encoder.card, encoder.preprocess
        self._batch_views = batch_views
        self._batch_seconds = batch_seconds
        self._on_batch = on_batch
        self._calls: deque[_Call] = deque()
        self._coming = 0
        self._closed = False
        self._changed = threading.Condition()
        # Texts are encoded a part at a time, and callers take turns: one client's thousand
        # descriptions must neither take every processor from the images of all others, nor make
        # another client with two descriptions wait for all of them.
        self._texts = Budget(1)
        self._thread = threading.Thread(target=self._run, name="crossalign-batches", daemon=True)
        self._thread.start()

    @contextmanager
    def expecting(self) -> Iterator[None]:
        """Announce that this thread will bring views, so that a batch may wait for them.

        Where nobody else is expected, views never wait: a lone client pays nothing for batching.
        """
        with self._changed:
            self._coming += 1
        try:
            yield
        finally:
            with self._changed:
                self._coming -= 1
                self._changed.notify()

    def encode_images(self, pixels: Pixels) -> Embeddings:
        """Embed pictures, together with those of other threads.

        Args:
            pixels: uint8 RGB, shape (n, S, S, 3).

        Returns:
            float32, shape (n, D), rows of unit length.

        Raises:
            EncoderError: If the pixels have another dtype or shape, or this encoder is closed.
            ApiError: If the job of this thread must end.
        """
        check_pixels(pixels, self.preprocess.size)
        cancellation.check()
        if not self._batch_views:
            return self._alone(pixels)
        rows = np.empty((len(pixels), self.card.dim), np.float32)
        if not len(rows):
            return rows
        call = _Call(pixels, rows, time.monotonic(), cancellation.of_this_thread())
        with self._changed:
            if self._closed:
                raise EncoderError("the service is stopping; nothing more is encoded.")
            self._calls.append(call)
            self._changed.notify()
        return call.result.result()

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Embed texts, a part at a time in turn with other threads.

        Args:
            texts: Any number of texts.

        Returns:
            float32, shape (m, D), rows of unit length.

        Raises:
            ApiError: If the job of this thread must end.
        """
        rows = []
        for part in _parts(texts):
            with self._texts.holding(1):
                rows.append(self._encoder.encode_texts(part))
        return np.concatenate(rows)

    def _alone(self, pixels: Pixels) -> Embeddings:
        rows = []
        for start in range(0, max(1, len(pixels)), _VIEWS):
            cancellation.check()
            part = pixels[start : start + _VIEWS]
            encode = functools.partial(self._encoder.encode_images, part)
            rows.append(self._timed(encode, len(part)))
        return np.concatenate(rows)

    def close(self, seconds: float | None = None) -> None:
        """Encode what is still waiting, then stop. Later calls raise.

        Args:
            seconds: Longest time to wait for that; None waits until it is done.
        """
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(seconds)

    def _run(self) -> None:
        while views := self._next_batch():
            self._timed(functools.partial(self._encode, views), len(views))

    def _timed(self, encode: Callable[[], Result], views: int) -> Result:
        start = time.monotonic()
        result = encode()
        if self._on_batch is not None:
            self._on_batch(views, time.monotonic() - start)
        return result

    def _next_batch(self) -> list[_View]:
        """Wait for a batch that may go off; empty once this encoder is closed."""
        with self._changed:
            self._drop_ended()
            while not self._calls:
                if self._closed:
                    return []
                self._changed.wait()
                self._drop_ended()
            deadline = self._calls[0].arrived + self._batch_seconds
            while self._may_wait() and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            return self._take()

    def _drop_ended(self) -> None:
        """Let go of calls that failed, or whose job must end: nothing more is encoded for them."""
        for call in list(self._calls):
            why = call.job.over if call.job is not None else None
            if why is not None and not call.result.done():
                call.result.set_exception(why)
            if call.result.done():
                self._calls.remove(call)

    def _may_wait(self) -> bool:
        waiting = sum(len(call.pixels) - call.taken for call in self._calls)
        return not self._closed and waiting < self._batch_views and len(self._calls) < self._coming

    def _take(self) -> list[_View]:
        views: list[_View] = []
        while self._calls and (room := self._batch_views - len(views)):
            call = self._calls[0]
            first, call.taken = call.taken, min(len(call.pixels), call.taken + room)
            views += [(call, place) for place in range(first, call.taken)]
            if call.taken == len(call.pixels):
                self._calls.popleft()
        return views

    def _encode(self, views: list[_View]) -> None:
        calls = dict.fromkeys(call for call, _ in views)
        wanted = (len(views), self.card.dim)
        try:
            rows = self._encoder.encode_images(np.stack([call.pixels[at] for call, at in views]))
            if rows.shape != wanted:
                raise EncoderError(
                    f"expected embeddings of shape {wanted}; {self.card.name} gave {rows.shape}."
                )
        except Exception as error:  # handed to its callers, whose requests it belongs to
            for call in calls:
                if len(calls) > 1:
                    self._encode([view for view in views if view[0] is call])
                else:
                    call.result.set_exception(error)
            return
        for (call, at), row in zip(views, rows, strict=True):
            call.rows[at] = row
            call.filled += 1
            if call.filled == len(call.pixels):
                call.result.set_result(call.rows)


def _parts(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Part texts into runs of a bounded number of texts and characters; at least one run."""
    start, characters = 0, 0
    for place, text in enumerate(texts):
        full = place - start == _TEXTS or characters + len(text) > _CHARACTERS
        if full and place > start:
            yield texts[start:place]
            start, characters = place, 0
        characters += len(text)
    yield texts[start:]

"""The work behind the addresses: labelling, explaining, and letting in no more than can be done."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from fastapi import Request

from crossalign.adaptive import Adaptive
from crossalign.classifier import Classifier
from crossalign.encoders.base import Encoder
from crossalign.errors import CrossalignError
from crossalign.images import stored_pixels
from crossalign.predictions import Prediction
from crossalign.server.answers import ApiError, AsciiJSON, unprocessable
from crossalign.server.batching import BatchingEncoder
from crossalign.server.class_sets import ClassMemory, ClassSets
from crossalign.server.intake import Body, find_classes, json_fields, understand
from crossalign.server.metrics import Metrics
from crossalign.server.reasons import check_labels, reasons
from crossalign.server.schemas import (
    ClassifyRequest,
    ExplainFields,
    ExplainRequest,
    LabelFields,
    NewClassSet,
)
from crossalign.server.settings import Settings

Result = TypeVar("Result")


class PixelBudget:
    """Bounds the memory of decoded images: who would go beyond it waits for others to finish.

    Images are let through in the order in which they came, so that a large one is not passed by
    for ever. One that is larger than the whole budget is worked on alone.

    Args:
        pixels: The budget.
    """

    def __init__(self, pixels: int) -> None:
        self._pixels = pixels
        self._used = 0
        self._turn = threading.Lock()
        self._changed = threading.Condition()

    @contextmanager
    def holding(self, pixels: int) -> Iterator[None]:
        """Hold a part of the budget.

        Args:
            pixels: How much.
        """
        with self._turn, self._changed:
            self._changed.wait_for(lambda: not self._used or self._used + pixels <= self._pixels)
            self._used += pixels
        try:
            yield
        finally:
            with self._changed:
                self._used -= pixels
                self._changed.notify()


class Service:
    """One encoder, the classes it remembers, and the workers in front of it.

    Args:
        encoder: The encoder.
        settings: Limits and habits.

    Raises:
        CrossalignError: If the settings' method is unknown, or a class set on disk is broken.
    """

    def __init__(self, encoder: Encoder, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.batches = BatchingEncoder(
            encoder,
            batch_views=settings.batch_views,
            batch_seconds=settings.batch_seconds,
            on_batch=self.metrics.batch,
        )
        self._pixels = PixelBudget(settings.pixels_at_once)
        self._memory = ClassMemory(self.batches, settings, self.metrics.lookup)
        try:
            self.class_sets = ClassSets(self._memory, settings)
        except CrossalignError:
            self.batches.close()
            raise
        self._pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="crossalign-worker")
        self._free = asyncio.Semaphore(settings.workers)
        self._inside = 0
        self._seconds = 0.5  # of a job, lately
        self.metrics.watch("crossalign_in_flight", "Requests let in.", lambda: self._inside)
        self.metrics.watch(
            "crossalign_remembered_classes", "Classifiers remembered.", lambda: len(self._memory)
        )

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Hold a place among those that work or wait; call it in the event loop.

        Raises:
            ApiError: 429 if there is none, with the time after which to come again.
        """
        places = self.settings.workers + self.settings.queue
        if self._inside >= places:
            seconds = math.ceil(self._seconds * self.settings.queue / self.settings.workers)
            wait = min(60, max(1, seconds))
            raise ApiError(
                429,
                "queue_full",
                f"{places} requests are being worked on or waiting already; come again in "
                f"{wait} s.",
                {"Retry-After": str(wait)},
            )
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    async def work(self, request: Request, job: Callable[[], Result]) -> Result:
        """Run a job in a worker, unless its client has gone by the time one is free.

        Args:
            request: The request.
            job: Does the work; it may block.

        Returns:
            What the job gives.

        Raises:
            ApiError: If the client has gone; nobody is there to see it.
        """
        async with self._free:
            if await request.is_disconnected():
                raise ApiError(408, "gone", "the client has gone.")
            start = time.monotonic()
            try:
                return await asyncio.get_running_loop().run_in_executor(self._pool, job)
            finally:
                self._seconds += 0.1 * (time.monotonic() - start - self._seconds)

    def close(self) -> None:
        """Finish what is being worked on, then stop."""
        self._pool.shutdown(wait=True)
        self.batches.close()

    # ------------------------------------------------------------------------ jobs, in workers

    def classify(self, body: Body) -> AsciiJSON:
        """Label an image."""
        image, given = understand(body, ClassifyRequest, LabelFields)
        return AsciiJSON(self._label(image, given)[1])

    def explain(self, body: Body) -> AsciiJSON:
        """Label an image and take the scores of some classes apart."""
        image, given = understand(body, ExplainRequest, ExplainFields)
        prediction, answer = self._label(
            image, given, lambda found: check_labels(given, found.classes)
        )
        answer |= reasons(prediction, given, crops=answer["crops"] > 0)
        return AsciiJSON(answer)

    def create_class_set(self, body: Body) -> AsciiJSON:
        """Encode classes and keep them under a name."""
        given = json_fields(body, NewClassSet)
        made = self.class_sets.create(given.name, find_classes(given, self.settings))
        return AsciiJSON(
            {
                "name": made.name,
                "classes": len(made.classes),
                "descriptions": made.texts,
                "fixed": made.fixed,
            },
            201,
        )

    def _label(
        self,
        image: bytes,
        given: LabelFields,
        check: Callable[[Classifier], None] | None = None,
    ) -> tuple[Prediction, dict[str, Any]]:
        start = time.monotonic()
        classifier = self._classifier(given)
        if check is not None:
            check(classifier)
        ready = time.monotonic()
        with self._pixels.holding(stored_pixels(image)), self.batches.expecting():
            try:
                prediction = classifier(image)
            except MemoryError:
                raise unprocessable(
                    "image", "image: too large for this machine's memory; shrink it."
                ) from None
        explanation = prediction.explain()
        count = 0 if classifier.method.crops is None else len(explanation.boxes)
        return prediction, {
            "label": prediction.label,
            "score": prediction.score,
            "ranked": [
                {"label": label, "score": score} for label, score in prediction.ranked(given.top)
            ],
            "size": list(explanation.size),
            "encoder": self.batches.card.name,
            "method": classifier.method.name,
            "crops": count,
            "seed": given.seed,
            "cost": {
                "views": 1 + count,
                "seconds": round(time.monotonic() - ready, 4),
                "class_seconds": round(ready - start, 4),
            },
        }

    def _classifier(self, given: LabelFields) -> Classifier:
        """The classifier that a request asks for, its classes encoded."""
        most = self.settings.max_crops
        if isinstance(given.crops, int) and given.crops > most:
            raise unprocessable(
                "too_many_crops", f"expected at most {most} crops; got {given.crops}."
            )
        base = self._base(given, given.method or self.settings.method)
        base.prepare()
        if base.method.crops is None:
            return base
        if given.crops == "auto":
            usual = self.settings.usual_crops(Adaptive().maximum)
            return base.with_crops(Adaptive(minimum=min(4, usual), maximum=usual), given.seed)
        usual = self.settings.usual_crops(base.method.crops.count)
        return base.with_crops(given.crops or usual, given.seed)

    def _base(self, given: LabelFields, method: str) -> Classifier:
        if given.class_set is None:
            classes = find_classes(given, self.settings)
            return self._memory.get(classes, method, given.seed)
        if given.classes is not None or given.descriptions is not None:
            raise unprocessable(
                "classes", "expected exactly one of 'classes', 'descriptions' and 'class_set'."
            )
        chosen = self.class_sets.get(given.class_set)
        if method == self.settings.method and method != "waffle":
            return chosen.classifier
        return self._memory.get(chosen.classes, method, given.seed)

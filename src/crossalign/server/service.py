"""The work behind the addresses: labelling, explaining, and letting in no more than can be done."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from fastapi import Request

from crossalign.alignment.adaptive import Adaptive
from crossalign.classifier import Classifier
from crossalign.encoders.base import Encoder
from crossalign.errors import CrossalignError
from crossalign.images.load import stored_pixels
from crossalign.predictions import Prediction
from crossalign.server.batching import BatchingEncoder
from crossalign.server.cancellation import Budget, Job
from crossalign.server.class_sets import ClassMemory, ClassSets
from crossalign.server.errors import ApiError, AsciiJSON, gone, unprocessable
from crossalign.server.explanations import check_labels, explanation_fields
from crossalign.server.metrics import Metrics
from crossalign.server.request_bodies import (
    Body,
    find_classes,
    json_fields,
    parse_request,
    read_body,
)
from crossalign.server.schemas import (
    ClassifyRequest,
    ExplainFields,
    ExplainRequest,
    LabelFields,
    NewClassSet,
)
from crossalign.server.settings import Settings

Result = TypeVar("Result")


# How long the encoder may take to end with what it does when the service stops.
_CLOSE_SECONDS = 1.0


class Service:
    """One encoder, the classes it remembers, and the workers in front of it.

    Args:
        encoder: The encoder.
        settings: Limits and habits.

    Raises:
        CrossalignError: If the settings' method is unknown, a class set on disk is broken, or the
            store cannot be used.
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
        self._pixels = Budget(settings.pixels_at_once)
        try:
            self._memory = ClassMemory(self.batches, settings, self.metrics.lookup)
            self.class_sets = ClassSets(self._memory, settings)
        except CrossalignError:
            self.batches.close()
            raise
        self._free = asyncio.Semaphore(settings.workers)
        self._jobs: set[Job] = set()
        self._waiting = self._working = 0
        self._stopped = False
        self._seconds = 0.5  # of a job, lately
        self.metrics.watch(
            in_flight=("Requests let in.", lambda: len(self._jobs)),
            waiting=("Of those, the ones that wait for a worker.", lambda: self._waiting),
            working=("Workers that are at work.", lambda: self._working),
            remembered_classes=("Classifiers remembered.", lambda: len(self._memory)),
        )

    async def work(
        self, request: Request, do: Callable[[Body], Result], *, forms: bool = True
    ) -> Result:
        """Let a request in, read its body and work on it, for as long as its client is there.

        Args:
            request: The request.
            do: Does the work on its body in a thread; it may block.
            forms: Whether the body may be a form, or JSON alone.

        Returns:
            What the work gives.

        Raises:
            ApiError: 429 if there is no place for it, 503 if no worker gets free or the work does
                not end in time or before the service stops, 499 if the client has gone.
        """
        with self._admitted() as job:
            body = await job.until(read_body(request, self.settings, forms=forms))
            watcher = asyncio.create_task(_watch(request, job))
            try:
                await self._worker(job)
                with job.within(self.settings.work_seconds, self._too_long()):
                    return await job.run(lambda: do(body), self._on_start())
            finally:
                watcher.cancel()

    @contextmanager
    def _admitted(self) -> Iterator[Job]:
        """Hold a place among those that work or wait."""
        places = self.settings.workers + self.settings.queue
        if len(self._jobs) >= places:
            raise self._come_again(
                429, "queue_full", f"{places} requests are being worked on or waiting already"
            )
        job = Job()
        self._jobs.add(job)
        if self._stopped:
            job.end(_stopping())
        try:
            yield job
        finally:
            self._jobs.discard(job)

    async def _worker(self, job: Job) -> None:
        """Wait for a worker to be free."""
        seconds = self.settings.work_seconds
        busy = self._come_again(503, "busy", f"no worker was free within {seconds:g} s")
        self._waiting += 1
        try:
            with job.within(seconds, busy):
                await job.until(self._free.acquire())
        finally:
            self._waiting -= 1

    def _on_start(self) -> Callable[[], None]:
        """Count a worker in; gives what counts it out."""
        start = time.monotonic()
        self._working += 1

        def on_end() -> None:
            self._working -= 1
            self._seconds += 0.1 * (time.monotonic() - start - self._seconds)
            self._free.release()

        return on_end

    def _come_again(self, status: int, code: str, what: str) -> ApiError:
        seconds = math.ceil(self._seconds * self.settings.queue / self.settings.workers)
        wait = min(60, max(1, seconds))
        return ApiError(
            status, code, f"{what}; come again in {wait} s.", {"Retry-After": str(wait)}
        )

    def _too_long(self) -> ApiError:
        return ApiError(
            503,
            "too_long",
            f"expected work of at most {self.settings.work_seconds:g} s; this request needs more. "
            "Give fewer or shorter classes and descriptions, or fewer crops.",
        )

    def stop(self) -> None:
        """Give the requests at work their time to end; call it in the event loop.

        After ``shutdown_seconds`` whoever still waits or works is told that the service stops.
        """
        asyncio.get_running_loop().call_later(self.settings.shutdown_seconds, self._end)

    def _end(self) -> None:
        self._stopped = True
        for job in list(self._jobs):
            job.end(_stopping())

    def close(self) -> None:
        """Stop; what is still being worked on is told to end, and not waited for for long."""
        self._end()
        self.batches.close(_CLOSE_SECONDS)
        self._memory.close()

    # ------------------------------------------------------------------------ jobs, in workers

    def classify(self, body: Body) -> AsciiJSON:
        """Label an image."""
        image, given = parse_request(body, ClassifyRequest, LabelFields)
        return AsciiJSON(self._label(image, given)[1])

    def explain(self, body: Body) -> AsciiJSON:
        """Label an image and take the scores of some classes apart."""
        image, given = parse_request(body, ExplainRequest, ExplainFields)
        prediction, answer = self._label(image, given)
        answer |= explanation_fields(prediction, given, crops=answer["crops"] > 0)
        return AsciiJSON(answer)

    def create_class_set(self, body: Body) -> AsciiJSON:
        """Encode classes and keep them under a name."""
        given = json_fields(body, NewClassSet)
        made = self.class_sets.create(given.name, find_classes(given, self.settings))
        return AsciiJSON(made.summary(), 201)

    def _label(self, image: bytes, given: LabelFields) -> tuple[Prediction, dict[str, Any]]:
        start = time.monotonic()
        base = self._base(given)
        if isinstance(given, ExplainFields):
            check_labels(given, base.classes)
        classifier = self._with_crops(base, given)
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
            "undescribed": list(classifier.undescribed),
            "cost": {
                "views": 1 + count,
                "seconds": round(time.monotonic() - ready, 4),
                "class_seconds": round(ready - start, 4),
            },
        }

    def _with_crops(self, base: Classifier, given: LabelFields) -> Classifier:
        """Give a classifier the crops that a request asks for; encodes its classes."""
        most = self.settings.max_crops
        if isinstance(given.crops, int) and given.crops > most:
            raise unprocessable(
                "too_many_crops", f"expected at most {most} crops; got {given.crops}."
            )
        if base.method.crops is None:
            base.prepare()
            return base
        usual = self.settings.usual_crops(base.method.crops.count)
        if given.crops == "auto":
            return base.with_crops(Adaptive.of(usual), given.seed)
        return base.with_crops(given.crops or usual, given.seed)

    def _base(self, given: LabelFields) -> Classifier:
        """Find the classifier of a request's classes and method, encoded already or not."""
        method = given.method or self.settings.method
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


async def _watch(request: Request, job: Job) -> None:
    """End the job of a client that goes away; its body has been read to the end."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    job.end(gone())


def _stopping() -> ApiError:
    return ApiError(503, "stopping", "the service stops; ask again when it is back.")

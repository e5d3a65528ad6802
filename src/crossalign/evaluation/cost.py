"""What a method costs beyond plain CLIP, stage by stage."""

from __future__ import annotations

import dataclasses
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from crossalign import alignment
from crossalign.classifier import Classifier
from crossalign.encoders.base import Embeddings, Encoder
from crossalign.errors import EvaluationError, ImageError
from crossalign.evaluation.memory import peak_memory
from crossalign.evaluation.report import NOTES
from crossalign.evaluation.run import Setup, examples
from crossalign.images import crops
from crossalign.images.load import content_digest, load_image
from crossalign.methods import METHODS, Method
from crossalign.reports.page import Table
from crossalign.utils.text import counted

STAGES = ("decode", "cut", "image encoder", "weights", "scoring")
"""What an image goes through, in order."""

CLASS_STAGES = ("writing", "text encoder", "pooling")
"""What a class goes through once: its texts are written, encoded, and weighed and pooled."""

_REPEATS, _REPEAT_SECONDS = 5, 2.0
_MEMORY_IMAGES = 4


@dataclass(slots=True)
class Stage:
    """The cost of one stage.

    Args:
        seconds: Time of each image.
        bytes: Most memory that Python's allocator held beside what was there before; the buffers
            inside an encoder's library are not in it.
    """

    seconds: list[float] = field(default_factory=list)
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a method.

    Args:
        method: Its name.
        views: Views encoded for an image.
        texts: Texts encoded for a class, on average.
        stages: Seconds an image (median) by stage.
        memory: Most bytes an image by stage.
        image_seconds: Seconds an image, all stages.
        class_stages: Seconds a class (median) by stage, paid once for all images.
        class_seconds: Seconds a class, all stages.
        class_bytes: Bytes that are kept of a class: its embeddings, its vector and its texts.
        process_bytes: Most memory of a process that runs this method alone, interpreter and encoder
            included; None where it cannot be measured.
    """

    method: str
    views: int
    texts: float
    stages: dict[str, float]
    memory: dict[str, int]
    image_seconds: float
    class_stages: dict[str, float]
    class_seconds: float
    class_bytes: float
    process_bytes: int | None


@dataclass(frozen=True, slots=True)
class Costs:
    """The costs of several methods.

    Args:
        methods: One each, plain CLIP first.
        images: On how many images they were measured.
        skipped: Names of images that could not be read, before these were found.
    """

    methods: tuple[Cost, ...]
    images: int
    skipped: tuple[str, ...] = ()


def measure(setup: Setup, *, images: int = 20) -> Costs:
    """Measure methods on the first images of a data set, plain CLIP first.

    One image at a time in one thread, so that stages do not overlap: the sum is more than what an
    image takes in a stream, where decoding and cutting go on beside the encoder.

    Args:
        setup: The data set, the methods and one encoder.
        images: How many images that can be read.

    Returns:
        A cost for each method.

    Raises:
        EvaluationError: If there is no image that can be read.
    """
    methods = [METHODS["clip"], *(m for m in setup.methods if m.name != "clip")]
    sources, skipped = _readable(setup, images)
    encoder = next(iter(setup.encoders.values()))
    encoder.encode_texts([f"a text that wakes the encoder, {number}" for number in range(32)])
    measured = [_prepared(setup, method, encoder) for method in methods]
    for one in measured:
        _image(one.classifier, sources[0], {name: Stage() for name in STAGES}, _timed)
    # Methods take turns, each after every other, so that whatever else the machine does and what
    # a call leaves in the caches fall on all of them.
    for turn, source in enumerate(sources):
        first = turn % len(measured)
        for one in (*measured[first:], *measured[:first]):
            _image(one.classifier, source, one.stages, _timed)
    for one in measured:
        _image(one.classifier, sources[0], one.stages, _traced)
    few = min(_MEMORY_IMAGES, len(sources)) + len(skipped)
    costs = tuple(_cost(one, peak_memory(setup, one.classifier.method, few)) for one in measured)
    return Costs(costs, len(sources), skipped)


def _readable(setup: Setup, count: int) -> tuple[list[Any], tuple[str, ...]]:
    sources: list[Any] = []
    skipped: list[str] = []
    for example in examples(setup.dataset, setup.request.per_class):
        if len(sources) == count:
            break
        try:
            load_image(example.image)
        except ImageError:
            skipped.append(example.key)
        else:
            sources.append(example.image)
    if not sources:
        raise EvaluationError(
            f"{setup.dataset.root}: expected at least one image that can be read; got none "
            f"({len(skipped)} cannot be)."
        )
    return sources, tuple(skipped)


@dataclass(frozen=True, slots=True)
class _Measured:
    """A method under measurement."""

    classifier: Classifier
    class_stages: dict[str, Stage]
    stages: dict[str, Stage] = field(default_factory=lambda: {name: Stage() for name in STAGES})


class _TimedEncoder:
    """An encoder whose text side is timed."""

    def __init__(self, encoder: Encoder, stage: Stage) -> None:
        self._encoder, self._stage = encoder, stage
        self.card, self.preprocess = encoder.card, encoder.preprocess
        self.encode_images = encoder.encode_images

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        start = time.perf_counter()
        rows = self._encoder.encode_texts(texts)
        self._stage.seconds[-1] += time.perf_counter() - start
        return rows


def _prepared(setup: Setup, method: Method, encoder: Encoder) -> _Measured:
    stages = {name: Stage() for name in CLASS_STAGES}
    texts, pooling = stages["text encoder"], stages["pooling"]
    begun = time.perf_counter()
    while True:
        with _timed(stages["writing"]):
            classifier = setup.classifier(method, _TimedEncoder(encoder, texts))
        texts.seconds.append(0.0)
        with _timed(pooling):
            classifier.prepare()
        pooling.seconds[-1] -= texts.seconds[-1]
        often = len(pooling.seconds) == _REPEATS
        if often or time.perf_counter() - begun > _REPEAT_SECONDS:
            return _Measured(classifier, stages)


def _cost(one: _Measured, process_bytes: int | None) -> Cost:
    classifier = one.classifier
    spec, side, count = classifier.method.crops, classifier.prepare(), len(classifier.classes)
    medians, by_class = (
        {name: statistics.median(stage.seconds) / share for name, stage in stages.items()}
        for stages, share in ((one.stages, 1), (one.class_stages, count))
    )
    arrays = (side.labels, side.descriptions, side.offsets, side.vectors)
    words = sum(sys.getsizeof(text) for group in side.texts for text in group)
    return Cost(
        method=classifier.method.name,
        views=1 + (0 if spec is None else spec.count),
        texts=len(side.descriptions) / count,
        stages=medians,
        memory={name: stage.bytes for name, stage in one.stages.items()},
        image_seconds=sum(medians.values()),
        class_stages=by_class,
        class_seconds=sum(by_class.values()),
        class_bytes=(sum(array.nbytes for array in arrays) + words) / count,
        process_bytes=process_bytes,
    )


@contextmanager
def _timed(stage: Stage) -> Iterator[None]:
    start = time.perf_counter()
    yield
    stage.seconds.append(time.perf_counter() - start)


@contextmanager
def _traced(stage: Stage) -> Iterator[None]:
    tracemalloc.start()  # slows Python down, so times are taken without it
    try:
        yield
        stage.bytes = max(stage.bytes, tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


def _image(
    classifier: Classifier, source: Any, stages: dict[str, Stage], watch: Callable[[Stage], Any]
) -> None:
    """Take one image through the stages, as the engine does."""
    method, encoder = classifier.method, classifier.encoder
    with watch(stages["decode"]):
        image = load_image(source)
    with watch(stages["cut"]):
        boxes = None
        if method.crops is not None:
            boxes = crops.boxes(method.crops, image.size, content_digest(image))
        pixels = encoder.preprocess.views(image, boxes)
    with watch(stages["image encoder"]):
        rows = encoder.encode_images(pixels)
    whole, parts = rows[0], rows[1:] if len(rows) > 1 else rows
    with watch(stages["weights"]):
        vector = alignment.pool(classifier.crop_weights(whole, parts), parts, method.form)
    with watch(stages["scoring"]):
        alignment.scores(vector, classifier.prepare().vectors)


def tables(costs: Costs) -> tuple[Table, Table]:
    """Lay out costs beside those of plain CLIP: of an image, and of a class with the memory.

    Args:
        costs: From :func:`measure`.

    Returns:
        Two tables.
    """
    plain = costs.methods[0].image_seconds
    of_images = tuple(
        (
            *(cost.method, str(cost.views)),
            *(f"{1000 * cost.stages[name]:.2f}" for name in STAGES),
            f"{1000 * cost.image_seconds:.1f}",
            f"{cost.image_seconds / plain:.1f}",
        )
        for cost in costs.methods
    )
    of_classes = tuple(
        (
            cost.method,
            f"{cost.texts:.1f}",
            *(f"{1000 * cost.class_stages[name]:.2f}" for name in CLASS_STAGES),
            f"{1000 * cost.class_seconds:.2f}",
            f"{cost.class_bytes / 2**10:.1f}",
            f"{max(cost.memory.values()) / 2**20:.1f}",
            "" if cost.process_bytes is None else f"{cost.process_bytes / 2**20:.0f}",
        )
        for cost in costs.methods
    )
    times = tuple(f"{name}, ms" for name in STAGES)
    class_times = tuple(f"{name}, ms" for name in CLASS_STAGES)
    return (
        Table(
            "Cost of an image",
            ("method", "views", *times, "image, ms", "times CLIP"),
            of_images,
            note=f"Medians of {counted(costs.images, 'image')}, one at a time and stage by stage.",
        ),
        Table(
            "Cost of a class, and memory",
            ("method", "texts a class", *class_times, "class, ms", "kept of a class, KiB",
             "an image's arrays, MiB", "process, MiB"),
            of_classes,
            note=NOTES["class cost"],
        ),
    )  # fmt: skip


def to_json(costs: Costs) -> list[dict[str, Any]]:
    """Give plain values.

    Args:
        costs: From :func:`measure`.

    Returns:
        One mapping a method.
    """
    return [dataclasses.asdict(cost) for cost in costs.methods]

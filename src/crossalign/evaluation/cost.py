"""What a method costs beyond plain CLIP, stage by stage."""

from __future__ import annotations

import dataclasses
import itertools
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from crossalign import alignment, crops
from crossalign.classifier import Classifier
from crossalign.encoders.base import Encoder
from crossalign.errors import EvaluationError
from crossalign.evaluation.classes import classes_for
from crossalign.evaluation.page import Table
from crossalign.evaluation.run import Setup, examples
from crossalign.images import content_digest, load_image
from crossalign.methods import METHODS, Method

STAGES = ("decode", "cut", "image encoder", "weights", "scoring")
"""What an image goes through, in order."""


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
        class_seconds: Seconds a class: the text encoder and pooling, once for all images.
        peak_bytes: Most memory of the process so far; None where the system does not say.
    """

    method: str
    views: int
    texts: float
    stages: dict[str, float]
    memory: dict[str, int]
    image_seconds: float
    class_seconds: float
    peak_bytes: int | None


def measure(setup: Setup, *, images: int = 20) -> list[Cost]:
    """Measure methods on the first images of a data set, plain CLIP first.

    One image at a time in one thread, so that stages do not overlap: the sum is more than what an
    image takes in a stream, where decoding and cutting go on beside the encoder.

    Args:
        setup: The data set, the methods and one encoder.
        images: How many images.

    Returns:
        A cost for each method.

    Raises:
        EvaluationError: If there is no image that can be read.
    """
    methods = [METHODS["clip"], *(m for m in setup.methods if m.name != "clip")]
    found = examples(setup.dataset, setup.request.per_class)
    sources = [example.image for example in itertools.islice(found, images)]
    if not sources:
        raise EvaluationError(f"{setup.dataset.root}: expected at least one image; got none.")
    encoder = next(iter(setup.encoders.values()))
    encoder.encode_texts(["a text that wakes the encoder"])
    watched = [_prepared(setup, method, encoder) for method in methods]
    for one in watched:
        _image(one.classifier, sources[0], {name: Stage() for name in STAGES}, _timed)
    # Methods take turns, each after every other, so that whatever else the machine does and what
    # a call leaves in the caches fall on all of them.
    for turn, source in enumerate(sources):
        first = turn % len(watched)
        for one in (*watched[first:], *watched[:first]):
            _image(one.classifier, source, one.stages, _timed)
    for one in watched:
        _image(one.classifier, sources[0], one.stages, _weighed)
    return [_cost(one) for one in watched]


@dataclass(frozen=True, slots=True)
class _Watched:
    """A method under measurement."""

    classifier: Classifier
    class_seconds: float
    stages: dict[str, Stage]


def _prepared(setup: Setup, method: Method, encoder: Encoder) -> _Watched:
    classifier = Classifier(
        classes_for(method, setup.roster, setup.sources),
        encoder=encoder,
        method=method,
        seed=setup.request.seed,
        bank=setup.request.bank,
    )
    start = time.perf_counter()
    classifier.prepare()
    seconds = (time.perf_counter() - start) / len(classifier.classes)
    return _Watched(classifier, seconds, {name: Stage() for name in STAGES})


def _cost(one: _Watched) -> Cost:
    medians = {name: statistics.median(stage.seconds) for name, stage in one.stages.items()}
    classifier = one.classifier
    spec = classifier.method.crops
    return Cost(
        method=classifier.method.name,
        views=1 + (0 if spec is None else spec.count),
        texts=len(classifier.prepare().descriptions) / len(classifier.classes),
        stages=medians,
        memory={name: stage.bytes for name, stage in one.stages.items()},
        image_seconds=sum(medians.values()),
        class_seconds=one.class_seconds,
        peak_bytes=_peak(),
    )


@contextmanager
def _timed(stage: Stage) -> Iterator[None]:
    start = time.perf_counter()
    yield
    stage.seconds.append(time.perf_counter() - start)


@contextmanager
def _weighed(stage: Stage) -> Iterator[None]:
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


def _peak() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def table(costs: list[Cost]) -> Table:
    """Lay out costs beside those of plain CLIP.

    Args:
        costs: From :func:`measure`.

    Returns:
        A table.
    """
    plain = costs[0].image_seconds
    rows = tuple(
        (
            cost.method,
            str(cost.views),
            f"{cost.texts:.1f}",
            *(f"{1000 * cost.stages[name]:.2f}" for name in STAGES),
            f"{1000 * cost.image_seconds:.1f}",
            f"{cost.image_seconds / plain:.1f}",
            f"{1000 * cost.class_seconds:.2f}",
            f"{max(cost.memory.values()) / 2**20:.1f}",
        )
        for cost in costs
    )
    head = ("method", "views", "texts a class", *(f"{name}, ms" for name in STAGES),
            "image, ms", "times CLIP", "class, ms", "memory, MiB")  # fmt: skip
    return Table(
        "Cost of an image and of a class",
        head,
        rows,
        note="Medians, one image at a time and stage by stage. Memory: the most that arrays and "
        "pictures of one stage take, without the encoder's own. The cost of a class is paid once.",
    )


def to_json(costs: list[Cost]) -> list[dict[str, Any]]:
    """Give plain values.

    Args:
        costs: From :func:`measure`.

    Returns:
        One mapping a method.
    """
    return [dataclasses.asdict(cost) for cost in costs]

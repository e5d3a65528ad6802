"""Runs an evaluation: every encoder, method and seed over the data set, resumable at any image."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from crossalign.classifier import Classifier
from crossalign.encoders.base import Encoder, fingerprint
from crossalign.encoders.registry import load_encoder
from crossalign.engine.cache.store import Store
from crossalign.errors import EvaluationError
from crossalign.evaluation.classes import Roster, Sources, classes_for, texts_of
from crossalign.evaluation.datasets import Dataset, Example, load_dataset
from crossalign.evaluation.journal import Journal
from crossalign.evaluation.machine import versions
from crossalign.evaluation.request import (
    PROTOCOLS,
    Request,
    crops_in_run,
    has_chance,
    method_json,
    methods_of,
)
from crossalign.evaluation.run_scores import Outcome, judge, resampled_scores, resampling
from crossalign.images.load import ImageSource
from crossalign.methods import ClassTexts, Method
from crossalign.predictions import Prediction
from crossalign.utils.digests import value_digest

OnProgress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is running, the number of its images that are done, and their total."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One walk over the data set.

    Args:
        model: Name of the encoder.
        method: The method, settled.
        seed: Its seed.
        runs: Runs that it gives at once: more than one where a pool is resampled.
    """

    model: str
    method: Method
    seed: int
    runs: int


@dataclass(slots=True)
class Walk:
    """A pass that was made.

    Args:
        step: What was done.
        journal: Where its outcomes are.
        texts: What was encoded for the classes.
    """

    step: Pass
    journal: Journal
    texts: ClassTexts


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that the passes have in common.

    Args:
        request: What was asked.
        dataset: The data set.
        roster: Its classes.
        sources: Texts about them.
        methods: The methods, settled.
        encoders: The encoders by name.
    """

    request: Request
    dataset: Dataset
    roster: Roster
    sources: Sources
    methods: tuple[Method, ...]
    encoders: dict[str, Encoder]

    @property
    def total(self) -> int:
        """Most images of a pass."""
        limit = self.request.per_class
        everything = len(self.dataset)
        return everything if limit is None else min(everything, limit * len(self.roster.names))


def prepare(request: Request) -> Setup:
    """Read the data set, the texts and the encoders, and find out what is missing before any work.

    Args:
        request: What to evaluate.

    Returns:
        What the passes need.

    Raises:
        EvaluationError: If the data set or the texts do not serve.
        DescriptionError: If a file of texts cannot be used.
        EncoderError: If an encoder cannot be loaded.
    """
    dataset = load_dataset(
        request.dataset,
        request.root,
        split=request.split,
        names=request.names,
        partial=request.partial,
    )
    roster = Roster.of(dataset.class_names)
    sources = Sources.load(request.descriptions, request.descriptors)
    methods = methods_of(request, dataset.templates)
    for method in methods:
        classes = classes_for(method, roster, sources)
        texts_of(method, classes, sources, request.seed, bank=request.bank)
    encoders = {model: load_encoder(model, **request.encoder_options) for model in request.models}
    return Setup(request, dataset, roster, sources, methods, encoders)


def passes(request: Request, methods: tuple[Method, ...]) -> list[Pass]:
    """List the walks that a request takes.

    Args:
        request: The request.
        methods: Its methods, settled.

    Returns:
        One pass for each encoder, method and seed; a single one where there is no chance, or where
        the runs resample a pool.
    """
    found = []
    for model, method in itertools.product(request.models, methods):
        if resamples(request, method):
            found.append(Pass(model, method, request.seed, request.runs))
        elif not has_chance(method):
            found.append(Pass(model, method, request.seed, 1))
        else:
            seeds = range(request.seed, request.seed + request.runs)
            found += [Pass(model, method, seed, 1) for seed in seeds]
    return found


def resamples(request: Request, method: Method) -> bool:
    """Tell whether the runs of a method resample one pool of crops.

    Args:
        request: The request.
        method: The method.

    Returns:
        True if so.
    """
    return PROTOCOLS[request.protocol].resamples and method.crops is not None


def walk(
    setup: Setup,
    step: Pass,
    folder: Path,
    store: Store | None,
    on_progress: OnProgress | None = None,
    command: Sequence[str] = (),
) -> Walk:
    """Make a pass, or what is left of it.

    Args:
        setup: What the passes have in common.
        step: The pass.
        folder: Where its journal is.
        store: Where embeddings are kept.
        on_progress: Called as images are done.
        command: The command line, for the journal.

    Returns:
        The pass with its journal, which is whole and closed.

    Raises:
        EvaluationError: If the journal cannot be written, or there are no images.
    """
    request = setup.request
    classes = classes_for(step.method, setup.roster, setup.sources)
    texts = texts_of(step.method, classes, setup.sources, step.seed, bank=request.bank)
    encoder = setup.encoders[step.model]
    identity = _identity(setup, step, texts)
    journal = Journal(
        folder / f"{_slug(step)}-{value_digest(identity)[:8]}.sqlite", identity, command
    )
    classifier = Classifier(
        classes,
        encoder=encoder,
        method=step.method,
        crops=request.adaptive(step.method),
        seed=step.seed,
        bank=request.bank,
        store=store,
    )
    title = f"{step.model} {step.method.name} seed {step.seed}"
    with journal:
        rest = _pending(setup, journal)
        for place, outcome in _outcomes(classifier, rest, step, request, setup.roster):
            journal.append(place, outcome)
            if on_progress is not None:
                on_progress(title, journal.done, setup.total)
    if journal.done == 0:
        raise EvaluationError(f"{setup.dataset.root}: expected at least one image; got none.")
    return Walk(step, journal, texts)


def examples(dataset: Dataset, per_class: int | None) -> Iterator[Example]:
    """Iterate over a data set, or over the first images of each class.

    Args:
        dataset: The data set.
        per_class: Most images of a class; None for all.

    Yields:
        Labelled images.
    """
    seen: Counter[int] = Counter()
    for example in dataset:
        seen[example.label] += 1
        if per_class is None or seen[example.label] <= per_class:
            yield example


@dataclass(frozen=True, slots=True)
class _Pending:
    """An image that is to be computed: where it stands, and what tells it from others."""

    place: int
    example: Example
    stamp: str


def _pending(setup: Setup, journal: Journal) -> Iterator[_Pending]:
    """Skip the images that the journal knows."""
    for place, example in enumerate(examples(setup.dataset, setup.request.per_class)):
        stamp = _stamp(example.image)
        if not journal.reuse(place, example.key, example.label, stamp):
            yield _Pending(place, example, stamp)


def _stamp(image: ImageSource) -> str:
    """Tell a file from what it was: by size and time, or where its bytes are at hand by these."""
    if isinstance(image, Path):
        if not image.is_file():
            return ""
        status = image.stat()
        return f"{status.st_size} {status.st_mtime_ns}"
    if isinstance(image, bytes):
        return hashlib.blake2b(image, digest_size=8).hexdigest()
    raise EvaluationError(f"expected a path or bytes of an image; got {type(image).__name__}.")


def _outcomes(
    classifier: Classifier,
    rest: Iterator[_Pending],
    step: Pass,
    request: Request,
    roster: Roster,
) -> Iterator[tuple[int, Outcome]]:
    first = next(rest, None)
    if first is None:  # everything is in the journal; the classes need not even be encoded
        return
    waiting: deque[_Pending] = deque()

    def images() -> Iterator[ImageSource]:
        for one in itertools.chain([first], rest):
            waiting.append(one)
            yield one.example.image

    indices = None
    if resamples(request, step.method):
        pool = step.method.crops.count if step.method.crops is not None else 0
        indices = resampling(pool, crops_in_run(step.method, request), step.runs, step.seed)
    vectors = classifier.prepare().vectors
    for prediction in classifier.predict(images(), keep_evidence=indices is not None):
        one = waiting.popleft()
        key, label = one.example.key, one.example.label
        evidence = prediction.evidence
        if evidence is None or prediction.scores is None:
            yield one.place, Outcome(key, label, error=prediction.error, stamp=one.stamp)
            continue
        scores = prediction.scores[None]
        if indices is not None:
            scores = _resampled(prediction, indices, vectors, step.method)
        content = evidence.digest.hex()
        outcome = judge(key, label, content, scores, request.temperature, roster.column)
        taken = prediction.crops if request.crops == "auto" else None
        yield one.place, dataclasses.replace(outcome, stamp=one.stamp, crops=taken)


def _resampled(prediction: Prediction, indices: Any, vectors: Any, method: Method) -> Any:
    evidence = prediction.evidence
    if evidence is None or evidence.views is None:
        raise EvaluationError(f"{prediction.image}: its embeddings were not kept.")
    image, crops = evidence.views[0], evidence.views[1:]
    return resampled_scores(image, crops, indices, vectors, method)


def _identity(setup: Setup, step: Pass, texts: ClassTexts) -> dict[str, Any]:
    """Say what the outcomes of a pass depend on beside the images."""
    request, dataset = setup.request, setup.dataset
    rule = request.adaptive(step.method)
    return {
        "format": 2,
        "versions": versions(),
        "dataset": [dataset.name, dataset.split, request.per_class, str(dataset.root.resolve())],
        "classes": value_digest([dataset.class_ids, dataset.class_names]),
        "texts": value_digest([texts.labels, texts.texts]),
        "encoder": fingerprint(setup.encoders[step.model]),
        "method": method_json(step.method),
        "protocol": request.protocol,
        "crops": crops_in_run(step.method, request),
        "seed": step.seed,
        "runs": step.runs,
        "temperature": request.temperature,
        **({} if rule is None else {"adaptive": dataclasses.asdict(rule)}),
    }


def _slug(step: Pass) -> str:
    name = f"{step.model.rpartition('/')[2]}-{step.method.name}-seed{step.seed}"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).lower()


@dataclass(frozen=True, slots=True, eq=False)
class Scoreboard:
    """The outcomes of an encoder and a method as arrays.

    Args:
        labels: True classes, shape (n,).
        usable: Whether an image could be read, shape (n,).
        predicted: Shape (R, n).
        rank: Shape (R, n).
        confidence: Shape (R, n).
        margin: Lead over the runner-up, shape (R, n).
        crops: How many crops were taken, shape (R, n); -1 where it is the same for every image.
    """

    labels: Any
    usable: Any
    predicted: Any
    rank: Any
    confidence: Any
    margin: Any
    crops: Any

    @property
    def right(self) -> Any:
        """Hits, bool, shape (R, n)."""
        return self.rank == 0


def scoreboard(walks: list[Walk]) -> Scoreboard:
    """Read the journals of one encoder and method.

    Args:
        walks: Its passes.

    Returns:
        Their outcomes; some twenty bytes an image and run.
    """
    count, runs = walks[0].journal.done, sum(walk.step.runs for walk in walks)
    labels, usable = np.zeros(count, np.int64), np.ones(count, np.bool_)
    arrays = {name: np.full((runs, count), -1, kind) for name, kind in _KINDS.items()}
    start = 0
    for walk in walks:
        rows = slice(start, start + walk.step.runs)
        start = rows.stop
        for place, outcome in enumerate(walk.journal):
            labels[place] = outcome.label
            usable[place] &= outcome.error is None
            for name, array in arrays.items():
                if value := getattr(outcome, name):  # what failed has none
                    array[rows, place] = value
    return Scoreboard(labels, usable, **arrays)


_KINDS = {
    **dict.fromkeys(("predicted", "rank", "crops"), np.int32),
    **dict.fromkeys(("confidence", "margin"), np.float32),
}

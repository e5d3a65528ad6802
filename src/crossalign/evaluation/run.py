"""Runs an evaluation: every encoder, method and seed over the data set, resumable at any image."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import os
import re
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from crossalign.classifier import Classifier
from crossalign.encoders.base import Encoder, fingerprint
from crossalign.encoders.registry import load_encoder
from crossalign.errors import EvaluationError
from crossalign.evaluation.classes import Roster, Sources, classes_for, digest, texts_of
from crossalign.evaluation.datasets import Dataset, Example, load_dataset
from crossalign.evaluation.journal import Journal
from crossalign.evaluation.request import (
    PROTOCOLS,
    Request,
    crops_in_run,
    has_chance,
    method_json,
    methods_of,
)
from crossalign.evaluation.runs import SCORING, Outcome, judge, resampled_scores, resampling
from crossalign.methods import ClassTexts, Method
from crossalign.predictions import Prediction
from crossalign.store import Store

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
        sessions: Who computed its outcomes, see :meth:`Journal.sessions`.
    """

    step: Pass
    journal: Journal
    texts: ClassTexts
    sessions: list[dict[str, Any]]


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
        if resamples(request, method):  # before chance: a lattice of crops is resampled too
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
    session: Mapping[str, Any] | None = None,
) -> Walk:
    """Make a pass, or what is left of it.

    Args:
        setup: What the passes have in common.
        step: The pass.
        folder: Where its journal is.
        store: Where embeddings are kept.
        on_progress: Called as images are done.
        session: What is to be kept of who computes, see :meth:`Journal.begin`.

    Returns:
        The pass with its journal, which is whole, in the order of the data set, and closed.

    Raises:
        EvaluationError: If there are no images.
    """
    request = setup.request
    classes = classes_for(step.method, setup.roster, setup.sources)
    texts = texts_of(step.method, classes, setup.sources, step.seed, bank=request.bank)
    identity = _identity(setup, step, texts)
    journal = Journal(folder / f"{_slug(step)}-{digest(identity)[:8]}.jsonl", identity)
    classifier = Classifier(
        classes,
        encoder=setup.encoders[step.model],
        method=step.method,
        crops=request.adaptive(step.method),
        seed=step.seed,
        bank=request.bank,
        store=store,
    )
    title = f"{step.model} {step.method.name} seed {step.seed}"
    with journal:
        if session is not None:
            journal.begin(session)
        queue = _Queue(journal, examples(setup.dataset, request.per_class))
        for outcome in _outcomes(classifier, queue, step, request, setup.roster):
            queue.finish(outcome)
            if on_progress is not None:
                on_progress(title, queue.done, setup.total)
        if not queue.places:
            raise EvaluationError(f"{setup.dataset.root}: expected at least one image; got none.")
        journal.settle(queue.places)
    return Walk(step, journal, texts, journal.sessions())


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
class _Known:
    """What tells an image from another, or from what it was: its key, class and stamp."""

    key: str
    label: int
    stamp: str

    @classmethod
    def of(cls, example: Example) -> _Known:
        return cls(example.key, example.label, _stamp(example.image))


def _stamp(image: Any) -> str:
    """Size and time of a file; of bytes, which have been read anyhow, size and digest."""
    if isinstance(image, bytes):
        return f"{len(image)} {hashlib.blake2b(image, digest_size=8).hexdigest()}"
    if isinstance(image, str | os.PathLike):
        path = Path(image)
        if path.is_file():
            status = path.stat()
            return f"{status.st_size} {status.st_mtime_ns}"
    return ""


class _Queue:
    """The images of a pass: those of which the journal has no outcome are handed out.

    Args:
        journal: What is known, open.
        found: The images.
    """

    def __init__(self, journal: Journal, found: Iterator[Example]) -> None:
        self.places = array("q")  # of the outcomes in the journal, in the order of the data set
        self._journal = journal
        self._found = found
        self._waiting: deque[tuple[int, _Known]] = deque()

    @property
    def done(self) -> int:
        """Images so far that are in the journal."""
        return len(self.places) - len(self._waiting)

    def __iter__(self) -> Iterator[Any]:
        for example in self._found:
            known = _Known.of(example)
            place = self._journal.find(known.key, known.label, known.stamp)
            if place is None:
                self._waiting.append((len(self.places), known))
            self.places.append(-1 if place is None else place)
            if place is None:
                yield example.image

    def next_known(self) -> _Known:
        """The first image that was handed out and is not finished."""
        return self._waiting[0][1]

    def finish(self, outcome: Outcome) -> None:
        """Write down the outcome of that image."""
        place = self._journal.append(outcome)
        number, _ = self._waiting.popleft()
        self.places[number] = place


def _outcomes(
    classifier: Classifier, queue: _Queue, step: Pass, request: Request, roster: Roster
) -> Iterator[Outcome]:
    images = iter(queue)
    first = next(images, None)
    if first is None:  # everything is in the journal; the classes need not even be encoded
        return
    indices = None
    if resamples(request, step.method):
        count = crops_in_run(step.method, request)
        pool = step.method.crops.count if step.method.crops is not None else 0
        indices = resampling(pool, count, step.runs, step.seed)
    vectors = classifier.prepare().vectors
    chained = itertools.chain([first], images)
    for prediction in classifier.predict(chained, keep_evidence=indices is not None):
        known = queue.next_known()
        evidence = prediction.evidence
        if evidence is None or prediction.scores is None:
            error = prediction.error
            yield Outcome(known.key, known.label, error=error, stamp=known.stamp)
            continue
        scores = prediction.scores[None]
        if indices is not None:
            scores = _resampled(prediction, indices, vectors, step.method)
        outcome = judge(
            known.key,
            known.label,
            evidence.digest.hex(),
            scores,
            request.temperature,
            column=roster.column,
        )
        taken = prediction.crops if request.crops == "auto" else None
        yield dataclasses.replace(outcome, stamp=known.stamp, crops=taken)


def _resampled(prediction: Prediction, indices: Any, vectors: Any, method: Method) -> Any:
    evidence = prediction.evidence
    if evidence is None or evidence.views is None:
        raise EvaluationError(f"{prediction.image}: its embeddings were not kept.")
    image, crops = evidence.views[0], evidence.views[1:]
    return resampled_scores(image, crops, indices, vectors, method)


def _identity(setup: Setup, step: Pass, texts: ClassTexts) -> dict[str, Any]:
    """Say what the outcomes of a pass depend on beside the images.

    The root is part of it: files of another folder may have the same names, sizes and times.
    """
    request, dataset = setup.request, setup.dataset
    rule = request.adaptive(step.method)
    return {
        "scoring": SCORING,
        "dataset": [dataset.name, dataset.split, str(dataset.root.resolve()), request.per_class],
        "classes": digest([dataset.class_ids, dataset.class_names]),
        "texts": digest([texts.labels, texts.texts]),
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

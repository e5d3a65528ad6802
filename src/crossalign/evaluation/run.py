"""Runs an evaluation: every encoder, method and seed over the data set, resumable at any image."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from crossalign.classifier import Classifier
from crossalign.encoders.base import Encoder, fingerprint
from crossalign.encoders.registry import load_encoder
from crossalign.engine.cache.store import Store
from crossalign.errors import EvaluationError
from crossalign.evaluation.classes import ClassList, Sources, classes_for, texts_of
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
from crossalign.evaluation.run_scores import Outcome, outcome_of, resampled_scores, resampling
from crossalign.images.load import ImageSource
from crossalign.methods import ClassTexts, Method
from crossalign.predictions import Prediction
from crossalign.utils.digests import value_digest

OnProgress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is running, the number of its images that are done, and their total."""


@dataclass(slots=True, eq=False)
class Pass:
    """One encoder and method with one seed, taken over the data set.

    Args:
        model: Name of the encoder.
        method: The method, settled.
        seed: Its seed.
        runs: Runs that it gives at once: more than one where a pool is resampled.
        texts: What is encoded for the classes.
        journal: Where its outcomes are.
    """

    model: str
    method: Method
    seed: int
    runs: int
    texts: ClassTexts
    journal: Journal = field(init=False)


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that the passes have in common.

    Args:
        request: What was asked.
        dataset: The data set.
        class_list: Its classes.
        sources: Texts about them.
        methods: The methods, settled.
        encoders: The encoders by name.
    """

    request: Request
    dataset: Dataset
    class_list: ClassList
    sources: Sources
    methods: tuple[Method, ...]
    encoders: dict[str, Encoder]

    @property
    def total(self) -> int:
        """Most images of a pass."""
        limit = self.request.per_class
        everything = len(self.dataset)
        return everything if limit is None else min(everything, limit * len(self.class_list.names))

    def texts(self, method: Method, seed: int) -> ClassTexts:
        """Write out what a method encodes for the classes.

        Args:
            method: The method.
            seed: For random words.

        Returns:
            Label prompts, texts and their origin.
        """
        classes = classes_for(method, self.class_list, self.sources)
        return texts_of(method, classes, self.sources, seed, bank=self.request.bank)

    def classifier(self, method: Method, encoder: Encoder, **settings: Any) -> Classifier:
        """Make the classifier of a method.

        Args:
            method: The method.
            encoder: The encoder.
            **settings: Others than the request's.

        Returns:
            The classifier.
        """
        classes = classes_for(method, self.class_list, self.sources)
        usual = {"seed": self.request.seed, "bank": self.request.bank}
        return Classifier(classes, encoder=encoder, method=method, **{**usual, **settings})


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
    class_list = ClassList.of(dataset.class_names)
    sources = Sources.load(request.descriptions, request.descriptors)
    methods = methods_of(request, dataset.templates)
    setup = Setup(request, dataset, class_list, sources, methods, {})
    for method in methods:
        setup.texts(method, request.seed)
    encoders = {model: load_encoder(model, **request.encoder_options) for model in request.models}
    return dataclasses.replace(setup, encoders=encoders)


def plan_passes(setup: Setup, folder: Path, command: Sequence[str] = ()) -> list[Pass]:
    """List the passes that a request takes.

    Args:
        setup: What they have in common.
        folder: Where their journals are.
        command: The command line, for the journals.

    Returns:
        One for each encoder, method and seed; a single one where there is no chance, or where the
        runs resample a pool.
    """
    request, found = setup.request, []
    for model, method in itertools.product(request.models, setup.methods):
        pooled = resamples(request, method)
        seeds = 1 if pooled or not has_chance(method) else request.runs
        for seed in range(request.seed, request.seed + seeds):
            one = Pass(
                model, method, seed, request.runs if pooled else 1, setup.texts(method, seed)
            )
            identity = _identity(setup, one)
            name = f"{_slug(one)}-{value_digest(identity)[:8]}.sqlite"
            one.journal = Journal(folder / name, identity, command)
            found.append(one)
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


def run_pass(
    setup: Setup, one: Pass, store: Store | None, on_progress: OnProgress | None = None
) -> None:
    """Compute what is missing in the journal of a pass.

    Args:
        setup: What the passes have in common.
        one: The pass; its journal is whole and closed afterwards.
        store: Where embeddings are kept.
        on_progress: Called as images are done.

    Raises:
        EvaluationError: If the journal cannot be written, or there are no images.
    """
    request, journal = setup.request, one.journal
    classifier = setup.classifier(
        one.method,
        setup.encoders[one.model],
        seed=one.seed,
        crops=request.adaptive(one.method),
        store=store,
    )
    title = f"{one.model} {one.method.name} seed {one.seed}"
    with journal:
        for place, outcome in _outcomes(classifier, _pending(setup, journal), one, setup):
            journal.append(place, outcome)
            if on_progress is not None:
                on_progress(title, journal.done, setup.total)
    if journal.done == 0:
        raise EvaluationError(f"{setup.dataset.root}: expected at least one image; got none.")


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
    classifier: Classifier, rest: Iterator[_Pending], one: Pass, setup: Setup
) -> Iterator[tuple[int, Outcome]]:
    request, method = setup.request, one.method
    first = next(rest, None)
    if first is None:  # everything is in the journal; the classes need not even be encoded
        return
    images, waiting = itertools.tee(itertools.chain([first], rest))
    indices = None
    if resamples(request, method):
        pool = method.crops.count if method.crops is not None else 0
        indices = resampling(pool, crops_in_run(method, request), one.runs, one.seed)
    vectors = classifier.prepare().vectors
    predictions = classifier.predict(
        (image.example.image for image in images), keep_evidence=indices is not None
    )
    for prediction, image in zip(predictions, waiting, strict=False):  # it is read ahead
        key, label = image.example.key, image.example.label
        evidence = prediction.evidence
        if evidence is None or prediction.scores is None:
            yield image.place, Outcome(key, label, error=prediction.error, stamp=image.stamp)
            continue
        scores = prediction.scores[None]
        if indices is not None:
            scores = _resampled(prediction, indices, vectors, method)
        content, column = evidence.digest.hex(), setup.class_list.column
        outcome = outcome_of(key, label, content, scores, request.temperature, column)
        taken = prediction.crops if request.crops == "auto" else None
        yield image.place, dataclasses.replace(outcome, stamp=image.stamp, crops=taken)


def _resampled(prediction: Prediction, indices: Any, vectors: Any, method: Method) -> Any:
    evidence = prediction.evidence
    if evidence is None or evidence.views is None:
        raise EvaluationError(f"{prediction.image}: its embeddings were not kept.")
    image, crops = evidence.views[0], evidence.views[1:]
    return resampled_scores(image, crops, indices, vectors, method)


def _identity(setup: Setup, one: Pass) -> dict[str, Any]:
    """Say what the outcomes of a pass depend on beside the images."""
    request, dataset = setup.request, setup.dataset
    rule = request.adaptive(one.method)
    return {
        "format": 2,
        "versions": versions(),
        "dataset": [dataset.name, dataset.split, request.per_class, str(dataset.root.resolve())],
        "classes": value_digest([dataset.class_ids, dataset.class_names]),
        "texts": value_digest([one.texts.labels, one.texts.texts]),
        "encoder": fingerprint(setup.encoders[one.model]),
        "method": method_json(one.method),
        "protocol": request.protocol,
        "crops": crops_in_run(one.method, request),
        "seed": one.seed,
        "runs": one.runs,
        "temperature": request.temperature,
        **({} if rule is None else {"adaptive": dataclasses.asdict(rule)}),
    }


def _slug(one: Pass) -> str:
    name = f"{one.model.rpartition('/')[2]}-{one.method.name}-seed{one.seed}"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).lower()


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
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


def read_outcomes(passes: list[Pass]) -> Outcomes:
    """Read the journals of one encoder and method.

    Args:
        passes: Its passes.

    Returns:
        Their outcomes; some twenty bytes an image and run.
    """
    count, runs = passes[0].journal.done, sum(one.runs for one in passes)
    labels, usable = np.zeros(count, np.int64), np.ones(count, np.bool_)
    arrays = {name: np.full((runs, count), -1, kind) for name, kind in _KINDS.items()}
    for one in passes:
        first = one.seed - passes[0].seed
        rows = slice(first, first + one.runs)
        for place, outcome in enumerate(one.journal):
            labels[place] = outcome.label
            usable[place] &= outcome.error is None
            for name, array in arrays.items():
                if value := getattr(outcome, name):  # what failed has none
                    array[rows, place] = value
    return Outcomes(labels, usable, **arrays)


_KINDS = {
    **dict.fromkeys(("predicted", "rank", "crops"), np.int32),
    **dict.fromkeys(("confidence", "margin"), np.float32),
}

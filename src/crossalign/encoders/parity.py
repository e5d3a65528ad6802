"""The gate that every converted or quantised encoder passes: does B embed and decide as A does?"""

from __future__ import annotations

import itertools
import json
import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from crossalign.encoders.base import Embeddings, Encoder, read_data
from crossalign.errors import EncoderError, ImageError
from crossalign.images.load import load_image
from crossalign.images.transforms import Pixels

GATE = 0.999
"""Least cosine between two embeddings of the same thing that counts as the same encoder."""

BATCH = 32

_T = TypeVar("_T")

_DATA = json.loads(read_data("parity.json"))
_CLASSES: tuple[str, ...] = tuple(_DATA["classes"])
# What tokenisers trip over: nothing, blanks, capitals, accents, symbols, other scripts, length.
ODD_TEXTS: tuple[str, ...] = tuple(_DATA["odd_texts"])


class Described(Protocol):
    """Classes by name with their descriptions: a :class:`crossalign.DescriptionSet`, or a dict."""

    def __iter__(self) -> Iterator[str]: ...

    def __getitem__(self, name: str, /) -> Iterable[str]: ...


@dataclass(frozen=True, slots=True)
class Side:
    """How alike two encoders embed one kind of thing, and how fast each is.

    Args:
        count: Things compared.
        min_cosine: Least cosine of a pair; NaN if the encoders' dimensions differ.
        median_cosine: Median cosine; NaN likewise.
        speed_a: Things a second, encoder A.
        speed_b: Things a second, encoder B.
    """

    count: int
    min_cosine: float
    median_cosine: float
    speed_a: float
    speed_b: float


@dataclass(frozen=True, slots=True)
class Parity:
    """What :func:`compare` found.

    Args:
        images: Whole images.
        texts: Descriptions, label prompts and odd texts.
        decisions: Images labelled by both.
        changed: How many of them got another label from B than from A.
        failed: Photos that could not be read, a line each: the photo and the reason.
        dims: Lengths of the embeddings of A and of B.
    """

    images: Side
    texts: Side
    decisions: int
    changed: int
    failed: tuple[str, ...]
    dims: tuple[int, int]

    @property
    def skipped(self) -> int:
        """How many photos could not be read."""
        return len(self.failed)

    @property
    def min_cosine(self) -> float:
        """The least cosine of all; NaN if the encoders' dimensions differ."""
        return float(np.minimum(self.images.min_cosine, self.texts.min_cosine))

    def passes(self, gate: float = GATE) -> bool:
        """Tell whether every cosine reaches the gate.

        Args:
            gate: Least cosine to accept.

        Returns:
            True if it does. Encoders of different dimension never pass.
        """
        return self.min_cosine >= gate


def compare(
    a: Encoder, b: Encoder, photos: Iterable[Any] = (), classes: Described | None = None
) -> Parity:
    """Compare encoder B with encoder A, each with its own preprocessing and tokeniser.

    Both are timed in turns, batch by batch, so that a machine that slows down slows both. Photos
    are read a batch at a time, so any number of them takes the memory of a few.

    Args:
        a: The encoder to be reproduced.
        b: The one that should do so.
        photos: Anything that :func:`crossalign.load_image` reads; those that it cannot are skipped
            and listed. With none, 64 synthetic pictures of every shape stand in.
        classes: Classes to decide among by their label prompts, their descriptions being further
            texts to compare; ten everyday words by default.

    Returns:
        The comparison.

    Raises:
        EncoderError: If none of the photos could be read.

    Example:
        >>> from crossalign import load_encoder
        >>> builtin = load_encoder("builtin")
        >>> compare(builtin, builtin, [Image.new("RGB", (40, 30), "red")]).changed
        0
    """
    chosen: Described = dict.fromkeys(_CLASSES, ()) if classes is None else classes
    labels = [f"a photo of a {name}." for name in chosen]
    texts = [*labels, *(text for name in chosen for text in chosen[name]), *ODD_TEXTS]
    texts_a, texts_b, text_side = _run(_in_batches(texts), a.encode_texts, b.encode_texts)

    failed: list[str] = []
    given, sources = _peeked(photos)
    readable = _views(sources if given else synthetic_pictures(), a, b, failed)
    some, batches = _peeked(_in_batches(readable))
    if not some:
        raise EncoderError(
            f"none of the {len(failed)} photos could be read ({failed[0]}); give other ones."
        )
    images_a, images_b, image_side = _run(
        batches,
        lambda part: a.encode_images(np.concatenate([view for view, _ in part])),
        lambda part: b.encode_images(np.concatenate([view for _, view in part])),
    )
    of_a = np.argmax(images_a @ texts_a[: len(labels)].T, axis=1)
    of_b = np.argmax(images_b @ texts_b[: len(labels)].T, axis=1)
    return Parity(
        images=image_side,
        texts=text_side,
        decisions=len(of_a),
        changed=int(np.sum(of_a != of_b)),
        failed=tuple(failed),
        dims=(texts_a.shape[1], texts_b.shape[1]),
    )


def synthetic_pictures(count: int = 64, seed: int = 0) -> list[Image.Image]:
    """Make pictures without any file: smooth and rough noise of many sizes and shapes.

    Args:
        count: How many.
        seed: For the noise.

    Returns:
        RGB images.
    """
    generator = np.random.default_rng(seed)
    pictures = []
    for index in range(count):
        grain = 2 + index % 8 * 4
        noise = generator.integers(0, 256, (grain, grain, 3), dtype=np.uint8)
        size = tuple(generator.integers(40, 600, 2).tolist())
        pictures.append(Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC))
    return pictures


def _views(
    sources: Iterable[Any], a: Encoder, b: Encoder, failed: list[str]
) -> Iterator[tuple[Pixels, Pixels]]:
    """What each encoder sees of the photos; a line for those that cannot be read."""
    for source in sources:
        try:
            image = load_image(source)
        except ImageError as error:  # noqa: PERF203 - one photo may fail
            failed.append(str(error))
        else:
            yield a.preprocess.views(image), b.preprocess.views(image)


def _in_batches(things: Iterable[_T]) -> Iterator[list[_T]]:
    iterator = iter(things)
    while batch := list(itertools.islice(iterator, BATCH)):
        yield batch


def _peeked(things: Iterable[_T]) -> tuple[bool, Iterator[_T]]:
    """Whether there are any, and all of them."""
    iterator = iter(things)
    first = list(itertools.islice(iterator, 1))
    return bool(first), itertools.chain(first, iterator)


def _run(
    batches: Iterable[Sequence[_T]],
    encode_a: Callable[[Sequence[_T]], Embeddings],
    encode_b: Callable[[Sequence[_T]], Embeddings],
) -> tuple[Embeddings, Embeddings, Side]:
    """Encode things with both, in turns."""
    rows: tuple[list[Embeddings], list[Embeddings]] = ([], [])
    seconds = [0.0, 0.0]
    with warnings.catch_warnings():
        # One text is too long for most models, on purpose.
        warnings.filterwarnings("ignore", message=r"\d+ of \d+ texts are longer than")
        for number, batch in enumerate(batches):
            turns = [(0, encode_a), (1, encode_b)]
            if number == 0:
                for _, encode in turns:
                    encode(batch[:1])  # opening the model is not its speed
            # Who goes second finds the processor's caches warm, so they take turns in that too.
            for which, encode in turns if number % 2 == 0 else reversed(turns):
                begin = time.perf_counter()
                rows[which].append(encode(batch))
                seconds[which] += time.perf_counter() - begin
    a, b = np.concatenate(rows[0]), np.concatenate(rows[1])
    cosines: npt.NDArray[np.float64] = np.array([math.nan])
    if a.shape == b.shape:
        cosines = np.sum(a.astype(np.float64) * b, axis=1)
    side = Side(
        count=len(a),
        min_cosine=float(cosines.min()),
        median_cosine=float(np.median(cosines)),
        speed_a=len(a) / seconds[0],
        speed_b=len(a) / seconds[1],
    )
    return a, b, side

"""The text side: what stands for the classes, encoded, weighed and pooled once."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from crossalign import alignment
from crossalign.alignment.weights import weigh
from crossalign.encoders.base import Embeddings, Encoder, fingerprint
from crossalign.engine.cache.store import Store
from crossalign.methods import ClassTexts, Method
from crossalign.texts.filtering import repeats

_TEXTS_PER_CALL = 256


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class EncodedClasses:
    """The encoded classes.

    Args:
        labels: Embeddings of the label prompts, float32, shape (C, D).
        descriptions: Embeddings of all texts, class after class, float32, shape (sum of M_c, D).
        offsets: int64, shape (C + 1,); class c owns rows ``offsets[c]:offsets[c + 1]``.
        vectors: Pooled class vectors, float32, shape (C, D).
        texts: The texts of each class that count, after refinement.
        background: Embeddings of the background texts, float32, shape (B, D).
    """

    labels: Embeddings
    descriptions: Embeddings
    offsets: npt.NDArray[np.int64]
    vectors: Embeddings
    texts: tuple[tuple[str, ...], ...] = ()
    background: Embeddings | None = None

    def of(self, index: int) -> Embeddings:
        """The description embeddings of one class, shape (M_c, D)."""
        return self.descriptions[self.offsets[index] : self.offsets[index + 1]]


def encode_classes(
    encoder: Encoder,
    method: Method,
    written: ClassTexts,
    background: Sequence[str] = (),
    *,
    store: Store | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> EncodedClasses:
    """Encode classes as a method weighs and pools them.

    Args:
        encoder: The encoder.
        method: Says how descriptions are refined, weighed and pooled.
        written: The label prompts and texts.
        background: Texts that are encoded word for word, beside the classes.
        store: Where embeddings of texts are kept, if anywhere.
        on_progress: Called with the number of texts encoded and their total.

    Returns:
        The encoded classes.
    """
    groups = written.texts
    offsets = np.cumsum([0, *(len(group) for group in groups)])
    texts = [text for group in groups for text in group]
    # Labels ride along: a method whose text is the label prompt encodes it once.
    embedded = encode_texts(encoder, [*texts, *written.labels], store, on_progress)
    descriptions, labels = embedded[: len(texts)], embedded[len(texts) :]
    if method.redundant is not None:
        groups, offsets, descriptions = _refined(groups, offsets, descriptions, method.redundant)
    rows = [
        alignment.pool(
            description_weights(method, labels, index, descriptions[start:stop]),
            descriptions[start:stop],
            method.form,
        )
        for index, (start, stop) in enumerate(itertools.pairwise(offsets.tolist()))
    ]
    # In a call of its own: in one batch, texts may change each other's last bits.
    beside = encode_texts(encoder, background, store) if background else None
    return EncodedClasses(labels, descriptions, offsets, np.stack(rows), groups, beside)


def crop_weights(
    method: Method, classes: EncodedClasses, image: Embeddings, crops: Embeddings
) -> Any:
    """Weigh the crops of an image as a method does.

    Args:
        method: The method.
        classes: The classes, which some ways of weighing look at.
        image: Embedding of the whole image, shape (D,).
        crops: Embeddings of its crops, shape (N, D).

    Returns:
        float32, shape (N,), adding up to 1.
    """
    return weigh(
        method.crop_weighting,
        image,
        crops,
        method.crop_scale,
        top=method.top,
        classes=classes.vectors,
    )


def description_weights(method: Method, labels: Embeddings, index: int, texts: Embeddings) -> Any:
    """Weigh the descriptions of a class as a method does.

    Args:
        method: The method.
        labels: Embeddings of all label prompts, shape (C, D).
        index: The class.
        texts: Embeddings of its descriptions, shape (M, D).

    Returns:
        float32, shape (M,), adding up to 1.
    """
    return weigh(
        method.description_weighting,
        labels[index],
        texts,
        method.description_scale,
        top=method.top,
        classes=labels,
    )


def _refined(
    groups: tuple[tuple[str, ...], ...],
    offsets: npt.NDArray[np.int64],
    rows: Embeddings,
    threshold: float,
) -> tuple[tuple[tuple[str, ...], ...], npt.NDArray[np.int64], Embeddings]:
    """Drop the texts of each class that repeat one before them."""
    kept = np.ones(len(rows), bool)
    bounds = list(itertools.pairwise(offsets.tolist()))
    for start, stop in bounds:
        kept[[start + place for place in repeats(rows[start:stop], threshold)]] = False
    return (
        tuple(
            tuple(itertools.compress(group, kept[start:stop]))
            for group, (start, stop) in zip(groups, bounds, strict=True)
        ),
        np.cumsum([0, *kept])[offsets],
        rows[kept],
    )


def encode_texts(
    encoder: Encoder,
    texts: Sequence[str],
    store: Store | None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Embeddings:
    """Encode texts, each different one once, in calls of a size that leaves room for progress.

    Args:
        encoder: The encoder.
        texts: Any texts.
        store: Where embeddings of texts are kept, if anywhere.
        on_progress: Called with the number of texts encoded and their total.

    Returns:
        A row for each text, float32, shape (T, D).
    """
    name = fingerprint(encoder)
    known = {} if store is None else store.get_texts(name, texts)
    unique = sorted(dict.fromkeys(text for text in texts if text not in known), key=len)
    for start in range(0, len(unique), _TEXTS_PER_CALL):
        if on_progress is not None:
            on_progress(start, len(unique))
        part = unique[start : start + _TEXTS_PER_CALL]
        rows = encoder.encode_texts(part)
        known.update(zip(part, rows, strict=True))
        if store is not None:
            store.put_texts(name, part, rows)
    if on_progress is not None:
        on_progress(len(unique), len(unique))
    return np.stack([known[text] for text in texts])

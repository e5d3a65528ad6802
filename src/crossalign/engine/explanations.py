"""Takes scores apart: what each crop, and each description, adds to them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from crossalign import alignment
from crossalign.alignment.weights import support_size
from crossalign.encoders.base import Embeddings, Encoder, Preprocess
from crossalign.engine.cache.store import Store
from crossalign.engine.classes import (
    EncodedClasses,
    crop_weights,
    description_weights,
    encode_texts,
)
from crossalign.images.crops import Boxes, CropSpec
from crossalign.methods import Method
from crossalign.predictions import (
    CropScores,
    EncodedImage,
    Explanation,
    LocalEvidence,
    Prediction,
    Reserve,
)
from crossalign.texts.everyday import everyday_classes

LOCAL_CROPS = CropSpec(count=60, side=(0.2, 0.5), kind="even")
"""Where explanations look: small and even, and no more than the published method scores with, so
that an explained photo costs at most twice its label; chosen by ``benchmarks/pointing.py``."""

# Of how many everyday classes the texts serve as chance, and how many texts of each.
_CHANCE_CLASSES, _CHANCE_TEXTS = 24, 4


class ChanceTexts:
    """Texts of everyday classes, which are not about an image: what chance is measured by.

    They are encoded when they are first needed. Safe to use from several threads.

    Args:
        encoder: The encoder.
        store: Where embeddings of texts are kept, if anywhere.
    """

    def __init__(self, encoder: Encoder, store: Store | None) -> None:
        self._encoder, self._store = encoder, store
        self._lock = threading.Lock()
        self._groups: dict[str, Embeddings] = {}

    def beyond_their_class(self, label: str) -> Embeddings:
        """Give what each text says beyond its class.

        Args:
            label: A class whose own texts are left out.

        Returns:
            Unit vectors, float32, shape (K, D).
        """
        with self._lock:
            if not self._groups:
                self._encode()
        name = label.casefold()
        return np.concatenate([rows for each, rows in self._groups.items() if each != name])

    def _encode(self) -> None:
        everyday = everyday_classes()
        step = len(everyday.classes) // _CHANCE_CLASSES
        names = everyday.classes[::step]
        texts = [text for name in names for text in everyday[name][:_CHANCE_TEXTS]]
        rows = encode_texts(self._encoder, texts, self._store)
        for place, name in enumerate(names):
            group = rows[place * _CHANCE_TEXTS : (place + 1) * _CHANCE_TEXTS]
            self._groups[name.casefold()] = _beyond_mean(group)


_double = partial(np.asarray, dtype=np.float64)


def explain_score(
    prediction: Prediction,
    label: str,
    method: Method,
    classes: EncodedClasses,
    preprocess: Preprocess,
    local: Callable[[], LocalEvidence] | None = None,
) -> Explanation:
    """Take the score of one class apart.

    Args:
        prediction: Of an image whose embeddings it holds.
        label: The class.
        method: How it was scored.
        classes: The encoded classes.
        preprocess: What the encoder saw of its crops.
        local: Gives what its local crops say of the class.

    Returns:
        The explanation.
    """
    image, scores = prediction.scored()
    index = prediction.classes.index(label)
    whole, crops = image.parts()
    texts = classes.of(index)
    weights = crop_weights(method, classes, whole, crops)
    text_weights = description_weights(method, classes.labels, index, texts)
    # The weights are those of the score; what follows is rounded as little as can be.
    terms = alignment.contributions(
        _double(crops), _double(weights), _double(texts), _double(text_weights), method.form
    )
    return Explanation(
        image=prediction.image,
        label=label,
        score=float(scores[index]),
        size=image.size,
        boxes=_visible(image, preprocess),
        crop_weights=weights,
        descriptions=classes.texts[index],
        description_weights=text_weights,
        similarity=alignment.similarity_matrix(crops, texts),
        terms=terms,
        whole_similarity=texts @ whole,
        whole_score=float(classes.vectors[index] @ whole),
        _local=local,
    )


def explain_crops(
    prediction: Prediction, method: Method, classes: EncodedClasses, preprocess: Preprocess
) -> CropScores:
    """Take the scores of all classes apart by crop.

    Args:
        prediction: Of an image whose embeddings it holds.
        method: How it was scored.
        classes: The encoded classes.
        preprocess: What the encoder saw of its crops.

    Returns:
        What each crop adds to the score of every class.
    """
    image, scores = prediction.scored()
    whole, crops = image.parts()
    weights = crop_weights(method, classes, whole, crops)
    terms = alignment.crop_contributions(
        _double(crops), _double(weights), _double(classes.vectors), method.form
    )
    return CropScores(
        image=prediction.image,
        classes=prediction.classes,
        scores=scores,
        size=image.size,
        boxes=_visible(image, preprocess),
        weights=weights,
        embeddings=crops,
        form=method.form,
        terms=terms,
        whole_scores=alignment.scores(whole, classes.vectors),
        reserve=_reserve(method, classes, whole, crops, weights),
    )


def explain_locally(
    label: str,
    local: EncodedImage,
    classes: EncodedClasses,
    index: int,
    preprocess: Preprocess,
    chance: Embeddings,
) -> LocalEvidence:
    """Say how the local crops of an image answer a class.

    Args:
        label: The class.
        local: The image, with its local crops encoded.
        classes: The encoded classes.
        index: The class among them.
        preprocess: What the encoder saw of the crops.
        chance: What texts that are not about the image say beyond their classes, shape (K, D).

    Returns:
        The cosines.
    """
    _, crops = local.parts()
    texts = classes.of(index)
    return LocalEvidence(
        label=label,
        size=local.size,
        boxes=_visible(local, preprocess),
        answers=crops @ classes.vectors[index],
        descriptions=classes.texts[index],
        similarity=alignment.similarity_matrix(crops, texts),
        distinct=crops @ _beyond_mean(texts).T,
        chance=crops @ chance.T,
    )


def _beyond_mean(texts: Embeddings) -> Embeddings:
    """What each text says beyond the mean of all: its part that is orthogonal to it, of length 1.

    Zero where there is next to nothing.
    """
    mean = texts.mean(axis=0, dtype=np.float64)
    mean /= np.linalg.norm(mean) or 1.0
    rest = texts - np.outer(texts @ mean, mean)
    lengths = np.linalg.norm(rest, axis=1, keepdims=True)
    beyond: Embeddings = np.where(lengths > 1e-4, rest / np.maximum(lengths, 1e-4), 0.0).astype(
        np.float32
    )
    return beyond


def _visible(image: EncodedImage, preprocess: Preprocess) -> Boxes:
    """What the encoder saw of the image, crop by crop."""
    if len(image.boxes):
        return preprocess.visible(image.boxes)
    return np.array([(0, 0, *image.size)], dtype=np.int64)


def _reserve(
    method: Method, classes: EncodedClasses, whole: Embeddings, crops: Embeddings, weights: Any
) -> Reserve | None:
    """Say what crops would bring that a weighting by the k heaviest leaves out."""
    top = support_size(method.crop_weighting, method.top)
    if top is None or top >= len(crops):
        return None
    rows = _double(crops)
    all_weights = alignment.crop_weights(_double(whole), rows, method.crop_scale)
    all_weights = np.where(weights > 0, weights, all_weights / all_weights[weights > 0].sum())
    vectors = _double(classes.vectors)
    terms = alignment.crop_contributions(rows, all_weights, vectors, "sum")
    pooled = _double(weights) @ rows
    norm = float(np.linalg.norm(pooled)) if method.form == "prototype" else 1.0
    return Reserve(top, all_weights, terms / (norm or 1.0))

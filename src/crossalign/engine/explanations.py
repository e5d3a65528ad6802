"""Takes scores apart: what each crop, and each description, adds to them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from crossalign import alignment
from crossalign.alignment.weights import support_size
from crossalign.encoders.base import Embeddings, Preprocess
from crossalign.engine.classes import EncodedClasses, crop_weights, description_weights
from crossalign.images.crops import Boxes
from crossalign.methods import Method
from crossalign.predictions import CropScores, EncodedImage, Explanation, Prediction, Reserve

_double = partial(np.asarray, dtype=np.float64)


def explain_score(
    prediction: Prediction,
    label: str,
    method: Method,
    classes: EncodedClasses,
    preprocess: Preprocess,
) -> Explanation:
    """Take the score of one class apart.

    Args:
        prediction: Of an image whose embeddings it holds.
        label: The class.
        method: How it was scored.
        classes: The encoded classes.
        preprocess: What the encoder saw of its crops.

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

"""The joint space of the built-in model: closed form, no training data but class names.

The image classifier knows 1000 classes by number, the text model knows their names. Writing W, b
for the classifier, F for its pooled features, E for a unit text embedding and nz for "rows to unit
length":

- anchors ``T_c = nz(sum of the prompts of class c's first name)``, ``mu = mean T``, ``A = T - mu``
  (anchors from synonyms or from descriptions as well were measured, and labelled no better);
- keys K: the anchors, and one for each everyday word above the classes (dog, bird, car, ...);
- values ``Wc = nz(W - mean W)``, for an everyday word ``nz(mean of its members' rows)``;
- ``M = (exp(s (K K' - 1)) + r I)^-1 Wc``.

An image becomes ``[sqrt(q) nz(softmax((W F + b) / t) A), sqrt(1 - q) nz(F)]``, a text
``[sqrt(q) nz(E - mu), sqrt(1 - q) nz(exp(s (K E - 1)) M)]``. The first half is centred ConSE
(Norouzi et al., 2014), the second kernel ridge regression from text to classifier weights (in the
line of DeViSE, Frome et al., 2013, and ESZSL, Romera-Paredes and Torr, 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from towers import JointSpace

if TYPE_CHECKING:
    from tables import ClassRow, GroupRow

Array = npt.NDArray[Any]
EmbedTexts = Callable[[list[str]], Array]

PROMPTS = ("a photo of a {}.", "a {}.", "{}", "a close-up photo of a {}.")
SHARPNESS = 6.0
RIDGE = 0.2
TEMPERATURE = 1.3
SHARE = 0.4


def build_joint_space(
    classes: Sequence[ClassRow],
    groups: Sequence[GroupRow],
    classifier: tuple[Array, Array],
    embed_texts: EmbedTexts,
    *,
    all_names: bool = False,
) -> JointSpace:
    """Join the towers.

    Args:
        classes: The classifier's classes in its order.
        groups: Everyday words with the classes that they cover; they act in K and M alone.
        classifier: W (1000, F) and b (1000,).
        embed_texts: Texts to unit embeddings (m, E), from the original text network.
        all_names: Make a class's anchor from all its names; from the first alone by default.

    Returns:
        All arrays in double precision.
    """
    weight, bias = (part.astype(np.float64) for part in classifier)
    anchors = _anchors([row.names if all_names else row.names[:1] for row in classes], embed_texts)
    centred = _unit(weight - weight.mean(axis=0))
    keys, values = anchors, centred
    if groups:
        members = [centred[list(row.members)].mean(axis=0) for row in groups]
        keys = np.concatenate([anchors, _anchors([row.names for row in groups], embed_texts)])
        values = np.concatenate([centred, _unit(np.stack(members))])
    kernel = np.exp(SHARPNESS * (keys @ keys.T - 1.0))
    mean = anchors.mean(axis=0)
    return JointSpace(
        classifier=(weight, bias),
        softmax_half=anchors - mean,
        text_mean=mean,
        keys=keys,
        values=np.linalg.solve(kernel + RIDGE * np.eye(len(keys)), values),
        sharpness=SHARPNESS,
        temperature=TEMPERATURE,
        share=SHARE,
    )


def embed_features(joint: JointSpace, features: Array) -> Array:
    """Join the image side in double precision; the reference for the shipped graph."""
    weight, bias = joint.classifier
    logits = (features @ weight.T + bias) / joint.temperature
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return _halves(joint, shares @ joint.softmax_half, features)


def embed_sentences(joint: JointSpace, sentences: Array) -> Array:
    """Join the text side in double precision; the reference for the shipped graph."""
    kernel = np.exp(joint.sharpness * (sentences @ joint.keys.T - 1.0))
    return _halves(joint, sentences - joint.text_mean, kernel @ joint.values)


def _halves(joint: JointSpace, first: Array, second: Array) -> Array:
    parts = [np.sqrt(joint.share) * _unit(first), np.sqrt(1.0 - joint.share) * _unit(second)]
    return np.concatenate(parts, axis=1)


def _anchors(names: Sequence[Sequence[str]], embed_texts: EmbedTexts) -> Array:
    texts = [prompt.format(name) for group in names for name in group for prompt in PROMPTS]
    embedded = embed_texts(texts).astype(np.float64)
    ends = np.cumsum([len(group) * len(PROMPTS) for group in names])
    return _unit(np.stack([part.sum(axis=0) for part in np.split(embedded, ends[:-1])]))


def _unit(rows: Array) -> Array:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)

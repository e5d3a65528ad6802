"""Fewer and better descriptions: drop what says nothing new, or does not tell a class apart.

Every criterion looks at texts alone, through the text side of an encoder; no picture is needed.
What is kept keeps its order, and the same input always gives the same output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from crossalign import alignment
from crossalign.encoders.base import Embeddings, Encoder
from crossalign.errors import DescriptionError
from crossalign.texts.descriptions import DescriptionSet, wordify
from crossalign.texts.templates import LABEL_TEMPLATE, fill_template
from crossalign.utils.validation import finite_number, whole_number

REDUNDANT = 0.99
"""Cosine from which a description says what another one says (BiFTA, arXiv 2601.20419)."""

_ROWS = 1024  # of the matrix of all texts by all classes that is in memory at a time


@dataclass(frozen=True, slots=True)
class Dropped:
    """A description that was left out.

    Args:
        class_name: Its class.
        text: The description.
        reason: Why, in words with the figure that decided.
    """

    class_name: str
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Refinement:
    """What a refinement kept and what it dropped.

    Args:
        kept: The smaller set, classes and texts in their old order.
        dropped: The rest, in the same order.
    """

    kept: DescriptionSet
    dropped: tuple[Dropped, ...]


@dataclass(frozen=True, slots=True, eq=False)
class EncodedTexts:
    """The texts of a set, encoded once.

    Args:
        labels: Embeddings of the label prompts, float32, shape (C, D), unit rows.
        texts: Embeddings of all descriptions, class after class, float32, shape (T, D), unit rows.
        owner: Class of each text, int64, shape (T,).
    """

    labels: Embeddings
    texts: Embeddings
    owner: npt.NDArray[np.int64]

    def rows(self, position: int) -> Embeddings:
        """Give the descriptions of one class.

        Args:
            position: Of the class.

        Returns:
            float32, shape (M, D).
        """
        rows: Embeddings = self.texts[self.owner == position]
        return rows


@dataclass(frozen=True, slots=True, eq=False)
class Margins:
    """How well each text tells its class from the others.

    Args:
        own: Cosine to what else stands for its class (label prompt and other descriptions, pooled),
            shape (T,).
        other: Highest cosine to any other class, pooled likewise; -inf if there is none.
        nearest: That class, shape (T,).
    """

    own: npt.NDArray[np.float32]
    other: npt.NDArray[np.float32]
    nearest: npt.NDArray[np.int64]

    @property
    def values(self) -> npt.NDArray[np.float32]:
        """Own cosine less the other one; below 0 the text is closer to another class."""
        values: npt.NDArray[np.float32] = self.own - self.other
        return values


def encode_descriptions(classes: DescriptionSet, encoder: Encoder) -> EncodedTexts:
    """Encode the label prompts and descriptions of a set.

    Args:
        classes: Classes with descriptions.
        encoder: Any encoder; only its text side is used.

    Returns:
        The embeddings.

    Raises:
        DescriptionError: If the set has names only.
    """
    if not classes.has_descriptions:
        raise DescriptionError(
            f"Expected classes with descriptions, got {len(classes)} names alone. "
            "Write descriptions first, for example with crossalign describe."
        )
    labels = [fill_template(LABEL_TEMPLATE, wordify(name)) for name in classes]
    texts = [text for group in classes.texts for text in group]
    rows = encoder.encode_texts([*labels, *texts])
    owner = np.repeat(np.arange(len(classes)), [len(group) for group in classes.texts])
    return EncodedTexts(rows[: len(labels)], rows[len(labels) :], owner)


def text_margins(encoded: EncodedTexts) -> Margins:
    """Compare each text with its own class, itself left out, and with every other class.

    Args:
        encoded: Embeddings of a set.

    Returns:
        The margins, in the order of the texts.
    """
    sums = encoded.labels.astype(np.float32, copy=True)
    np.add.at(sums, encoded.owner, encoded.texts)
    classes = alignment.unit(sums)
    count = len(encoded.texts)
    own, other = np.empty(count, np.float32), np.full(count, -np.inf, np.float32)
    nearest = np.zeros(count, np.int64)
    for start in range(0, count, _ROWS):
        part = slice(start, start + _ROWS)
        texts, owner = encoded.texts[part], encoded.owner[part]
        own[part] = np.sum(texts * alignment.unit(sums[owner] - texts), axis=1)
        if len(classes) > 1:
            cosines = texts @ classes.T
            cosines[np.arange(len(texts)), owner] = -np.inf
            nearest[part] = cosines.argmax(axis=1)
            other[part] = cosines.max(axis=1)
    return Margins(own, other, nearest)


def repeats(rows: Embeddings, threshold: float = REDUNDANT) -> dict[int, tuple[int, float]]:
    """Find the texts of a class that say what one before them says.

    Args:
        rows: Their embeddings in order, float32, shape (M, D), unit rows.
        threshold: Highest cosine that two kept texts may have.

    Returns:
        For each text to be dropped the nearest kept one and the cosine to it.
    """
    cosines = rows @ rows.T
    kept: list[int] = []
    dropped = {}
    for place in range(len(rows)):
        near = cosines[place, kept]
        if kept and near.max() > threshold:
            dropped[place] = (kept[int(near.argmax())], float(near.max()))
        else:
            kept.append(place)
    return dropped


def by_cosine(
    classes: DescriptionSet, encoder: Encoder, *, threshold: float = REDUNDANT
) -> Refinement:
    """Drop a description whose cosine to a kept one of its class exceeds a threshold.

    The first of two alike is kept. This is the description refinement of BiFTA (Sun et al., TMLR
    2026, arXiv 2601.20419), with its threshold.

    Args:
        classes: Classes with descriptions.
        encoder: Any encoder.
        threshold: Highest cosine that two kept descriptions may have, from -1 to 1.

    Returns:
        What was kept and what was dropped; every class keeps at least one description.

    Raises:
        DescriptionError: If the set has names only, or the threshold is out of range.

    Example:
        >>> from crossalign import load_encoder
        >>> owl = DescriptionSet.of({"owl": ["a round face", "A round face.", "large eyes"]})
        >>> by_cosine(owl, load_encoder("builtin"), threshold=0.9).kept["owl"]
        ('a round face', 'large eyes')
    """
    finite_number("threshold", threshold, -1, 1, error=DescriptionError)
    encoded = encode_descriptions(classes, encoder)

    def decide(position: int) -> dict[int, str]:
        rows = encoded.rows(position)
        return {
            place: f"cosine {cosine:.3f} to {classes.texts[position][nearest]!r}"
            for place, (nearest, cosine) in repeats(rows, threshold).items()
        }

    note = {"by": "cosine", "threshold": threshold}
    return _refined(classes, encoder, decide, note)


def by_usefulness(
    classes: DescriptionSet, encoder: Encoder, *, margin: float = 0.0, least: int = 1
) -> Refinement:
    """Drop a description that does not tell its class from the others.

    A description's margin is its cosine to its own class (label prompt and the class's other
    descriptions, pooled) less its highest cosine to another class. It is dropped if that is not
    above ``margin``.

    Args:
        classes: Classes with descriptions.
        encoder: Any encoder.
        margin: What the margin must exceed, from -2 to 2.
        least: Descriptions that a class keeps at any rate, those of greatest margin.

    Returns:
        What was kept and what was dropped.

    Raises:
        DescriptionError: If the set has names only, or a setting is out of range.

    Example:
        >>> from crossalign import load_encoder
        >>> pets = {"cat": ["a cat's whiskers", "a barking dog"], "dog": ["a dog's wet nose"]}
        >>> by_usefulness(DescriptionSet.of(pets), load_encoder("builtin")).kept["cat"]
        ("a cat's whiskers",)
    """
    finite_number("margin", margin, -2, 2, error=DescriptionError)
    whole_number("least", least, 1, error=DescriptionError)
    encoded = encode_descriptions(classes, encoder)
    found = text_margins(encoded)

    def decide(position: int) -> dict[int, str]:
        places = np.flatnonzero(encoded.owner == position)
        values = found.values[places]
        best = np.argsort(-values, kind="stable")[:least]
        return {
            place: f"margin {values[place]:+.3f} against "
            f"{classes.classes[found.nearest[places[place]]]!r}"
            for place in range(len(places))
            if not values[place] > margin and place not in best
        }

    note = {"by": "usefulness", "margin": margin, "least": least}
    return _refined(classes, encoder, decide, note)


def by_coverage(classes: DescriptionSet, encoder: Encoder, *, keep: int) -> Refinement:
    """Keep the few descriptions of each class that together stand best for all of them.

    Greedy maximisation of the facility location function, the sum over all descriptions of the
    highest cosine to a kept one, which comes within 1 - 1/e of the best subset (Nemhauser, Wolsey
    and Fisher, 1978). Of equal gains the first description wins.

    Args:
        classes: Classes with descriptions.
        encoder: Any encoder.
        keep: Descriptions to keep of each class; a class with fewer keeps all.

    Returns:
        What was kept and what was dropped.

    Raises:
        DescriptionError: If the set has names only, or ``keep`` is not positive.

    Example:
        >>> from crossalign import load_encoder
        >>> owl = DescriptionSet.of({"owl": ["large eyes", "big eyes", "a branch at night"]})
        >>> by_coverage(owl, load_encoder("builtin"), keep=2).kept["owl"]
        ('big eyes', 'a branch at night')
    """
    whole_number("keep", keep, 1, error=DescriptionError)
    encoded = encode_descriptions(classes, encoder)

    def decide(position: int) -> dict[int, str]:
        rows = encoded.rows(position).astype(np.float64)
        kept = _facilities(rows @ rows.T, keep)
        nearest = (rows @ rows[kept].T).argmax(axis=1)
        return {
            place: f"stands behind {classes.texts[position][kept[nearest[place]]]!r}"
            for place in range(len(rows))
            if place not in kept
        }

    return _refined(classes, encoder, decide, {"by": "coverage", "keep": keep})


CRITERIA: dict[str, Callable[..., Refinement]] = {
    "cosine": by_cosine,
    "usefulness": by_usefulness,
    "coverage": by_coverage,
}
"""The criteria by name."""

_Decide: TypeAlias = Callable[[int], dict[int, str]]


def _refined(
    classes: DescriptionSet, encoder: Encoder, decide: _Decide, note: dict[str, Any]
) -> Refinement:
    """Take out what a criterion names, class by class, and write down that it was done."""
    groups: list[tuple[str, ...]] = []
    dropped: list[Dropped] = []
    for position, (name, texts) in enumerate(zip(classes.classes, classes.texts, strict=True)):
        reasons = decide(position)
        groups.append(tuple(text for place, text in enumerate(texts) if place not in reasons))
        dropped += [Dropped(name, texts[place], why) for place, why in sorted(reasons.items())]
    before = dict(classes.provenance or {})
    step = {**note, "encoder": f"{encoder.card.name} {encoder.card.revision}"}
    earlier = before.get("refined")
    before["refined"] = [*(earlier if isinstance(earlier, list) else []), step]
    return Refinement(replace(classes, texts=tuple(groups), provenance=before), tuple(dropped))


def _facilities(similarity: npt.NDArray[np.float64], keep: int) -> list[int]:
    """Choose rows of a (M, M) similarity greedily; returns their places, in order."""
    covered = np.full(len(similarity), -1.0)
    chosen: list[int] = []
    for _ in range(min(keep, len(similarity))):
        gains = np.maximum(similarity, covered).sum(axis=1)
        gains[chosen] = -np.inf
        # Rounding differs between machines; within it the first one wins, everywhere.
        best = int(np.flatnonzero(gains >= gains.max() - 1e-6)[0])
        chosen.append(best)
        covered = np.maximum(covered, similarity[best])
    return sorted(chosen)

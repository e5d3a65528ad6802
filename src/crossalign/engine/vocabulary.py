"""The broad vocabulary that a fit is measured against: the bank's everyday classes, encoded.

Their label prompts are encoded once an encoder and process; a store keeps them, and for the
built-in model they ship with the package. Nothing is encoded before the first fit is asked for.
"""

from __future__ import annotations

import functools
import re
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from crossalign.alignment.fit import FitScale, Likeness, Vectors
from crossalign.encoders.base import Embeddings, Encoder, fingerprint
from crossalign.engine.cache.store import Store
from crossalign.engine.classes import encode_texts
from crossalign.texts import bank
from crossalign.texts.descriptions import wordify
from crossalign.texts.templates import LABEL_TEMPLATE, fill_template
from crossalign.utils.digests import value_digest

SHIPPED = "data/vocabulary.npz"
"""Label prompts of the bank's classes by the built-in model, 8 bits a number."""

_GREYS = (0, 64, 128, 192, 255)
_NOISES = 2

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """The encoded vocabulary.

    Args:
        names: The V classes.
        vectors: Their label prompts, float32 unit vectors, shape (V, D).
        likeness: What counts as alike among them.
        nothing: Mean embedding of pictures of nothing, float32, shape (D,).
    """

    names: tuple[str, ...]
    vectors: Embeddings
    likeness: Likeness
    nothing: Vectors

    def scale(self, classes: Sequence[str], labels: Embeddings) -> FitScale:
        """Part the vocabulary for some classes.

        Args:
            classes: Their names.
            labels: Embeddings of their label prompts, float32, shape (C, D).

        Returns:
            What their fit is measured against.
        """
        groups, kinds = _words_of_bank()
        asked = {_words(name) for name in classes}
        asked |= {group[0] for group in groups if not asked.isdisjoint(group)}
        known = {words for group in groups for words in group}
        inside = {part for words in asked for part in _parts(words)} & known
        narrower = [_any((_ends(words) for words in group), asked) for group in groups]
        named = [
            _any((_parts(words) for words in group), asked) or not inside.isdisjoint(group)
            for group in groups
        ]
        return FitScale.of(
            labels,
            self.vectors,
            self.likeness,
            self.nothing,
            kinds=kinds,
            narrower=np.array(narrower),
            named=np.array(named),
        )


def _any(found: Iterable[Iterable[Words]], wanted: set[Words]) -> bool:
    return any(part in wanted for parts in found for part in parts)


def vocabulary_of(encoder: Encoder, store: Store | None = None) -> Vocabulary:
    """Encode the vocabulary, unless that was done for this encoder before.

    Args:
        encoder: The encoder.
        store: Where embeddings of texts are kept, if anywhere.

    Returns:
        The vocabulary.
    """
    with _LOCK:
        found = _KNOWN.get(encoder)
        if found is None:
            names = bank.names()
            texts = prompts(names)
            vectors = _shipped(encoder, texts)
            if vectors is None:
                vectors = encode_texts(encoder, texts, store)
            found = Vocabulary(names, vectors, Likeness.of(vectors), _nothing(encoder))
            _KNOWN[encoder] = found
        return found


_KNOWN: weakref.WeakKeyDictionary[Encoder, Vocabulary] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def prompts(names: Iterable[str]) -> list[str]:
    """Write the label prompts of classes.

    Args:
        names: The classes.

    Returns:
        A text each.
    """
    return [fill_template(LABEL_TEMPLATE, wordify(name)) for name in names]


def stamp(encoder: Encoder, texts: Sequence[str]) -> str:
    """Name what embeddings of a vocabulary depend on.

    Args:
        encoder: The encoder.
        texts: The label prompts.

    Returns:
        32 hexadecimal digits.
    """
    return value_digest([fingerprint(encoder), list(texts)], size=16, compact=False)


def _shipped(encoder: Encoder, texts: Sequence[str]) -> Embeddings | None:
    """Give the embeddings that ship; None for other encoders, or where the bank has changed."""
    if encoder.card.name != "builtin":
        return None
    with files(__package__).joinpath(SHIPPED).open("rb") as stream, np.load(stream) as held:
        if str(held["stamp"]) != stamp(encoder, texts):
            return None
        vectors: Embeddings = held["codes"].astype(np.float32)
    lengths: Embeddings = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= lengths
    return vectors


def _nothing(encoder: Encoder) -> Vectors:
    """Embed plain greys and noise: one half each."""
    side = encoder.card.image_size
    greys = np.stack([np.full((side, side, 3), grey, np.uint8) for grey in _GREYS])
    noise = np.random.default_rng(7).integers(0, 256, (_NOISES, side, side, 3), np.uint8)
    found = [encoder.encode_images(pixels).mean(axis=0) for pixels in (greys, noise)]
    return np.asarray(np.mean(found, axis=0), np.float32)


@functools.cache
def _words_of_bank() -> tuple[list[list[Words]], npt.NDArray[np.bool_]]:
    groups = [[_words(name) for name in names] for names in bank.synonyms()]
    kinds = bank.kinds()
    return groups, np.array([name in kinds for name in bank.names()])


def _words(name: str) -> Words:
    return tuple(re.findall(r"[^\W_]+", wordify(name).casefold()))


def _ends(words: Words) -> Iterator[Words]:
    return (words[start:] for start in range(len(words)))


def _parts(words: Words) -> Iterator[Words]:
    return (
        words[start:stop]
        for start in range(len(words))
        for stop in range(start + 1, len(words) + 1)
    )

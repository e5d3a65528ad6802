"""Does any of the asked classes fit an image at all? Without labels, on arrays alone.

The best class of an image is the best of those that were asked for, however badly it fits. So its
score is held against those of a broad vocabulary of other classes: how many standard deviations it
lies above their mean says whether the image is of an asked class or of something else. That is the
same question for every encoder, whatever the level and spread of its scores.

Of the vocabulary, classes that are related to an asked one are no rivals of it. Those that are
narrower ("Siamese cat" of "cat") or synonyms are allies and stand for it; those that are broader
("animal") give way. What an encoder answers to pictures of nothing is taken off first, so that a
plain picture fits nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LEAST_RIVALS = 200
"""Classes of the vocabulary that are kept at least, those least like the asked ones."""

DEFAULT_CUT = 0.5
"""Below it no asked class fits; chosen on one half of the photos of docs/labelling.md."""

# Of all pairs of the vocabulary's classes, so many are as alike as two that are related, and as two
# of which one can stand for the other. Shares, since cosines differ from encoder to encoder.
_RELATED_SHARE = 0.008
_ALLIED_SHARE = 0.001
# Standard deviations above the vocabulary's mean where the fit is one half, and how fast it rises.
_CENTRE = 2.3
_WIDTH = 0.5

Vectors = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Likeness:
    """What counts as alike among texts of one encoder.

    Args:
        related: Cosine from which on two classes are no rivals.
        allied: Cosine from which on one class can stand for the other.
    """

    related: float
    allied: float

    @classmethod
    def of(cls, vocabulary: Vectors) -> Likeness:
        """Learn it from how alike the classes of a broad vocabulary are.

        Args:
            vocabulary: Unit vectors, float32, shape (V, D).

        Returns:
            The two cosines.
        """
        pairs = (vocabulary @ vocabulary.T)[np.triu_indices(len(vocabulary), 1)]
        related, allied = np.quantile(pairs, [1 - _RELATED_SHARE, 1 - _ALLIED_SHARE])
        return cls(float(related), float(allied))


@dataclass(frozen=True, slots=True, eq=False)
class FitScale:
    """What the fit of some classes is measured against.

    Args:
        candidates: The asked classes and their allies, unit vectors, float32, shape (K, D).
        rivals: The classes they are held against, unit vectors, float32, shape (R, D).
        places: Places of the rivals in the vocabulary, int64, shape (R,).
        nothing: What the encoder answers to pictures of nothing, float32, shape (D,).
    """

    candidates: Vectors
    rivals: Vectors
    places: npt.NDArray[np.int64]
    nothing: Vectors

    @classmethod
    def of(
        cls,
        asked: Vectors,
        vocabulary: Vectors,
        likeness: Likeness,
        nothing: Vectors,
        *,
        kinds: Flags,
        narrower: Flags,
        named: Flags,
    ) -> FitScale:
        """Part a vocabulary into allies of the asked classes, rivals, and those that give way.

        Args:
            asked: Label prompts of the asked classes, unit vectors, float32, shape (C, D).
            vocabulary: Those of the vocabulary, shape (V, D).
            likeness: What counts as alike.
            nothing: Mean embedding of pictures of nothing, shape (D,).
            kinds: Which classes of the vocabulary are kinds of things ("animal"): likeness alone
                does not make them allies, as they may be broader. Shape (V,).
            narrower: Which classes an asked one says the kind of, or the same as, by their names.
            named: Which classes name an asked one, or are named by one; they give way.

        Returns:
            The scale.

        Example:
            >>> words = np.eye(4, dtype=np.float32)
            >>> none = np.zeros(4, bool)
            >>> scale = FitScale.of(
            ...     words[:1],
            ...     words,
            ...     Likeness(0.5, 0.9),
            ...     words[3] * 0,
            ...     kinds=none,
            ...     narrower=none,
            ...     named=none,
            ... )
            >>> len(scale.candidates), len(scale.rivals)  # all four are kept, being so few
            (1, 4)
        """
        alike = (asked @ vocabulary.T).max(axis=0)
        related = (alike >= likeness.related) | named | narrower
        order = np.argsort(np.where(named | narrower, 2 + alike, alike), kind="stable")
        least = min(LEAST_RIVALS, len(vocabulary))
        places = np.sort(order[: max(least, int((~related).sum()))])
        given_way = np.ones(len(vocabulary), bool)
        given_way[places] = False
        allies = given_way & (narrower | ((alike >= likeness.allied) & ~kinds))
        candidates = np.concatenate([asked, vocabulary[allies]])
        return cls(candidates, vocabulary[places], places.astype(np.int64), nothing)

    def measure(self, image: Vectors) -> tuple[float, int]:
        """Say how well an image fits the asked classes.

        Args:
            image: Unit vector of the whole image, shape (D,).

        Returns:
            The fit, from 0 to 1, and the best rival's place in the vocabulary.
        """
        vector = image.astype(np.float64) - self.nothing
        rivals = self.rivals @ vector
        spread = float(rivals.std()) or 1.0
        best = float((self.candidates @ vector).max())
        away = (best - float(rivals.mean())) / spread
        # The scores of the rivals as they are, not less those of nothing: it is a name to show.
        other = int(self.places[int(np.argmax(self.rivals @ image))])
        return float(1 / (1 + np.exp(-np.clip((away - _CENTRE) / _WIDTH, -50, 50)))), other

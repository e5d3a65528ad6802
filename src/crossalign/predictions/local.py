"""How small parts of an image answer a class: what maps, regions and words are drawn from."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from crossalign.images.crops import Boxes

Encoded = TypeVar("Encoded")

Cosines = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class LocalEvidence:
    """How R small, even crops of an image answer one class and each of its M descriptions.

    These *local crops* are no part of the score: crops that score well are often too large to say
    where in a picture anything is.

    Args:
        label: The class.
        size: Width and height of the upright image in pixels.
        boxes: Local crops ``(left, top, right, bottom)`` in pixels, int64, shape (R, 4).
        answers: Cosine of each with the pooled vector of the class, float32, shape (R,).
        descriptions: The class's M texts.
        similarity: Cosine of each crop with each description, float32, shape (R, M).
        distinct: Cosine of each crop with what a description says beyond the mean of its class,
            float32, shape (R, M); 0 for the only text of a class.
        chance: The same for K texts of other classes, float32, shape (R, K): how far crops of this
            image answer texts that are not about it.
    """

    label: str
    size: tuple[int, int]
    boxes: Boxes
    answers: Cosines
    descriptions: tuple[str, ...]
    similarity: Cosines
    distinct: Cosines
    chance: Cosines


class LocalViews(Generic[Encoded]):
    """The local crops of one image, encoded when they are first asked for, and once.

    Safe to use from several threads. A copy or pickle holds what was encoded, if it was.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._encoded: Encoded | None = None

    def get(self, encode: Callable[[], Encoded]) -> Encoded:
        """Give the encoded local crops.

        Args:
            encode: Encodes them.

        Returns:
            Their embeddings and boxes.
        """
        with self._lock:
            if self._encoded is None:
                self._encoded = encode()
            return self._encoded

    def __getstate__(self) -> tuple[Encoded | None]:
        """Leave the lock behind."""
        return (self._encoded,)

    def __setstate__(self, state: tuple[Encoded | None]) -> None:
        """Take up what was encoded."""
        self._lock = threading.Lock()
        (self._encoded,) = state

"""What an image scored: all that decisions are made from, so that they can be made again.

Scores take 4 bytes each, in single precision as they were computed: a decision that is made again
from them is to the last digit the one that labelling anew would give.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from crossalign.labeling.near_duplicates import simhash

if TYPE_CHECKING:
    from crossalign.predictions import Prediction

Scores = npt.NDArray[np.float32]
"""Shape (C,) of the classes, (B,) of the background texts."""

_KIND = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class ImageScores:
    """One image that was looked at, before any decision.

    Args:
        id: Its identity within the source.
        path: What to call the image.
        content_hash: 32 hexadecimal digits that name its pixels; None with an error.
        size: Width and height of the upright image in pixels; None with an error.
        scores: Of the classes and then of the background texts, as bytes, see :meth:`split`; None
            with an error.
        simhash: Of its embedding, see :mod:`crossalign.labeling.near_duplicates`.
        error: Why there are no scores.
    """

    id: str
    path: str
    content_hash: str | None = None
    size: tuple[int, int] | None = None
    scores: bytes | None = None
    simhash: bytes | None = None
    error: str | None = None

    @classmethod
    def of(cls, identity: str, path: str, prediction: Prediction) -> ImageScores:
        """Take what a prediction says.

        Args:
            identity: Of the image within its source.
            path: What to call the image.
            prediction: With its evidence, or with an error.

        Returns:
            The same without the views.
        """
        if prediction.scores is None or prediction.size is None:
            return cls(identity, path, error=prediction.error)
        beside = () if prediction.background is None else prediction.background
        embedding = prediction.embedding
        return cls(
            identity,
            path,
            prediction.content_hash,
            prediction.size,
            np.concatenate([prediction.scores, beside]).astype(_KIND).tobytes(),
            None if embedding is None else simhash(embedding),
        )

    def split(self, classes: int) -> tuple[Scores, Scores] | None:
        """Give the scores as numbers.

        Args:
            classes: How many of them are those of classes.

        Returns:
            Scores of the classes and of the background, which may be empty; None with an error.

        Example:
            >>> ImageScores(
            ...     "x", "x.png", scores=np.array([0.5, 0.25, 0.125], "<f4").tobytes()
            ... ).split(2)
            (array([0.5 , 0.25], dtype=float32), array([0.125], dtype=float32))
        """
        if self.scores is None:
            return None
        values = np.frombuffer(self.scores, _KIND)
        return values[:classes], values[classes:]

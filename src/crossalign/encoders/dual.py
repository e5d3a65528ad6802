"""What the encoders of this package do alike, whatever runs them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from crossalign.encoders.base import (
    Embeddings,
    ModelCard,
    Preprocess,
    TextsCutWarning,
    check_pixels,
    check_texts,
)
from crossalign.images.transforms import Pixels

# Networks of matrix products are as fast with many views at a time, and GPUs need them.
IMAGE_BATCH = 32
TEXT_BATCH = 64


class DualEncoder:
    """A dual encoder: inputs are checked and put into batches here, and embedded in subclasses.

    Args:
        card: What the model is.
        preprocess: How the pixels are made.
        image_batch: Pictures that are embedded at a time; :data:`IMAGE_BATCH` by default.
        text_batch: Texts likewise; :data:`TEXT_BATCH` by default.
    """

    def __init__(
        self,
        card: ModelCard,
        preprocess: Preprocess,
        image_batch: int | None = None,
        text_batch: int | None = None,
    ) -> None:
        self._card, self._preprocess = card, preprocess
        self._image_batch, self._text_batch = image_batch or IMAGE_BATCH, text_batch or TEXT_BATCH

    @property
    def card(self) -> ModelCard:
        """Name, revision, dimensions, licence and size."""
        return self._card

    @property
    def preprocess(self) -> Preprocess:
        """How the pixels are made, as the model's own files state it."""
        return self._preprocess

    def encode_images(self, pixels: Pixels) -> Embeddings:
        """Embed pictures.

        Args:
            pixels: uint8 RGB, shape (n, S, S, 3), not normalised.

        Returns:
            float32, shape (n, D), rows of unit length.

        Raises:
            EncoderError: If the pixels have another dtype or shape, or the model fails on them.
        """
        check_pixels(pixels, self.preprocess.size)
        rows = np.empty((len(pixels), self.card.dim), np.float32)
        for start in range(0, len(pixels), self._image_batch):
            batch = slice(start, start + self._image_batch)
            rows[batch] = self._embed_images(pixels[batch])
        return rows

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Embed texts. Equal texts are embedded once, and texts of like length together.

        Args:
            texts: Any number of texts; what goes beyond the context length is cut, with a warning.
                A special token that is written out in a text is plain text.

        Returns:
            float32, shape (m, D), rows of unit length.

        Raises:
            EncoderError: If something other than texts came, or the model fails on them.
        """
        texts = check_texts(texts)
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        rows, lengths, cut = self._read(list(places)) if places else ([], [], set())
        if cut:
            warnings.warn(
                f"{sum(places[text] in cut for text in texts)} of {len(texts)} texts are longer "
                f"than {self.card.context_length} tokens and were cut there; shorten them if their "
                "ends matter.",
                TextsCutWarning,
                stacklevel=2,
            )
        unique = np.empty((len(places), self.card.dim), np.float32)
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        for start in range(0, len(order), self._text_batch):
            chosen = order[start : start + self._text_batch]
            longest = lengths[chosen[-1]]
            unique[chosen] = self._embed_texts([rows[place] for place in chosen], longest)
        return unique[[places[text] for text in texts]]

    def _read(self, texts: list[str]) -> tuple[list[Any], list[int], set[int]]:
        """Give token ids by text, how many of them each needs, and the places of those cut."""
        raise NotImplementedError

    def _embed_images(self, pixels: Pixels) -> Any:
        """Embed one batch of pictures: unit rows."""
        raise NotImplementedError

    def _embed_texts(self, rows: list[Any], longest: int) -> Any:
        """Embed some rows of :meth:`_read`, of which the longest is this long: unit rows."""
        raise NotImplementedError

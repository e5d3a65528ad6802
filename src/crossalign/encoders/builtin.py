"""The built-in model: ships inside the package, runs on ONNX Runtime, needs no download.

An EfficientNet-Lite0 image classifier and an all-MiniLM-L6-v2 sentence encoder, joined in closed
form; docs/builtin-model.md says how, what it can do and what it cannot. Both graphs end in the
joint space, so this file only feeds them.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from crossalign.encoders.base import (
    Embeddings,
    ModelCard,
    Preprocess,
    batches_by_length,
    check_pixels,
    check_texts,
    warn_of_cuts,
)
from crossalign.errors import EncoderError
from crossalign.utils.processors import usable_processors

if TYPE_CHECKING:
    import onnxruntime
    import tokenizers

    from crossalign.images.transforms import Pixels

# Small enough for the processor's caches: 4 to 8 views at a time took two thirds of the time a view
# of 32 at a time. Embeddings are the same to the last bit.
IMAGE_BATCH = 8
TEXT_BATCH = 64


class BuiltinEncoder:
    """The built-in model; load it with ``load_encoder("builtin")``.

    Each tower is opened when it is first used. Safe to use from several threads.

    Args:
        threads: Processor threads for one call; all that this process may use by default.

    Raises:
        EncoderError: If ``threads`` is not positive.
    """

    def __init__(self, threads: int | None = None) -> None:
        if threads is not None and (type(threads) is not int or threads < 1):
            raise EncoderError(f"expected threads as a whole number from 1 up; got {threads!r}.")
        self._threads = threads or usable_processors()

    @property
    def card(self) -> ModelCard:
        """Name, revision, dimensions, licence and size."""
        return _card()

    @property
    def preprocess(self) -> Preprocess:
        """224 pixels, bicubic, central square; (pixel - 127) / 128 is part of the graph."""
        share = 127.0 / 255.0, 128.0 / 255.0
        return Preprocess(
            size=self.card.image_size, mean=(share[0],) * 3, std=(share[1],) * 3, fit="crop"
        )

    @property
    def dtype(self) -> str:
        """The precision in which the graphs compute."""
        return "fp32"

    @property
    def providers(self) -> tuple[str, ...]:
        """What runs the graphs: ONNX Runtime on the processor."""
        return tuple(self._image_tower.get_providers())

    def encode_images(self, pixels: Pixels) -> Embeddings:
        """Embed pictures.

        Args:
            pixels: uint8 RGB, shape (n, 224, 224, 3).

        Returns:
            float32, shape (n, 1664), rows of unit length.

        Raises:
            EncoderError: If the pixels have another dtype or shape.

        Example:
            >>> import numpy as np
            >>> encoder = BuiltinEncoder()
            >>> encoder.encode_images(np.zeros((2, 224, 224, 3), dtype=np.uint8)).shape
            (2, 1664)
        """
        check_pixels(pixels, self.card.image_size)
        parts = [
            self._image_tower.run(None, {"pixels": pixels[start : start + IMAGE_BATCH]})[0]
            for start in range(0, len(pixels), IMAGE_BATCH)
        ]
        return np.concatenate(parts) if parts else np.empty((0, self.card.dim), np.float32)

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Embed texts. Equal texts are embedded once, and texts of like length together.

        Args:
            texts: English texts; what goes beyond 256 tokens is cut, with a warning.

        Returns:
            float32, shape (m, 1664), rows of unit length.

        Raises:
            EncoderError: If something other than texts came.

        Example:
            >>> vectors = BuiltinEncoder().encode_texts(["a photo of a cat.", "a photo of a dog."])
            >>> vectors.shape
            (2, 1664)
        """
        texts = check_texts(texts)
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        encodings = self._tokenizer.encode_batch(list(places))
        cut = sum(bool(encodings[places[text]].overflowing) for text in texts)
        warn_of_cuts(cut, len(texts), self.card.context_length)
        rows = [encoding.ids for encoding in encodings]
        unique = np.empty((len(rows), self.card.dim), dtype=np.float32)
        for chosen in batches_by_length([len(row) for row in rows], TEXT_BATCH):
            feeds = _pad([rows[index] for index in chosen])
            unique[chosen] = self._text_tower.run(None, feeds)[0]
        return unique[[places[text] for text in texts]]

    def __repr__(self) -> str:
        card = self.card
        return (
            f"BuiltinEncoder(revision={card.revision!r}, dim={card.dim}, threads={self._threads})"
        )

    @functools.cached_property
    def _image_tower(self) -> onnxruntime.InferenceSession:
        return self._open("image.onnx")

    @functools.cached_property
    def _text_tower(self) -> onnxruntime.InferenceSession:
        return self._open("text.onnx")

    @functools.cached_property
    def _tokenizer(self) -> tokenizers.Tokenizer:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(_data("tokenizer.json").read_text(encoding="utf-8"))
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True  # "[PAD]" in a user's text is text
        tokenizer.enable_truncation(self.card.context_length)
        return tokenizer

    def _open(self, file: str) -> onnxruntime.InferenceSession:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        # Threads that wait in a loop would take the processor from those that decode and cut.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return onnxruntime.InferenceSession(
            _data(file).read_bytes(), options, providers=["CPUExecutionProvider"]
        )


def load(rest: str = "", *, threads: int | None = None) -> BuiltinEncoder:
    """Load the built-in model; see :class:`BuiltinEncoder`.

    Args:
        rest: What stood behind ``builtin:``; there is one model only, so nothing may.
        threads: Processor threads for one call.

    Returns:
        The encoder.

    Raises:
        EncoderError: If something stood behind ``builtin:``.
    """
    if rest:
        raise EncoderError(f"there is one built-in model, named 'builtin'; got 'builtin:{rest}'.")
    return BuiltinEncoder(threads=threads)


def cards() -> list[ModelCard]:
    """List the one card."""
    return [_card()]


@functools.cache
def _card() -> ModelCard:
    content = json.loads(_data("model.json").read_text(encoding="utf-8"))
    return ModelCard(**{name: content[name] for name in ModelCard.__dataclass_fields__})


def _data(file: str) -> Any:
    return resources.files("crossalign.encoders") / "data" / "builtin" / file


def _pad(rows: list[list[int]]) -> dict[str, npt.NDArray[np.int64]]:
    """Lay token ids out as the text tower takes them."""
    ids = np.zeros((len(rows), max(len(row) for row in rows)), dtype=np.int64)
    mask = np.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
        mask[place, : len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask}

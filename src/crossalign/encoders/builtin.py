"""The built-in model: ships inside the package, runs on ONNX Runtime, needs no download.

An EfficientNet-Lite0 image classifier and an all-MiniLM-L6-v2 sentence encoder, joined in closed
form; docs/builtin-model.md says how, what it can do and what it cannot. Both graphs end in the
joint space, so this file only feeds them.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from crossalign.encoders.base import ModelCard, Preprocess, read_data
from crossalign.encoders.dual import DualEncoder
from crossalign.encoders.onnx.runtime import session_options, thread_count
from crossalign.errors import EncoderError

if TYPE_CHECKING:
    import onnxruntime
    import tokenizers

    from crossalign.images.transforms import Pixels

# Small enough for the processor's caches: 4 to 8 views at a time took two thirds of the time a view
# of 32 at a time. Embeddings are the same to the last bit.
IMAGE_BATCH = 8


class BuiltinEncoder(DualEncoder):
    """The built-in model; load it with ``load_encoder("builtin")``.

    Pixels are 224 x 224, bicubic, the central square; (pixel - 127) / 128 is part of the graph.
    Texts are English, up to 256 tokens. Each tower is opened when it is first used. Safe to use
    from several threads.

    Args:
        threads: Processor threads for one call; all that this process may use by default.

    Raises:
        EncoderError: If ``threads`` is not positive.

    Example:
        >>> encoder = BuiltinEncoder()
        >>> encoder.encode_images(np.zeros((2, 224, 224, 3), dtype=np.uint8)).shape
        (2, 1664)
        >>> encoder.encode_texts(["a photo of a cat.", "a photo of a dog."]).shape
        (2, 1664)
    """

    def __init__(self, threads: int | None = None) -> None:
        self._threads = thread_count(threads)
        card, mean, std = _card(), 127.0 / 255.0, 128.0 / 255.0
        steps = Preprocess(size=card.image_size, mean=(mean,) * 3, std=(std,) * 3)
        super().__init__(card, steps, image_batch=IMAGE_BATCH)

    @property
    def dtype(self) -> str:
        """The precision in which the graphs compute."""
        return "fp32"

    @property
    def providers(self) -> tuple[str, ...]:
        """What runs the graphs: ONNX Runtime on the processor."""
        return tuple(self._image_tower.get_providers())

    def _embed_images(self, pixels: Pixels) -> Any:
        return self._image_tower.run(None, {"pixels": pixels})[0]

    def _read(self, texts: list[str]) -> tuple[list[list[int]], list[int], set[int]]:
        encodings = self._tokenizer.encode_batch(texts)
        rows = [encoding.ids for encoding in encodings]
        cut = {place for place, encoding in enumerate(encodings) if encoding.overflowing}
        return rows, [len(row) for row in rows], cut

    def _embed_texts(self, rows: list[list[int]], longest: int) -> Any:
        ids = np.zeros((len(rows), longest), dtype=np.int64)
        mask = np.zeros_like(ids)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row
            mask[place, : len(row)] = 1
        return self._text_tower.run(None, {"input_ids": ids, "attention_mask": mask})[0]

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

        tokenizer = Tokenizer.from_str(read_data("builtin/tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True  # "[PAD]" in a user's text is text
        tokenizer.enable_truncation(self.card.context_length)
        return tokenizer

    def _open(self, file: str) -> onnxruntime.InferenceSession:
        import onnxruntime

        return onnxruntime.InferenceSession(
            (resources.files("crossalign.encoders") / "data" / "builtin" / file).read_bytes(),
            session_options(self._threads),
            providers=["CPUExecutionProvider"],
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
    content = json.loads(read_data("builtin/model.json"))
    return ModelCard(**{name: content[name] for name in ModelCard.__dataclass_fields__})

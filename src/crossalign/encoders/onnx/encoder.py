"""Dual encoders in ONNX files: ``onnx:<folder>`` or ``onnx:<hub repository>``.

CLIP, SigLIP and their kin, as the hub's ONNX conversions and the photo libraries' exports lay them
out. What pixels and texts go through before the graphs is read from the model's own files.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from crossalign.encoders.base import Embeddings, ModelCard, Preprocess
from crossalign.encoders.devices import read_dtype, warn_user
from crossalign.encoders.dual import DualEncoder
from crossalign.encoders.hub import cached_cards, read_licence, stated_dim
from crossalign.encoders.onnx.files import SUFFIXES, ModelFiles, find, locate
from crossalign.encoders.onnx.graph import TYPES, Tower, described
from crossalign.encoders.onnx.runtime import (
    CPU_PROVIDER,
    Array,
    SessionFactory,
    choose_runtime,
    thread_count,
)
from crossalign.encoders.onnx.tokenizer import CAUSAL, MASKED, TextReader, context_length
from crossalign.errors import EncoderError
from crossalign.images.transforms import Pixels

TEXT_INPUTS = ("input_ids", "attention_mask", "position_ids", "token_type_ids")
# These embed by a projection behind the pooled output, which is therefore no embedding.
PROJECTED = CAUSAL | MASKED

# A row with and without padding must embed alike, or padding is never cut. What reads the padding
# lies far below these; rounding stays above. Where activations are quantised, their scale depends
# on what else is in the batch, padding included.
PROBE_TEXT = "a photo of a cat."
PROBE_PADDING = 16
LEAST_PROBE_COSINE = {"fp32": 0.99999, "fp16": 0.99999, "bf16": 0.999}
LEAST_PROBE_COSINE_QUANTISED = 0.99


class OnnxEncoder(DualEncoder):
    """A dual encoder in ONNX files; load it with ``load_encoder("onnx:<folder or repository>")``.

    Both graphs are opened at once. Safe to use from several threads.

    Args:
        files: The model's files.
        name: What the card calls it.
        factory: What opens the graphs.

    Raises:
        EncoderError: If a file is missing, broken or contradicts another.
    """

    def __init__(self, files: ModelFiles, name: str, factory: SessionFactory) -> None:
        self._threads = factory.threads
        self._preprocess = files.preprocess()
        self._reader = TextReader(files)
        kind = str(files.config().get("model_type"))
        pooled = files.split or kind not in PROJECTED
        self._image_tower = Tower.open(files.vision, "image", pooled, factory)
        self._text_tower = Tower.open(files.text, "text", pooled, factory)
        self._pixels = self._pixel_input()
        self._levels = _levels(self._preprocess, self._image_tower.inputs[self._pixels].type)
        self._dtype = factory.precision or files.dtype
        self._least = LEAST_PROBE_COSINE.get(self._dtype, LEAST_PROBE_COSINE_QUANTISED)
        self._length = self._fixed_length()
        self._padding = self._choose_padding()
        stated = _describe(name, files)
        card = dataclasses.replace(
            stated,
            # Another precision embeds a little differently, so it is another encoder.
            revision="-".join(filter(None, [stated.revision, factory.precision])),
            dim=self._dim(),
            context_length=self._reader.context_length,
        )
        super().__init__(card, self._preprocess, self._image_tower.batch, self._text_tower.batch)

    @property
    def dtype(self) -> str:
        """The precision in which the graphs run, such as ``fp32``."""
        return self._dtype

    @property
    def providers(self) -> tuple[str, ...]:
        """What really runs the graphs, best first: ONNX Runtime's providers, or OpenVINO."""
        return tuple(self._image_tower.session.get_providers())

    def __repr__(self) -> str:
        card = self.card
        return (
            f"OnnxEncoder({card.name!r}, revision={card.revision!r}, dim={card.dim}, "
            f"padding={self._padding!r}, providers={list(self.providers)}, threads={self._threads})"
        )

    def _embed_images(self, pixels: Pixels) -> Embeddings:
        """Normalise by a table of all 256 levels, so that each value is rounded but once."""
        count, side = len(pixels), self._preprocess.size
        values = np.empty((count, 3, side, side), dtype=self._levels.dtype)
        for channel in range(3):
            levels, shades = self._levels[channel], pixels[..., channel]
            np.take(levels, shades, out=values[:, channel], mode="clip")  # unbuffered, so faster
        return self._image_tower.run({self._pixels: values}, count)

    def _read(self, texts: list[str]) -> tuple[list[list[int]], list[int], set[int]]:
        rows, cut = self._reader.read(texts)
        return rows, [len(row) for row in rows], cut

    def _embed_texts(self, rows: list[list[int]], longest: int) -> Embeddings:
        return self._embed_rows(rows, self._length if self._padding == "full" else max(1, longest))

    def _embed_rows(self, rows: list[list[int]], length: int) -> Embeddings:
        """Embed rows that are padded to a length."""
        feeds = self._reader.lay_out(rows, length)
        inputs = self._text_tower.inputs
        if len(inputs) == 1:
            feeds = dict.fromkeys(inputs, feeds["input_ids"])
        return self._text_tower.run({name: feeds[name] for name in inputs}, len(rows))

    def _pixel_input(self) -> str:
        tower, size = self._image_tower, self._preprocess.size
        names = [name for name, entry in tower.inputs.items() if len(entry.shape) == 4]
        if len(names) != 1 or len(tower.inputs) != 1:
            raise EncoderError(
                f"expected one input of pixels, (n, 3, S, S), in {tower.path}; it has "
                f"{described(tower.inputs)}."
            )
        entry = tower.inputs[names[0]]
        if entry.type not in ("tensor(float)", "tensor(float16)"):
            raise EncoderError(
                f"expected pixels as float32 or float16 in {tower.path}; it takes {entry.type}."
            )
        for found, expected in zip(entry.shape[1:], (3, size, size), strict=True):
            if isinstance(found, int) and found != expected:
                raise EncoderError(
                    f"{tower.path} takes pixels of shape {entry.shape}, but the preprocessing "
                    f"beside it makes (n, 3, {size}, {size}). One of the two files is another "
                    "model's."
                )
        return names[0]

    def _fixed_length(self) -> int:
        """Check the text graph's inputs; give the length of a full row."""
        tower, limit = self._text_tower, self._reader.context_length
        unknown = len(tower.inputs) > 1 and not tower.inputs.keys() <= {*TEXT_INPUTS}
        if unknown or any(
            len(entry.shape) != 2 or entry.type not in ("tensor(int64)", "tensor(int32)")
            for entry in tower.inputs.values()
        ):
            raise EncoderError(
                f"expected inputs among {', '.join(TEXT_INPUTS)}, whole numbers of shape (n, L), "
                f"in {tower.path}; it has {described(tower.inputs)}."
            )
        lengths = {entry.shape[1] for entry in tower.inputs.values()}
        fixed = {length for length in lengths if isinstance(length, int)}
        if len(fixed) > 1 or max(fixed, default=0) > limit:
            raise EncoderError(
                f"{tower.path} takes texts of {', '.join(map(str, sorted(fixed)))} tokens, but the "
                f"files beside it say {limit}. One of them is another model's."
            )
        if fixed:
            limit = min(fixed)
            self._reader.limit(limit)  # exported for shorter texts than the model could read
        self._dynamic = not fixed
        return limit

    def _choose_padding(self) -> str:
        """Take the padding that the architecture allows, if the graph bears it out."""
        if not self._dynamic or self._reader.padding == "full":
            return "full"
        if self._reader.padding == "mask" and "attention_mask" not in self._text_tower.inputs:
            return "full"
        rows, _ = self._reader.read([PROBE_TEXT])
        short = len(rows[0])
        try:
            trimmed = self._embed_rows(rows, short)
        except EncoderError:
            return "full"  # the axis is dynamic by name only
        padded = self._embed_rows(rows, min(self._length, short + PROBE_PADDING))
        alike = float(np.sum(trimmed * padded)) >= self._least
        return self._reader.padding if alike else "full"

    def _dim(self) -> int:
        side = self._preprocess.size
        image: int = self._embed_images(np.zeros((1, side, side, 3), dtype=np.uint8)).shape[1]
        rows, (longest,), _ = self._read([PROBE_TEXT])
        text = self._embed_texts(rows, longest).shape[1]
        if image != text:
            raise EncoderError(
                f"{self._image_tower.path} embeds in {image} dimensions and "
                f"{self._text_tower.path} in {text}: they are not of one model, or they end before "
                "its projection."
            )
        return image


def _levels(preprocess: Preprocess, kind: str) -> Array:
    """Normalise each of the 256 levels: ((level / 255) - mean) / std in float32, shape (3, 256)."""
    levels = np.arange(256, dtype=np.uint8).astype(np.float32) / np.float32(255)
    mean = np.array(preprocess.mean, dtype=np.float32)[:, None]
    std = np.array(preprocess.std, dtype=np.float32)[:, None]
    table: Array = ((levels - mean) / std).astype(TYPES[kind])
    return table


def load(
    rest: str,
    *,
    dtype: str | None = None,
    threads: int | None = None,
    providers: Sequence[str] | None = None,
    device: str | None = None,
    runtime: str | None = None,
    revision: str | None = None,
) -> OnnxEncoder:
    """Load a dual encoder in ONNX files; see :class:`OnnxEncoder`.

    Args:
        rest: A folder, or a repository of the hub as ``owner/name`` or ``owner/name@REVISION``,
            which is downloaded if it is not on this machine: settings and graphs only.
        dtype: Variant: fp32, fp16, int8, uint8, q8, q4, q4f16 or bnb4; by default, which is also
            called auto, fp32 or else the first there is. With OpenVINO also bf16: the default
            variant, computed in bf16, which is what it does by default where the processor has
            instructions for it.
        threads: Processor threads for one call; all that this process may use by default.
        providers: Execution providers of ONNX Runtime, best first, if ``device`` is too coarse.
        device: A word of :mod:`crossalign.encoders.devices`; ``"cpu"`` by default.
        runtime: ``"onnxruntime"`` (default) or ``"openvino"``, on the processor.
        revision: Branch, tag or commit of a hub repository.

    Returns:
        The encoder.

    Raises:
        EncoderError: If the model or the variant is not there, or its files contradict each other.
        MissingExtraError: If OpenVINO is not installed.
    """
    dtype = read_dtype(dtype, (*SUFFIXES, "bf16"))
    dtype = None if dtype == "auto" else dtype
    factory = choose_runtime(runtime, dtype, thread_count(threads), providers, device)
    name, files = locate(rest, None if dtype == "bf16" else dtype, revision)
    encoder = OnnxEncoder(files, f"onnx:{name}", factory)
    if factory.wanted[0] != encoder.providers[0] == CPU_PROVIDER:
        warn_user(
            f"ONNX Runtime has {factory.wanted[0]} but could not start it, so the processor is "
            "used; its libraries or its driver may be missing."
        )
    return encoder


def cards() -> list[ModelCard]:
    """List the models of this family that the hub's cache on this machine holds."""
    return cached_cards(lambda name, folder: _describe(f"onnx:{name}", find(folder)))


def _describe(name: str, files: ModelFiles) -> ModelCard:
    """Describe a model from its settings alone."""
    return ModelCard(
        name=name,
        revision=files.revision(),
        dim=stated_dim(files.config()),
        image_size=files.preprocess().size,
        context_length=context_length(files),
        licence=read_licence(files.folder),
        bytes=files.bytes(),
    )

"""What every encoder is: a model card, a preprocessing, and two functions."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Protocol, TypeAlias, get_args, runtime_checkable

import numpy as np
import numpy.typing as npt

from crossalign.errors import EncoderError
from crossalign.images import transforms
from crossalign.images.layouts import Boxes
from crossalign.images.transforms import Centre, Fit, Pixels, Resample

if TYPE_CHECKING:
    from PIL import Image

Embeddings: TypeAlias = npt.NDArray[np.float32]
"""Unit vectors, one a row, shape (n, D)."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model is, as data.

    Args:
        name: The name that :func:`crossalign.load_encoder` knows it by.
        revision: Identifies the weights: two encoders with one name and revision embed alike.
        dim: Length D of an embedding.
        image_size: Side S of the square input in pixels.
        context_length: Longest text in tokens; longer ones are cut.
        licence: SPDX identifier of the weights' licence.
        bytes: Size of the weights on disk.
    """

    name: str
    revision: str
    dim: int
    image_size: int
    context_length: int
    licence: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How pixels are made ready for a model, as data.

    Resizing happens on 8-bit pixels, here; ``mean`` and ``std`` are applied by the encoder itself
    (most fold them into their graph) and stand here so that they can be read and compared.

    Args:
        size: Side S of the square input in pixels.
        resample: Interpolation: nearest, bilinear, bicubic or lanczos.
        mean: Per channel (R, G, B), on a scale where white is 1.
        std: Per channel (R, G, B), on the same scale.
        fit: How a picture that is not square becomes one: ``"crop"`` keeps its central square,
            ``"squash"`` resizes both sides.
        resize: Side that a picture is resized to before its central square of side S is kept; None
            where nothing is cut off but what is not square.
        centre: Where the central square begins that has an odd number of pixels around it:
            ``"round"`` as torchvision has it, ``"floor"`` as Transformers has it.

    Raises:
        EncoderError: If a value cannot be used.
    """

    size: int
    resample: Resample = "bicubic"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    fit: Fit = "crop"
    resize: int | None = None
    centre: Centre = "round"

    def __post_init__(self) -> None:
        problems = []
        if type(self.size) is not int or self.size < 1:
            problems.append(f"size must be at least 1 pixel, got {self.size!r}")
        for name, choices in (("resample", Resample), ("fit", Fit), ("centre", Centre)):
            value, known = getattr(self, name), get_args(choices)
            if value not in known:
                problems.append(f"{name} must be one of {', '.join(known)}, got {value!r}")
        if self.resize is not None and (type(self.resize) is not int or self.resize < self.size):
            problems.append(f"resize must be at least size, {self.size}, got {self.resize!r}")
        if not _three_numbers(self.mean) or not _three_numbers(self.std) or min(self.std) <= 0:
            problems.append(
                f"mean and std need 3 values each, finite, std > 0, got {self.mean!r} and "
                f"{self.std!r}"
            )
        if problems:
            raise EncoderError("unusable preprocessing: " + "; ".join(problems) + ".")

    def views(self, image: Image.Image, boxes: npt.ArrayLike | None = None) -> Pixels:
        """Show the whole image, then each of its crops.

        Args:
            image: Upright RGB image.
            boxes: Crops ``(left, top, right, bottom)``, shape (N, 4); None for none.

        Returns:
            uint8, shape (1 + N, S, S, 3); row 0 is the whole image.
        """
        count = 0 if boxes is None else len(np.asarray(boxes))
        pixels = np.empty((1 + count, self.size, self.size, 3), dtype=np.uint8)
        pixels[0] = self.whole(image)
        if boxes is not None and count:
            self.cut(image, boxes, pixels[1:])
        return pixels

    def whole(self, image: Image.Image) -> Pixels:
        """Show the whole image, see :func:`crossalign.images.transforms.whole`.

        Args:
            image: Upright RGB image.

        Returns:
            uint8, shape (S, S, 3).
        """
        return transforms.whole(
            image, self.size, self.fit, self.resample, resize=self.resize, centre=self.centre
        )

    def cut(
        self,
        image: Image.Image,
        boxes: npt.ArrayLike,
        out: Pixels,
        full_size: tuple[int, int] | None = None,
    ) -> None:
        """Show crops, see :func:`crossalign.images.transforms.cut`.

        Args:
            image: Upright RGB image, or a smaller copy of it.
            boxes: Crops ``(left, top, right, bottom)`` in pixels of the image, shape (N, 4).
            out: Where to write, uint8, shape (N, S, S, 3).
            full_size: Width and height of the image, where a smaller copy is given.
        """
        transforms.cut(
            image, boxes, self.size, self.resample, out,
            resize=self.resize, centre=self.centre, full_size=full_size,
        )  # fmt: skip

    def visible(self, boxes: npt.ArrayLike) -> Boxes:
        """Tell which part of each crop is shown, see :func:`crossalign.images.transforms.visible`.

        Args:
            boxes: Crops ``(left, top, right, bottom)`` in pixels, shape (N, 4).

        Returns:
            The same, or smaller ones where the rim of every picture is cut off.
        """
        return transforms.visible(boxes, self.size, self.resize)

    def shown(self, size: tuple[int, int]) -> npt.NDArray[np.float64]:
        """Tell which part of the image is shown, see :func:`crossalign.images.transforms.shown`.

        Args:
            size: Width and height of the image.

        Returns:
            ``(left, top, right, bottom)`` in pixels, shape (4,).
        """
        return transforms.shown(size, self.fit, self.size / (self.resize or self.size))


def _three_numbers(values: object) -> bool:
    return (
        isinstance(values, tuple)
        and len(values) == 3
        and all(isinstance(value, numbers.Real) and math.isfinite(value) for value in values)
    )


@runtime_checkable
class Encoder(Protocol):
    """A vision-language model, as the rest of the package sees it.

    Anything with these four members can be given to :class:`crossalign.Classifier`.
    """

    @property
    def card(self) -> ModelCard:
        """What this model is."""

    @property
    def preprocess(self) -> Preprocess:
        """How its input pixels are made."""

    def encode_images(self, pixels: Pixels) -> Embeddings:
        """Embed pictures.

        Args:
            pixels: uint8 RGB, shape (n, S, S, 3), values 0 to 255, not normalised.

        Returns:
            float32, shape (n, D), rows of unit length.
        """

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Embed texts.

        Args:
            texts: Any number of texts, in any language the model knows.

        Returns:
            float32, shape (m, D), rows of unit length, in the order of the texts.
        """


def fingerprint(encoder: Encoder) -> str:
    """Name what an embedding depends on beside the pixels or the text.

    That is the card's name and revision (which covers weights and precision) and the preprocessing.
    Of a name that is a path only the last part counts, so that a model may be moved.

    Args:
        encoder: The encoder.

    Returns:
        One line. Encoders with equal fingerprints embed alike.

    Example:
        >>> from crossalign import load_encoder
        >>> fingerprint(load_encoder("builtin"))  # doctest: +ELLIPSIS
        'builtin ... dim=1664 size=224 resample=bicubic fit=crop mean=... std=...'
    """
    card, steps = encoder.card, encoder.preprocess
    scheme, colon, rest = card.name.partition(":")
    name = scheme + colon + rest.rstrip("/\\").replace("\\", "/").rpartition("/")[2]
    numbers_ = " ".join(
        f"{what}={','.join(f'{value:.9g}' for value in values)}"
        for what, values in (("mean", steps.mean), ("std", steps.std))
    )
    more = "" if steps.resize is None else f" resize={steps.resize}"
    more += "" if steps.centre == "round" else f" centre={steps.centre}"
    return (
        f"{name} {card.revision} dim={card.dim} size={steps.size} resample={steps.resample} "
        f"fit={steps.fit} {numbers_}{more}"
    )


def check_pixels(pixels: Pixels, size: int) -> None:
    """Raise if an array is not an encoder's input.

    Args:
        pixels: What was given.
        size: Side S that the encoder takes.

    Raises:
        EncoderError: If it is not uint8 of shape (n, S, S, 3).
    """
    shape = getattr(pixels, "shape", None)
    dtype = getattr(pixels, "dtype", type(pixels).__name__)
    if shape is None or len(shape) != 4 or shape[1:] != (size, size, 3) or dtype != np.uint8:
        raise EncoderError(
            f"expected pixels as uint8 of shape (n, {size}, {size}, 3), RGB; got {dtype} of shape "
            f"{shape}. Encoder.preprocess.views(image) makes them."
        )


def check_texts(texts: Sequence[str]) -> list[str]:
    """Raise if something is not a list of texts.

    Args:
        texts: What was given.

    Returns:
        The texts, as a list.

    Raises:
        EncoderError: If it is a single text, holds something else, or half a character.
    """
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        raise EncoderError(
            f"expected a list of texts; got {type(texts).__name__}. Put a text in a list."
        )
    checked = list(texts)
    for place, text in enumerate(checked):
        if not isinstance(text, str):
            raise EncoderError(
                f"expected a list of texts; number {place} is {type(text).__name__}."
            )
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            raise EncoderError(
                f"expected valid Unicode; text number {place}, {text!r}, holds half a character. "
                "Decode it anew from its bytes."
            )
    return checked


class TextsCutWarning(UserWarning):
    """Texts are longer than an encoder reads, and their ends were not read."""


def read_data(file: str) -> str:
    """Read a text that ships with this room.

    Args:
        file: Its path below ``data``.

    Returns:
        The text.
    """
    return (resources.files("crossalign.encoders") / "data" / file).read_text(encoding="utf-8")

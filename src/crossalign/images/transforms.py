"""From boxes to pixels: what an encoder sees of an image, and which part of the image that is."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from crossalign.errors import CropError
from crossalign.images.layouts import Boxes
from crossalign.utils.validation import one_of, whole_number

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""Encoder input: RGB, shape (N, S, S, 3), values 0 to 255."""

Resample: TypeAlias = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Fit: TypeAlias = Literal["crop", "squash"]
Centre: TypeAlias = Literal["round", "floor"]
"""Where a central square begins that has an odd number of pixels around it: half to even, as
torchvision has it, or one pixel less before than behind, as Transformers has it."""

# Beyond this many times the output's area, resizing the whole image before the centre crop would
# build a picture of which nearly everything is thrown away (a 1 x 10000 strip would need 1.5 GB).
_MAX_RESIZED_AREA = 64

MAX_SIDE = 2**15


def cut(
    image: Image.Image,
    boxes: npt.ArrayLike,
    size: int,
    resample: Resample = "bicubic",
    out: Pixels | None = None,
    *,
    resize: int | None = None,
    centre: Centre = "round",
    full_size: tuple[int, int] | None = None,
) -> Pixels:
    """Cut boxes out of an image and resize each to the encoder's square input.

    Crop first, then resize, so that no pixel from outside the box bleeds in: bit-equal to the
    published pipeline with the same Pillow. Out of a smaller copy of the image, what is cut is
    close to that, not equal: edges of boxes fall between pixels of the copy and are kept there,
    rather than moved to the nearest one.

    Args:
        image: Upright RGB image, or a smaller copy of it.
        boxes: Shape (N, 4), ``(left, top, right, bottom)`` in pixels of the image, inside it.
        size: Side S of the encoder's input in pixels.
        resample: Interpolation.
        out: Where to write, uint8 of shape (N, S, S, 3); a new array by default.
        resize: Side to which a crop is resized before its central square is kept, as models ask for
            that do so with every picture; at least S, which is the default.
        centre: Where that square begins.
        full_size: Width and height of the image, where a smaller copy is given.

    Returns:
        uint8, shape (N, S, S, 3).

    Raises:
        CropError: If the boxes are not of shape (N, 4), are empty or leave the image, or an
            argument does not fit.

    Example:
        >>> image = Image.new("RGB", (64, 48), "white")
        >>> cut(image, [(0, 0, 10, 10), (20, 8, 60, 48)], size=32).shape
        (2, 32, 32, 3)
    """
    keep = _central_square(image, size, resize, centre)
    width, height = full_size or image.size
    rows = _check_boxes(boxes, (width, height))
    filter_, side = _filter(resample), resize or size
    if out is None:
        out = np.empty((len(rows), size, size, 3), dtype=np.uint8)
    elif np.shape(out) != (len(rows), size, size, 3) or out.dtype != np.uint8:
        raise CropError(
            f"expected out as a uint8 array of shape {(len(rows), size, size, 3)}; got "
            f"{getattr(out, 'dtype', type(out).__name__)} of shape {np.shape(out)}."
        )
    x, y = image.width / width, image.height / height
    for index, box in enumerate(rows):
        left, top, right, bottom = box[0] * x, box[1] * y, box[2] * x, box[3] * y
        # The whole pixels around it first, so that no more than these can bleed in.
        west, north = math.floor(left), math.floor(top)
        region = image.crop((west, north, math.ceil(right), math.ceil(bottom)))
        inner = (left - west, top - north, right - west, bottom - north)
        out[index] = np.asarray(keep(region.resize((side, side), filter_, box=inner)))
    return out


def whole(
    image: Image.Image,
    size: int,
    fit: Fit = "crop",
    resample: Resample = "bicubic",
    *,
    resize: int | None = None,
    centre: Centre = "round",
) -> Pixels:
    """Show the whole image to the encoder.

    ``"crop"`` resizes the short side to ``size`` and keeps the central square, as CLIP does and bit
    for bit as torchvision's Resize and CenterCrop do on Pillow images. ``"squash"`` resizes both
    sides at once, as SigLIP does. With ``resize``, either comes to that side first, and the central
    square of side ``size`` is kept.

    Args:
        image: Upright RGB image of any size and shape.
        size: Side S of the encoder's input in pixels.
        fit: How a picture that is not square becomes one.
        resample: Interpolation.
        resize: Side to which the picture, or its short side, is resized before its central square
            is kept; at least S, which is the default.
        centre: Where that square begins.

    Returns:
        uint8, shape (S, S, 3).

    Raises:
        CropError: If ``fit``, ``resample`` or ``centre`` is unknown, a size out of range or the
            image not RGB.
    """
    keep = _central_square(image, size, resize, centre)
    filter_, side = _filter(resample), resize or size
    if one_of("fit", fit, get_args(Fit), error=CropError) == "squash":
        return np.array(keep(image.resize((side, side), filter_)))
    width, height = image.size
    short = min(width, height)
    wide, high = (int(side * length / short) for length in (width, height))
    if wide * high > _MAX_RESIZED_AREA * size * size:
        # The same resize, evaluated only where it is kept. Pillow may order its two passes
        # differently then, so on such strips pixels need not be those of the long way round.
        left, top = _middle(wide, size, centre), _middle(high, size, centre)
        x, y = width / wide, height / high
        region = (left * x, top * y, (left + size) * x, (top + size) * y)
        return np.array(image.resize((size, size), filter_, box=region))
    return np.array(keep(image.resize((wide, high), filter_)))


def shown(size: tuple[int, int], fit: Fit = "crop", share: float = 1.0) -> npt.NDArray[np.float64]:
    """Tell which part of an image :func:`whole` shows to the encoder.

    Args:
        size: Width and height of the upright image in pixels.
        fit: How a picture that is not square becomes one.
        share: What is kept of that, a share of the side: ``size / resize`` of :func:`whole`.

    Returns:
        ``(left, top, right, bottom)`` in pixels, which may be halves; shape (4,).

    Raises:
        CropError: If the size is not two positive numbers, or ``fit`` is unknown.

    Example:
        >>> shown((65, 40)).tolist()
        [12.5, 0.0, 52.5, 40.0]
    """
    width, height = check_size(size)
    one_of("fit", fit, get_args(Fit), error=CropError)
    short = min(width, height) if fit == "crop" else None
    across, down = share * (short or width), share * (short or height)
    left, top = (width - across) / 2.0, (height - down) / 2.0
    return np.array([left, top, left + across, top + down])


def visible(boxes: npt.ArrayLike, size: int, resize: int | None = None) -> Boxes:
    """Tell which part of each box :func:`cut` shows to the encoder.

    Args:
        boxes: Shape (N, 4), ``(left, top, right, bottom)`` in pixels.
        size: Side S of the encoder's input in pixels.
        resize: Side to which a crop is resized before its central square is kept.

    Returns:
        Shape (N, 4), to the nearest pixel, at least one wide and high; the boxes themselves where
        nothing is cut off.

    Example:
        >>> visible([(10, 0, 42, 32)], size=224, resize=256).tolist()
        [[12, 2, 40, 30]]
    """
    rows = np.asarray(boxes, dtype=np.int64).reshape(-1, 4)
    if resize is None or resize == size:
        return rows
    low, high = rows[:, :2], rows[:, 2:]
    margin = (high - low) * ((resize - size) / (2 * resize))
    first = np.rint(low + margin).astype(np.int64)
    return np.concatenate(
        [first, np.maximum(np.rint(high - margin).astype(np.int64), first + 1)], 1
    )


def check_size(size: tuple[int, int]) -> tuple[int, int]:
    """Give the size of an image.

    Args:
        size: Width and height in pixels.

    Returns:
        The same.

    Raises:
        CropError: If it is not two positive whole numbers.
    """
    width, height = pair(size, operator.index)
    if not (1 <= width <= 2**31 and 1 <= height <= 2**31):
        raise CropError(
            f"expected image size as (width, height), whole pixels from 1 up; got {size!r}."
        )
    return int(width), int(height)


def pair(values: Any, convert: Callable[[Any], float] = float) -> tuple[float, float]:
    """Give two numbers, or two NaN where they are something else.

    Args:
        values: Anything.
        convert: Makes a number of each, or raises TypeError or ValueError.

    Returns:
        Both.
    """
    try:
        if any(isinstance(value, str) for value in values):
            raise TypeError
        first, second = map(convert, values)
    except (TypeError, ValueError):
        return math.nan, math.nan
    return first, second


def _central_square(
    image: Image.Image, size: int, resize: int | None, centre: Centre
) -> Callable[[Image.Image], Image.Image]:
    """Check an image and sizes; give what keeps the central square of a resized picture."""
    if image.mode != "RGB":
        raise CropError(
            f"expected an RGB image; got mode {image.mode!r}. crossalign.load_image makes one."
        )
    whole_number("size", size, 1, MAX_SIDE, error=CropError)
    if resize is not None:
        whole_number("resize", resize, size, MAX_SIDE, error=CropError)
    one_of("centre", centre, get_args(Centre), error=CropError)

    def keep(resized: Image.Image) -> Image.Image:
        left, top = (_middle(side, size, centre) for side in resized.size)
        if left == top == 0 and resized.size == (size, size):
            return resized
        return resized.crop((left, top, left + size, top + size))

    return keep


def _middle(side: int, size: int, centre: Centre) -> int:
    # Python's round(), half to even, is what torchvision uses here.
    return (side - size) // 2 if centre == "floor" else round((side - size) / 2.0)


def _check_boxes(boxes: npt.ArrayLike, size: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    try:
        array = np.asarray(boxes)
    except ValueError as error:
        raise CropError(f"expected boxes of shape (N, 4); got {boxes!r}.") from error
    if array.ndim != 2 or array.shape[1] != 4 or array.dtype.kind not in "iu":
        raise CropError(
            f"expected boxes as integers of shape (N, 4), (left, top, right, bottom); got "
            f"{array.dtype} of shape {array.shape}."
        )
    width, height = size
    left, top, right, bottom = array.T
    inside = (left >= 0) & (top >= 0) & (right <= width) & (bottom <= height)
    wrong = np.flatnonzero(~(inside & (left < right) & (top < bottom)))
    if len(wrong):
        raise CropError(
            f"expected boxes with left < right and top < bottom inside the image of {width} x "
            f"{height} pixels; box {wrong[0]} is {tuple(array[wrong[0]].tolist())}."
        )
    return [tuple(row) for row in array.tolist()]


def _filter(resample: str) -> Image.Resampling:
    name = one_of("resample", resample, get_args(Resample), error=CropError)
    return Image.Resampling[name.upper()]

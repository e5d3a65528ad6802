"""Where to look: boxes for an image, and the pixels inside them.

A *crop* is a square local view of an image, the "localized visual prompt" of the WCA paper (Li et
al., ICML 2024, arXiv 2406.02915). A :class:`CropSpec` says how many crops to take, how large and
where; :func:`boxes` turns it into pixel boxes that depend on the seed and the image's content
alone; :func:`cut` turns boxes into the encoder's input, bit-equal to the published pipeline.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from crossalign.errors import CropError
from crossalign.images.layouts import LAYOUTS
from crossalign.images.layouts import Boxes as Boxes

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""Encoder input: RGB, shape (N, S, S, 3), values 0 to 255."""

Kind: TypeAlias = Literal["random", "grid", "even", "refined", "nested"]
Resample: TypeAlias = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Fit: TypeAlias = Literal["crop", "squash"]
Centre: TypeAlias = Literal["round", "floor"]
"""Where a central square begins that has an odd number of pixels around it: half to even, as
torchvision has it, or one pixel less before than behind, as Transformers has it."""

PAPER_SIDE = (0.5, 0.9)
"""Range of the crop side, as a share of the short side, that the paper and its settings state."""

PUBLISHED_SIDE = (0.1, 0.9)
"""Range that the published code really uses: its setting never reaches the crop function."""

MAX_COUNT = 10_000
MIN_SIDE = 1e-9

_FILTERS: dict[str, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

# Beyond this many times the output's area, resizing the whole image before the centre crop would
# build a picture of which nearly everything is thrown away (a 1 x 10000 strip would need 1.5 GB).
_MAX_RESIZED_AREA = 64


@dataclass(frozen=True, slots=True)
class CropSpec:
    """How crops are taken from an image.

    Args:
        count: Number of crops N, 1 to 10000. The paper uses 60.
        side: Smallest and largest side of a crop as a share of the image's short side, each in
            (0, 1]. Random crops draw it uniformly from this range.
        seed: 0 to 2**64 - 1. All but a grid depend on it.
        kind: ``"random"`` draws side and place of each crop; ``"even"`` spreads them evenly, by a
            scrambled Sobol sequence; ``"refined"`` draws and drops what nearly repeats a crop (IoU
            above 0.85), of at most three candidates a crop, as BiFTA does (arXiv 2601.20419);
            ``"nested"`` draws small ones and takes each in three sizes, up to the largest;
            ``"grid"`` lays crops of three sizes on even lattices.

    Raises:
        CropError: If a value is out of its range.

    Example:
        >>> spec = CropSpec(count=2, seed=7)
        >>> boxes(spec, (640, 480), digest=b"content").tolist()
        [[25, 102, 333, 410], [69, 73, 312, 316]]
    """

    count: int = 60
    side: tuple[float, float] = PAPER_SIDE
    seed: int = 0
    kind: Kind = "random"

    def __post_init__(self) -> None:
        count = _integer("count", self.count, 1, MAX_COUNT)
        seed = _integer("seed", self.seed, 0, 2**64 - 1)
        low, high = _pair(self.side)
        if not MIN_SIDE <= low <= high <= 1.0:
            raise CropError(
                "expected side as (smallest, largest), shares of the short side with 0 < smallest "
                f"<= largest <= 1; got {self.side!r}. The paper's range is {PAPER_SIDE}."
            )
        if self.kind not in get_args(Kind):
            raise CropError(
                f"unknown kind of crops {self.kind!r}; choose one of {', '.join(get_args(Kind))}."
            )
        object.__setattr__(self, "count", count)
        object.__setattr__(self, "seed", seed)
        object.__setattr__(self, "side", (low, high))

    @classmethod
    def paper(cls, count: int = 60, seed: int = 0) -> CropSpec:
        """Random crops as the paper states them: side 0.5 to 0.9 of the short side."""
        return cls(count=count, side=PAPER_SIDE, seed=seed)

    @classmethod
    def published(cls, count: int = 60, seed: int = 0) -> CropSpec:
        """Random crops as the published code makes them: side 0.1 to 0.9 of the short side."""
        return cls(count=count, side=PUBLISHED_SIDE, seed=seed)


def boxes(spec: CropSpec, size: tuple[int, int], digest: bytes = b"") -> Boxes:
    """Lay out the crops of one image.

    Boxes depend on the seed, the image's size and its content alone, never on order, batch, machine
    or library version: the draws are raw words of a counter-based generator (Philox) keyed by seed
    and digest. Of all kinds but a grid, the first n boxes of a larger count equal those of a count
    of n; see :func:`is_prefix`.

    Args:
        spec: What to take.
        size: Width and height of the upright image in pixels, each at least 1.
        digest: Content of the image, from :func:`crossalign.images.content_digest`; a grid
            takes no notice of it.

    Returns:
        Shape (N, 4), ``(left, top, right, bottom)`` in pixels: squares inside the image, with a
        side of at least one pixel.

    Raises:
        CropError: If the size is not two positive numbers.
    """
    width, height = _check_size(size)
    if not isinstance(digest, bytes):
        raise CropError(f"expected digest as bytes; got {type(digest).__name__}.")
    return LAYOUTS[spec.kind](spec.count, spec.side, width, height, spec.seed, digest)


def is_prefix(spec: CropSpec) -> bool:
    """Whether a smaller count of such crops takes the first of them.

    Args:
        spec: What to take.

    Returns:
        True for all kinds but a grid, which lies anew for each count.

    Example:
        >>> is_prefix(CropSpec(kind="even")), is_prefix(CropSpec(kind="grid"))
        (True, False)
    """
    return spec.kind != "grid"


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
    width, height = _check_size(size)
    if fit not in get_args(Fit):
        raise CropError(f"unknown fit {fit!r}; choose one of {', '.join(get_args(Fit))}.")
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


def layout(spec: CropSpec) -> str:
    """Name a layout of crops: in two specifications of one layout, a number is the same box.

    Args:
        spec: What to take.

    Returns:
        One line; without the count where a smaller count takes the first crops of a larger one.

    Example:
        >>> layout(CropSpec(count=30)) == layout(CropSpec(count=60))
        True
        >>> layout(CropSpec(count=30, kind="grid")) == layout(CropSpec(count=60, kind="grid"))
        False
    """
    low, high = spec.side
    count = "" if is_prefix(spec) else f" count={spec.count}"
    seed = "" if spec.kind == "grid" else f" seed={spec.seed}"
    return f"{spec.kind}{count}{seed} side={low!r}:{high!r}"


def published_boxes(
    count: int, size: tuple[int, int], *, numpy_seed: int, torch_seed: int
) -> Boxes:
    """Draw the very boxes that the published code draws after seeding NumPy and PyTorch.

    That code takes the side from NumPy's global generator and the place, top before left, from
    PyTorch's. Both are Mersenne Twisters seeded alike, so this needs no PyTorch.

    Args:
        count: Number of crops.
        size: Width and height of the image in pixels.
        numpy_seed: As given to ``numpy.random.seed``.
        torch_seed: As given to ``torch.manual_seed``.

    Returns:
        Shape (N, 4), ``(left, top, right, bottom)`` in pixels.

    Raises:
        CropError: If count, size or a seed is out of range.
    """
    width, height = _check_size(size)
    count = _integer("count", count, 1, MAX_COUNT)
    low, high = PUBLISHED_SIDE
    sides = np.random.RandomState(_integer("numpy_seed", numpy_seed, 0, 2**32 - 1))
    twister = np.random.MT19937()
    twister._legacy_seeding(_integer("torch_seed", torch_seed, 0, 2**32 - 1))
    rows = []
    for _ in range(count):
        side = int(sides.uniform(low, high) * min(width, height))
        if side == 0:
            raise CropError(
                f"the published code cannot crop an image of {width} x {height} pixels: a side "
                "came out as 0. Use boxes(CropSpec.published(), ...) for very small images."
            )
        top = int(twister.random_raw()) % (height - side + 1)
        left = int(twister.random_raw()) % (width - side + 1)
        rows.append((left, top, left + side, top + side))
    return np.array(rows, dtype=np.int64)


def cut(
    image: Image.Image,
    boxes: npt.ArrayLike,
    size: int,
    resample: Resample = "bicubic",
    out: Pixels | None = None,
    *,
    resize: int | None = None,
    centre: Centre = "round",
) -> Pixels:
    """Cut boxes out of an image and resize each to the encoder's square input.

    Crop first, then resize, so that no pixel from outside the box bleeds in: bit-equal to the
    published pipeline with the same Pillow.

    Args:
        image: Upright RGB image.
        boxes: Shape (N, 4), ``(left, top, right, bottom)`` in pixels, inside the image.
        size: Side S of the encoder's input in pixels.
        resample: Interpolation.
        out: Where to write, uint8 of shape (N, S, S, 3); a new array by default.
        resize: Side to which a crop is resized before its central square is kept, as models ask for
            that do so with every picture; at least S, which is the default.
        centre: Where that square begins.

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
    kept = _kept(image, size, resize, centre)
    rows = _check_boxes(boxes, image.size)
    filter_ = _filter(resample)
    if out is None:
        out = np.empty((len(rows), size, size, 3), dtype=np.uint8)
    elif np.shape(out) != (len(rows), size, size, 3) or out.dtype != np.uint8:
        raise CropError(
            f"expected out as a uint8 array of shape {(len(rows), size, size, 3)}; got "
            f"{getattr(out, 'dtype', type(out).__name__)} of shape {np.shape(out)}."
        )
    for index, box in enumerate(rows):
        out[index] = np.asarray(kept(image.crop(box).resize((resize or size,) * 2, filter_)))
    return out


def cut_reduced(
    image: Image.Image,
    full_size: tuple[int, int],
    boxes: npt.ArrayLike,
    size: int,
    resample: Resample = "bicubic",
    *,
    resize: int | None = None,
    centre: Centre = "round",
) -> Pixels:
    """Cut boxes, given in pixels of a picture, out of a smaller copy of it.

    Edges fall between pixels of the copy and are kept there, rather than moved to the nearest one.

    Args:
        image: Upright RGB image, the copy.
        full_size: Width and height of the picture.
        boxes: Shape (N, 4), ``(left, top, right, bottom)`` in pixels of the picture, inside it.
        size: Side S of the encoder's input in pixels.
        resample: Interpolation.
        resize: As for :func:`cut`.
        centre: As for :func:`cut`.

    Returns:
        uint8, shape (N, S, S, 3); close to what :func:`cut` gives for the picture, not equal.

    Raises:
        CropError: As :func:`cut`.
    """
    kept = _kept(image, size, resize, centre)
    rows = _check_boxes(boxes, full_size)
    filter_ = _filter(resample)
    x, y = image.width / full_size[0], image.height / full_size[1]
    out = np.empty((len(rows), size, size, 3), dtype=np.uint8)
    for index, box in enumerate(rows):
        left, top, right, bottom = box[0] * x, box[1] * y, box[2] * x, box[3] * y
        # The whole pixels around it first, so that no more than these can bleed in.
        west, north = math.floor(left), math.floor(top)
        region = image.crop((west, north, math.ceil(right), math.ceil(bottom)))
        inner = (left - west, top - north, right - west, bottom - north)
        out[index] = np.asarray(kept(region.resize((resize or size,) * 2, filter_, box=inner)))
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
    kept = _kept(image, size, resize, centre)
    filter_, side = _filter(resample), resize or size
    if fit == "squash":
        return np.array(kept(image.resize((side, side), filter_)))
    if fit != "crop":
        raise CropError(f"unknown fit {fit!r}; choose one of {', '.join(get_args(Fit))}.")
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
    return np.array(kept(image.resize((wide, high), filter_)))


def _kept(
    image: Image.Image, size: int, resize: int | None, centre: Centre
) -> Callable[[Image.Image], Image.Image]:
    """Check an image and sizes; give what keeps the central square of a resized picture."""
    _check_image(image, size)
    if resize is not None:
        _integer("resize", resize, size, 2**15)
    if centre not in get_args(Centre):
        raise CropError(f"unknown centre {centre!r}; choose one of {', '.join(get_args(Centre))}.")

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


def _check_size(size: tuple[int, int]) -> tuple[int, int]:
    width, height = _pair(size, operator.index)
    if not (1 <= width <= 2**31 and 1 <= height <= 2**31):
        raise CropError(
            f"expected image size as (width, height), whole pixels from 1 up; got {size!r}."
        )
    return int(width), int(height)


def _check_image(image: Image.Image, size: int) -> None:
    if image.mode != "RGB":
        raise CropError(
            f"expected an RGB image; got mode {image.mode!r}. crossalign.load_image makes one."
        )
    _integer("size", size, 1, 2**15)


def _filter(resample: str) -> Image.Resampling:
    if resample not in get_args(Resample):
        raise CropError(f"unknown resample {resample!r}; choose one of {', '.join(_FILTERS)}.")
    return _FILTERS[resample]


def _pair(values: Any, convert: Callable[[Any], float] = float) -> tuple[float, float]:
    """Two numbers, or two NaN where they are something else."""
    try:
        if any(isinstance(value, str) for value in values):
            raise TypeError
        first, second = map(convert, values)
    except (TypeError, ValueError):
        return math.nan, math.nan
    return first, second


def _integer(name: str, value: object, low: int, high: int) -> int:
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = low - 1
    if isinstance(value, bool) or not low <= number <= high:
        raise CropError(f"expected {name} as a whole number from {low} to {high}; got {value!r}.")
    return number

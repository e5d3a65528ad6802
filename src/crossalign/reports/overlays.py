"""Photos with evidence laid over them, as Pillow images."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from crossalign.explain import Contrast, heat_map, signed_heat_map, spread
from crossalign.predictions import Explanation
from crossalign.reports.colours import FIRST, SECOND, rgb, viridis

MAX_SIDE = 640
"""Longest side of a picture in a report, in pixels."""

# How much of the overlay is seen; the rest is the photo, in grey, so that colour is evidence alone.
_OPACITY = 0.62
_CONTRAST_OPACITY = 0.85
_KEY_GREY = 150.0
# Colours of a heat map run over at least this many times the mean evidence: what differs by less
# does not look decisive.
_LEAST_RANGE = 1.0
# A contrast has full colour from this share of the mean evidence up.
_LEAST_DIFFERENCE = 0.05
# Crops end in straight lines; this share of the longest side, they do not stand out in a map.
_SOFTENED = 0.008


def thumbnail(image: Image.Image, max_side: int = MAX_SIDE) -> Image.Image:
    """Make a smaller copy of a photo.

    Args:
        image: The upright RGB image, from :func:`crossalign.load_image`.
        max_side: Its longest side will have no more pixels.

    Returns:
        A copy; of the same size if that is small enough.
    """
    small = image.copy()
    small.thumbnail((max_side, max_side))
    return small


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """A photo with evidence laid over it, and what its colours stand for.

    Args:
        picture: RGB image.
        low: What the first colour of the key stands for, in shares of the mean evidence.
        high: What the last colour stands for.
    """

    picture: Image.Image
    low: float
    high: float


def heat_overlay(
    image: Image.Image, explanation: Explanation, *, description: int | str | None = None
) -> Image.Image:
    """Lay the heat map of a class over its photo.

    Colours run from the least (dark violet) to the most evidence in the picture (yellow); where
    these differ by less than the mean evidence, over a range as wide as that, so that evidence that
    is nearly even looks so. Where no crop looked, the photo stays grey. Edges of crops are softened
    a little.

    Args:
        image: The upright RGB image, or a smaller copy.
        explanation: The score, taken apart.
        description: Number or text of a description, to see where that one alone is answered.

    Returns:
        RGB image of the same size.

    Raises:
        DescriptionError: If there is no such description.
    """
    return heat_picture(image, explanation, description=description).picture


def heat_picture(
    image: Image.Image, explanation: Explanation, *, description: int | str | None = None
) -> Overlay:
    """Lay a heat map over a photo as :func:`heat_overlay` does, and keep what colours stand for.

    Args:
        image: The upright RGB image, or a smaller copy.
        explanation: The score, taken apart.
        description: Number or text of a description, to see where that one alone is answered.

    Returns:
        The picture, and the ends of its colours.

    Raises:
        DescriptionError: If there is no such description.
    """
    heat = _fitted(
        heat_map(explanation, description=description, max_side=max(image.size)), image.size
    )
    seen = heat > 0
    heat = _softened(heat, seen)
    mean = float(heat[seen].mean()) if seen.any() else 1.0
    low, high = (float(heat[seen].min()), float(heat.max())) if seen.any() else (0.0, 0.0)
    spare = max(0.0, _LEAST_RANGE * mean - (high - low)) / 2.0
    low, high = max(0.0, low - spare), high + spare
    shares = (heat - low) / (high - low) if high > low else np.zeros_like(heat)
    overlay = _blend(image, viridis(shares), np.where(seen, _OPACITY, 0.0))
    return Overlay(overlay, low / mean, high / mean)


def contrast_overlay(image: Image.Image, contrast: Contrast) -> Image.Image:
    """Show which parts of a photo speak for one class and which for another.

    Args:
        image: The upright RGB image, or a smaller copy.
        contrast: The difference of the two scores, taken apart.

    Returns:
        RGB image of the same size: blue speaks for the first class, vermilion for the second, the
        stronger the more; what is grey speaks for neither. Where even the largest difference is
        below a twentieth of the mean evidence for the first class, all colours are paler.
    """
    return contrast_picture(image, contrast).picture


def contrast_picture(image: Image.Image, contrast: Contrast) -> Overlay:
    """Draw what :func:`contrast_overlay` draws, and keep what the colours stand for.

    Args:
        image: The upright RGB image, or a smaller copy.
        contrast: The difference of the two scores, taken apart.

    Returns:
        The picture, and the ends of its colours: as much for the second class as for the first.
    """
    heat = _fitted(signed_heat_map(contrast, max_side=max(image.size)), image.size)
    heat = _softened(heat, _fitted(_looked_at(contrast, max(image.size)), image.size) > 0)
    local = contrast.first.local
    total = contrast.first.score if local is None else float(local.answers.sum(dtype=np.float64))
    evidence = abs(total) / heat.size
    most = max(float(np.abs(heat).max()), _LEAST_DIFFERENCE * evidence)
    strength = np.abs(heat) / most if most > 0 else np.zeros_like(heat)
    colours = np.where((heat >= 0)[..., None], rgb(FIRST), rgb(SECOND)).astype(np.uint8)
    end = most / evidence if evidence > 0 else 0.0
    return Overlay(_blend(image, colours, _CONTRAST_OPACITY * strength), -end, end)


def heat_key(width: int, height: int) -> Image.Image:
    """Draw the colours of a heat map, the least first.

    Args:
        width: In pixels.
        height: In pixels.

    Returns:
        RGB image.
    """
    return Image.fromarray(np.tile(viridis(np.linspace(0.0, 1.0, width)), (height, 1, 1)))


def contrast_key(width: int, height: int) -> Image.Image:
    """Draw the colours of a contrast: the second class's, grey, the first class's.

    Args:
        width: In pixels.
        height: In pixels.

    Returns:
        RGB image.
    """
    amounts = np.linspace(-1.0, 1.0, width)[None, :, None]
    ends = np.where(amounts >= 0, np.array(rgb(FIRST)), np.array(rgb(SECOND)))
    opacity = _CONTRAST_OPACITY * np.abs(amounts)
    colours = opacity * ends + (1.0 - opacity) * _KEY_GREY
    return Image.fromarray(np.tile(colours.round().astype(np.uint8), (height, 1, 1)))


def matrix_of(explanation: Explanation) -> npt.NDArray[np.float32]:
    """Order a similarity matrix for a drawing.

    Args:
        explanation: The score, taken apart.

    Returns:
        Shape (M, N): a row a description, a column a crop, the heaviest crop first.
    """
    order = (-explanation.crop_weights).argsort(kind="stable")
    values: npt.NDArray[np.float32] = explanation.similarity[order].T
    return values


def matrix_picture(values: npt.NDArray[np.floating[Any]], low: float, high: float) -> Image.Image:
    """Draw a matrix, a pixel a number.

    Args:
        values: Shape (rows, columns).
        low: The number that is shown darkest.
        high: The number that is shown brightest.

    Returns:
        RGB image of ``columns`` times ``rows`` pixels.
    """
    return Image.fromarray(viridis((values - low) / ((high - low) or 1.0)))


def data_uri(image: Image.Image, kind: str = "JPEG") -> str:
    """Write an image into an address that holds all of it.

    Args:
        image: RGB image.
        kind: ``"JPEG"`` or ``"PNG"``.

    Returns:
        A ``data:`` address.
    """
    stream = io.BytesIO()
    image.save(stream, kind, quality=82, optimize=True)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def _blend(
    image: Image.Image, colours: npt.NDArray[np.uint8], opacity: npt.NDArray[np.float64]
) -> Image.Image:
    grey = image.convert("L").convert("RGB")
    mask = Image.fromarray((opacity * 255.0).round().astype(np.uint8))
    return Image.composite(Image.fromarray(colours), grey, mask)


def _softened(
    heat: npt.NDArray[np.float64], seen: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Blur a map, within what crops have seen, by a Gaussian narrower than anything it shows."""
    sigma = _SOFTENED * max(heat.shape)
    reach = int(3.0 * sigma)
    if reach < 1:
        return heat
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)

    def blurred(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        for axis in (0, 1):
            ends = [(reach, reach) if axis == side else (0, 0) for side in (0, 1)]
            windows = np.lib.stride_tricks.sliding_window_view(
                np.pad(values, ends), len(bell), axis=axis
            )
            values = windows @ bell
        return values

    weight = blurred(seen.astype(np.float64))
    return np.where(seen, blurred(heat * seen) / np.where(seen, weight, 1.0), 0.0)


def _looked_at(contrast: Contrast, max_side: int) -> npt.NDArray[np.float64]:
    """Above zero where any crop looked."""
    local = contrast.first.local
    boxes = contrast.boxes if local is None else local.boxes
    return spread(boxes, contrast.size, np.ones(len(boxes)), max_side=max_side)


def _fitted(heat: npt.NDArray[np.float64], size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Bring a map to the very size of a picture: the two may round a side differently."""
    if heat.shape == size[::-1]:
        return heat
    resized = Image.fromarray(heat.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.float64)

"""Photos with evidence laid over them, as Pillow images."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from crossalign.explain import Contrast, heat_map, signed_heat_map
from crossalign.figures.colours import FIRST, SECOND, rgb, viridis
from crossalign.predictions import Explanation

MAX_SIDE = 640
"""Longest side of a picture in a report, in pixels."""

# How much of the overlay is seen; the rest is the photo, in grey, so that colour is evidence alone.
_OPACITY = 0.62


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


def heat_overlay(
    image: Image.Image, explanation: Explanation, *, description: int | str | None = None
) -> Image.Image:
    """Lay the heat map of a class over its photo.

    Colours run from the least (dark violet) to the most evidence in the picture (yellow), whatever
    the amounts are; where no crop looked, the photo stays grey.

    Args:
        image: The upright RGB image, or a smaller copy.
        explanation: The score, taken apart.
        description: Number or text of a description, to see where that one alone is answered.

    Returns:
        RGB image of the same size.

    Raises:
        DescriptionError: If there is no such description.
    """
    heat = _fitted(
        heat_map(explanation, description=description, max_side=max(image.size)), image.size
    )
    seen = heat > 0
    low, high = (float(heat[seen].min()), float(heat.max())) if seen.any() else (0.0, 0.0)
    # Where all is alike there is nothing to tell apart: all of it is the most.
    even = high - low <= 1e-9 * high
    shares = np.ones_like(heat) if even else (heat - low) / (high - low)
    return _blend(image, viridis(shares), np.where(seen, _OPACITY, 0.0))


def contrast_overlay(image: Image.Image, contrast: Contrast) -> Image.Image:
    """Show which parts of a photo speak for one class and which for another.

    Args:
        image: The upright RGB image, or a smaller copy.
        contrast: The difference of the two scores, taken apart.

    Returns:
        RGB image of the same size: blue speaks for the first class, vermilion for the second, the
        stronger the more; what is grey speaks for neither.
    """
    heat = _fitted(signed_heat_map(contrast, max_side=max(image.size)), image.size)
    most = float(np.abs(heat).max())
    strength = np.abs(heat) / most if most > 0 else np.zeros_like(heat)
    colours = np.where((heat >= 0)[..., None], rgb(FIRST), rgb(SECOND)).astype(np.uint8)
    return _blend(image, colours, 0.85 * strength)


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


def _fitted(heat: npt.NDArray[np.float64], size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Bring a map to the very size of a picture: the two may round a side differently."""
    if heat.shape == size[::-1]:
        return heat
    resized = Image.fromarray(heat.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.float64)

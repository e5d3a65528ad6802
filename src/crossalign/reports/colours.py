"""Colours that every kind of colour vision tells apart, for both light and dark pages."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

REGION_COLOURS = ("#f0e442", "#cc79a7", "#4fd17a", "#e8e8e8")
"""Okabe and Ito's yellow and purple, a light green, and grey: of the regions of a picture,
the first first. They carry black numbers, and none is near the colour of a class."""

FIRST, SECOND = "#0072b2", "#d55e00"
"""Okabe and Ito's blue and vermilion: the class in question, and the one it is compared with."""

SERIES_COLOURS = (FIRST, "#e69f00", "#009e73", "#cc79a7", "#56b4e9", SECOND)
"""Okabe and Ito's: of the lines of a chart, the first first."""

_VIRIDIS = (
    "44015448186a472d7b4240863b528b33638d2c728e26828e21918c"
    "1fa08828ae803fbc735ec96284d44baddc30d8e219fde725"
)
VIRIDIS = tuple(f"#{_VIRIDIS[start : start + 6]}" for start in range(0, len(_VIRIDIS), 6))
"""The map of van der Walt and Smith (CC0) at 17 places; between them it is all but linear. Its
lightness rises evenly, so it reads in grey as well."""


def rgb(colour: str) -> tuple[int, int, int]:
    """Part ``#rrggbb`` into red, green and blue.

    Args:
        colour: The colour.

    Returns:
        Three numbers from 0 to 255.
    """
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def viridis(values: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.uint8]:
    """Give numbers colours from dark violet (0) over green to yellow (1).

    Args:
        values: Any shape; what is below 0 or above 1 is taken as that.

    Returns:
        uint8, the same shape and (3,): red, green and blue.

    Example:
        >>> viridis(np.array([0.0, 1.0])).tolist()
        [[68, 1, 84], [253, 231, 37]]
    """
    anchors = np.array([rgb(colour) for colour in VIRIDIS], dtype=np.float64)
    places = np.linspace(0.0, 1.0, len(anchors))
    channels = [np.interp(values, places, anchors[:, channel]) for channel in range(3)]
    colours: npt.NDArray[np.uint8] = np.stack(channels, axis=-1).round().astype(np.uint8)
    return colours

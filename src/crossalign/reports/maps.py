"""The maps of one photo with their headings and keys, for whoever draws them."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from crossalign.explain import Contrast
from crossalign.predictions import Explanation
from crossalign.reports.overlays import contrast_key, contrast_picture, heat_key, heat_picture
from crossalign.reports.summary import Summary

KEY_SIZE = 120, 10
"""Width and height of a key in pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """A photo with evidence laid over it, and how to read it.

    Args:
        title: What is shown.
        picture: RGB image.
        key: Its colours, RGB image of ``KEY_SIZE``.
        low: What the first colour of the key means.
        high: What the last colour means.
        note: More on the colours.
    """

    title: str
    picture: Image.Image
    key: Image.Image
    low: str
    high: str
    note: str


def heat(
    image: Image.Image, explanation: Explanation, *, description: int | str | None = None
) -> Map:
    """Map where the evidence for a class lies.

    Args:
        image: The upright RGB image, or a smaller copy.
        explanation: The score, taken apart.
        description: Number or text of a description, to see where that one alone is answered.

    Returns:
        The map.

    Raises:
        DescriptionError: If there is no such description.
    """
    drawn = heat_picture(image, explanation, description=description)
    return Map(
        title=f"Where the evidence for {explanation.label} lies",
        picture=drawn.picture,
        key=heat_key(*KEY_SIZE),
        low=f"{drawn.low:.1f}",
        high=f"{drawn.high:.1f}",
        note="as a multiple of the mean; where all is grey no crop looked"
        if explanation.local is None
        else "as a multiple of the mean; grey where it is below half of the highest",
    )


def difference(image: Image.Image, contrast: Contrast) -> Map:
    """Map which parts of a photo speak for one class and which for another.

    Args:
        image: The upright RGB image, or a smaller copy.
        contrast: The difference of the two scores, taken apart.

    Returns:
        The map.
    """
    drawn = contrast_picture(image, contrast)
    first, second = contrast.first.label, contrast.second.label
    return Map(
        title=f"Blue speaks for {first}, orange for {second}",
        picture=drawn.picture,
        key=contrast_key(*KEY_SIZE),
        low=f"orange {drawn.high:.2f}",
        high=f"blue {drawn.high:.2f}",
        note="as a multiple of the mean evidence; grey speaks for neither",
    )


def maps(image: Image.Image, summary: Summary) -> tuple[Map, ...]:
    """Make the maps of a summary.

    Args:
        image: The upright RGB image, or a smaller copy.
        summary: What there is to say.

    Returns:
        That of the class in question and, if there is another, that of their difference. None where
        the whole image was the only crop, as it says nothing of places.
    """
    if all(region.whole for region in summary.regions):
        return ()
    found = [heat(image, summary.explanation)]
    if summary.contrast is not None:
        found.append(difference(image, summary.contrast))
    return tuple(found)

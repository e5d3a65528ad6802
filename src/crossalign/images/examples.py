"""Real photos to try things out on, which ship inside an ordinary package."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from crossalign.errors import MissingExtraError


@dataclass(frozen=True, slots=True)
class DemoPhoto:
    """A photo that ships with scikit-image.

    Args:
        file: Its name there.
        shows: What is to be seen on it: one of the everyday classes.
    """

    file: str
    shows: str


PHOTOS = (
    DemoPhoto("chelsea.png", "cat"),
    DemoPhoto("coffee.png", "cup of coffee"),
    DemoPhoto("rocket.jpg", "rocket"),
    DemoPhoto("motorcycle_left.png", "motorcycle"),
    DemoPhoto("camera.png", "photographer"),
    DemoPhoto("page.png", "page of text"),
    DemoPhoto("hubble_deep_field.jpg", "galaxies"),
    DemoPhoto("astronaut.png", "astronaut"),
)


def photo_folder() -> Path:
    """Find the photos, without importing the large package that carries them.

    Returns:
        The folder of scikit-image's pictures.

    Raises:
        MissingExtraError: If scikit-image is not installed.
    """
    spec = importlib.util.find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("crossalign demo", "scikit-image", "demo")
    return Path(next(iter(spec.submodule_search_locations))) / "data"

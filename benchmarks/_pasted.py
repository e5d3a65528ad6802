"""Pictures whose truth is known: photos of objects pasted, with a soft edge, on other photos."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageFilter

from crossalign.images.examples import photo_folder
from crossalign.images.load import load_image

Box: TypeAlias = tuple[int, int, int, int]
Photo: TypeAlias = tuple[Path, str]

WIDTH, HEIGHT = 600, 450
SOFT = 0.06  # width of the soft edge, as a share of the object's short side

# scikit-image's photos, where no folder is named.
_OBJECTS = {
    "chelsea.png": "cat",
    "coffee.png": "cup of coffee",
    "motorcycle_left.png": "motorcycle",
    "astronaut.png": "astronaut",
    "rocket.jpg": "rocket",
    "page.png": "page of text",
}
_BACKGROUNDS = ("brick.png", "grass.png", "gravel.png")


@dataclass(frozen=True, eq=False)
class Pasted:
    """A picture and where its objects are.

    Args:
        image: The picture.
        labels: Class of each object.
        boxes: Where each was pasted, ``(left, top, right, bottom)``.
    """

    image: Image.Image
    labels: tuple[str, ...]
    boxes: tuple[Box, ...]


def photos_of(folder: Path | None) -> list[Photo]:
    """List photos and their classes: of a folder of class folders, or scikit-image's."""
    if folder is None:
        return [(photo_folder() / file, name) for file, name in _OBJECTS.items()]
    names: dict[str, str] = {}
    if (folder / "classes.csv").is_file():
        with (folder / "classes.csv").open(encoding="utf-8", newline="") as file:
            names = {row["folder"]: row["class_name"] for row in csv.DictReader(file)}
    return [
        (path, names.get(each.name, each.name))
        for each in sorted(folder.iterdir())
        if each.is_dir()
        for path in sorted(each.iterdir())
        if path.suffix.lower() in {".jpg", ".jpeg", ".png"}
    ]


def backgrounds_of(folder: Path | None) -> list[Path]:
    """List photos to paste on: of a folder of class folders, or scikit-image's textures."""
    if folder is None:
        return [photo_folder() / file for file in _BACKGROUNDS]
    return [path for path, _ in photos_of(folder)]


def paste(
    background: Image.Image, photo: Image.Image, share: float, within: Box, rng: np.random.Generator
) -> Box:
    """Paste a photo with a soft edge, at a random place, and say where.

    Args:
        background: Changed in place.
        photo: The object.
        share: Of the background's area that it takes; less where it does not fit.
        within: Where it may lie.
        rng: For the place.

    Returns:
        Its box.
    """
    room = within[2] - within[0], within[3] - within[1]
    scale = (share * background.width * background.height / (photo.width * photo.height)) ** 0.5
    scale = min(scale, room[0] / photo.width, room[1] / photo.height)
    width, height = (max(8, int(side * scale)) for side in photo.size)
    left = within[0] + int(rng.integers(0, room[0] - width + 1))
    top = within[1] + int(rng.integers(0, room[1] - height + 1))
    edge = max(2, round(SOFT * min(width, height)))
    mask = Image.new("L", (width, height), 0)
    mask.paste(255, (edge, edge, width - edge, height - edge))
    mask = mask.filter(ImageFilter.GaussianBlur(edge / 2))
    small = photo.resize((width, height), Image.Resampling.BICUBIC)
    background.paste(small, (left, top), mask)
    return left, top, left + width, top + height


def covering(path: Path) -> Image.Image:
    """Open a background and let it cover the picture."""
    image = load_image(path)
    scale = max(WIDTH / image.width, HEIGHT / image.height)
    size = round(image.width * scale), round(image.height * scale)
    image = image.resize(size, Image.Resampling.BICUBIC)
    left, top = (image.width - WIDTH) // 2, (image.height - HEIGHT) // 2
    return image.crop((left, top, left + WIDTH, top + HEIGHT))


def one_object(
    photos: Sequence[Photo], backgrounds: Sequence[Path], share: float, count: int, seed: int
) -> Iterator[Pasted]:
    """Paste one object on each of ``count`` backgrounds, the classes in turns."""
    rng = np.random.default_rng(seed)
    for path, label in _in_turns(photos, count, rng):
        picture = covering(backgrounds[int(rng.integers(len(backgrounds)))])
        box = paste(picture, load_image(path), share, (0, 0, WIDTH, HEIGHT), rng)
        yield Pasted(picture, (label,), (box,))


def two_objects(
    photos: Sequence[Photo], backgrounds: Sequence[Path], share: float, count: int, seed: int
) -> Iterator[Pasted]:
    """Paste two objects of different classes, one in each half of ``count`` backgrounds."""
    rng = np.random.default_rng(seed)
    middle = WIDTH // 2
    for path, label in _in_turns(photos, count, rng):
        others = [photo for photo in photos if photo[1] != label]
        other, other_label = others[int(rng.integers(len(others)))]
        picture = covering(backgrounds[int(rng.integers(len(backgrounds)))])
        halves: list[Box] = [(0, 0, middle, HEIGHT), (middle, 0, WIDTH, HEIGHT)]
        rng.shuffle(halves)
        boxes = tuple(
            paste(picture, load_image(each), share, tuple(half), rng)
            for each, half in zip((path, other), halves, strict=True)
        )
        yield Pasted(picture, (label, other_label), boxes)


def _in_turns(photos: Sequence[Photo], count: int, rng: np.random.Generator) -> Iterator[Photo]:
    classes: dict[str, list[Photo]] = {}
    for photo in photos:
        classes.setdefault(photo[1], []).append(photo)
    names = [list(classes)[place] for place in rng.permutation(len(classes))]
    for number in range(count):
        group = classes[names[number % len(names)]]
        yield group[int(rng.integers(len(group)))]

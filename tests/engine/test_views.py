"""Opening images: what is decoded, at which size, and what comes out of it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crossalign import Classifier, CropSpec, ImageError, load_encoder, load_image
from crossalign.engine.views import BYTES_PER_PIXEL, Opener
from crossalign.images import crops
from crossalign.images.examples import photo_folder
from crossalign.images.load import load_reduced, read_file

TILES = ("chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png", "motorcycle_left.png")


def jpeg(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=92, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def large() -> Image.Image:
    """A picture of 5 megapixels, full of detail: photos side by side."""
    picture = Image.new("RGB", (2560, 2048))
    photos = [Image.open(photo_folder() / name).convert("RGB") for name in TILES]
    for place in range(20):
        photo = photos[place % len(photos)]
        side = min(photo.size)
        tile = photo.crop((0, 0, side, side)).resize((512, 512))
        picture.paste(tile, (place % 5 * 512, place // 5 * 512))
    return picture


# ------------------------------------------------------------------------------------ load_reduced


@pytest.mark.parametrize(
    ("size", "least", "expected"),
    [
        ((1600, 1000), 1001, (1600, 1000)),
        ((1600, 1000), 501, (1600, 1000)),
        ((1600, 1000), 500, (800, 500)),
        ((1600, 1000), 251, (800, 500)),
        ((1600, 1000), 250, (400, 250)),
        ((1600, 1000), 1, (200, 125)),
        ((1003, 1601), 250, (251, 401)),
        ((40, 4000), 20, (20, 2000)),
    ],
)
def test_the_smallest_size_that_is_large_enough(
    size: tuple[int, int], least: int, expected: tuple[int, int]
) -> None:
    image, full = load_reduced(jpeg(Image.new("RGB", size, "red")), "x", least)
    assert full == size
    assert image.size == expected
    assert (image.mode, image.info) == ("RGB", {})


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_all_kinds_of_jpeg_are_reduced(mode: str) -> None:
    colour = {"RGB": (200, 30, 40), "L": 90, "CMYK": (10, 200, 190, 0)}[mode]
    data = jpeg(Image.new(mode, (800, 600), colour))
    image, _ = load_reduced(data, "x", 100)
    assert image.size == (200, 150)
    difference = np.asarray(image)[5, 5].astype(int) - np.asarray(load_image(data))[5, 5]
    assert np.abs(difference).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_full_size_is_upright(orientation: int, large: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = jpeg(large, exif=exif)
    image, full = load_reduced(data, "x", 512)
    upright = load_image(data)
    assert full == upright.size
    assert image.size == (upright.width // 4, upright.height // 4)
    small = upright.resize(image.size, Image.Resampling.BOX)
    difference = np.abs(np.asarray(image).astype(int) - np.asarray(small))
    assert difference.mean() < 4


def test_other_formats_are_not_reduced(large: Image.Image) -> None:
    file = io.BytesIO()
    large.resize((900, 700)).save(file, "PNG")
    image, full = load_reduced(file.getvalue(), "x", 100)
    assert image.size == full == (900, 700)


def test_the_limit_counts_at_full_size(large: Image.Image) -> None:
    with pytest.raises(ImageError, match=r"^photo: expected at most 1000000 pixels"):
        load_reduced(jpeg(large), "photo", 100, max_pixels=1_000_000)


def test_a_broken_file_is_named() -> None:
    with pytest.raises(ImageError, match=r"^photo: the image is cut short"):
        load_reduced(jpeg(Image.effect_noise((400, 300), 90))[:4000], "photo", 100)


def test_read_file(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_file(tmp_path / "a") == read_file(str(tmp_path / "a")) == b"12345"
    assert read_file(b"12345") == read_file(memoryview(b"12345")) == b"12345"
    with (tmp_path / "a").open("rb") as file:
        assert read_file(file) == b"12345"
    assert read_file(Image.new("RGB", (2, 2))) is None
    assert read_file(np.zeros((2, 2))) is None
    assert read_file(7) is None
    monkeypatch.setattr("crossalign.images.load._MOST_READ", 4)
    assert read_file(tmp_path / "a") is None, "this is no photo"
    with pytest.raises(ImageError, match="no such file"):
        read_file(tmp_path / "b")


# ------------------------------------------------------------------------------------------ draft


def test_where_draft_changes_nothing_it_is_exact(large: Image.Image, encoder: Any) -> None:
    small = jpeg(large.resize((500, 400)))
    file = io.BytesIO()
    large.resize((500, 400)).save(file, "PNG")
    for data in (small, file.getvalue()):
        wide = load_encoder("builtin")
        plain, fast = (
            Opener(wide, CropSpec(3), 10**9, draft, None)(data, data) for draft in (False, True)
        )
        assert plain[0].digest == fast[0].digest
        assert np.array_equal(plain[0].boxes, fast[0].boxes)


def test_crops_of_a_drafted_picture_embed_as_closely_as_one_pixel_matters(
    large: Image.Image,
) -> None:
    encoder = load_encoder("builtin")
    data, places = jpeg(large), np.arange(25)
    opener = Opener(encoder, CropSpec(24), 10**9, True, None)
    opened, drafted = opener(data, data)
    assert opened.size == large.size
    assert drafted.bytes == large.width * large.height * BYTES_PER_PIXEL // 4, (
        "half the size each way"
    )
    boxes = opened.boxes
    full = load_image(data)
    exact = encoder.encode_images(encoder.preprocess.views(full, boxes))
    fast = encoder.encode_images(drafted.cut(places, boxes, encoder.preprocess))
    pixel_less = boxes - [0, 0, 1, 1]
    moved = encoder.encode_images(encoder.preprocess.views(full, pixel_less))
    cosines = np.sum(exact * fast, axis=1)
    assert cosines.min() > 0.997
    assert np.median(cosines) > 0.9995
    yardstick = np.sum(exact * moved, axis=1)[1:]
    assert np.median(cosines[1:]) > np.median(yardstick)
    assert cosines[1:].min() > yardstick.min()


def test_drafted_predictions_are_explained_in_pixels_of_the_picture(large: Image.Image) -> None:
    classes = ["cat", "cup of coffee", "rocket"]
    classifier = Classifier(classes, crops=4, draft=True)
    prediction = classifier(jpeg(large))
    explanation = prediction.explain()
    assert explanation.size == large.size
    assert explanation.boxes.max() > 1280
    assert abs(float(explanation.terms.sum()) - (prediction.score or 0)) < 1e-6


def test_reduced_boxes_need_not_fall_on_pixels() -> None:
    ramp = np.zeros((40, 40, 3), np.uint8)
    ramp[:] = (np.arange(40) * 6)[None, :, None]
    image = Image.fromarray(ramp)
    half = image.resize((20, 20), Image.Resampling.BOX)
    boxes = np.array([[5, 5, 30, 30], [0, 0, 40, 40], [7, 7, 8, 8], [39, 39, 40, 40]])
    exact = crops.cut(image, boxes, 8).astype(int)
    reduced = crops.cut(half, boxes, 8, full_size=(40, 40)).astype(int)
    assert np.abs(reduced - exact)[:2].mean() < 2
    assert np.abs(reduced - exact).max() <= 8

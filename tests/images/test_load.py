"""Every odd or broken picture we could think of: the right pixels, or an error that helps."""

from __future__ import annotations

import builtins
import errno
import io
import os
import re
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from crossalign.errors import CrossalignError, ImageError
from crossalign.images.load import (
    content_digest,
    load_image,
    source_name,
)
from pictures import (
    ALPHA,
    ANIMATED,
    BITS,
    CUT,
    FRAMES,
    GOOD,
    GREY,
    GREY16,
    GREY16_AS_8,
    HEIGHT,
    LA,
    NOT_IMAGES,
    ONE_BIT,
    PAIR,
    PNG,
    RGB,
    RGBA,
    WIDTH,
    common_srgb_profile,
    encode,
    farthest,
    grey3,
    noise,
    over_white,
    palette_image,
    pixels_of,
    raw_png,
    srgb_profile,
    swapped_profile,
)


def spelled(value: object) -> str:
    """What a value looks like, without its address, so that every run names a test alike."""
    return re.sub(r" at 0x[0-9A-Fa-f]+", "", str(value))


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("way", ["path", "str", "bytes", "memoryview", "file", "PIL"])
def test_good_pictures_give_the_right_pixels(name, way, tmp_path):
    data, expected, tolerance = GOOD[name]
    path = tmp_path / name
    path.write_bytes(data)
    with path.open("rb") as file, Image.open(io.BytesIO(data)) as image:
        source = {
            "path": path,
            "str": str(path),
            "bytes": data,
            "memoryview": memoryview(bytearray(data)),
            "file": file,
            "PIL": image,
        }[way]
        pixels = pixels_of(load_image(source))
    assert farthest(pixels, expected) <= tolerance


# Upright as a function of the stored pixels, as the EXIF standard words it.
UPRIGHT = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).transpose(1, 0, 2),
    8: lambda stored: np.rot90(stored, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation(orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}
    stored = np.ascontiguousarray(RGB)
    data = encode(stored, kind, exif=exif, **options.get(kind, {}))
    expected = UPRIGHT[orientation](stored)
    tolerance = 3 if kind == "JPEG" else 0
    with Image.open(io.BytesIO(data)) as loaded:
        loaded.load()  # a PIL image that its owner has used already turns the same way
        for source in (data, loaded):
            pixels = pixels_of(load_image(source))
            assert farthest(pixels, expected) <= tolerance


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0rubbish", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0"]
)
def test_broken_exif_is_ignored(exif):
    data = encode(RGB, "JPEG", quality=100, subsampling=0)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow may warn of it
        image = load_image(data[:2] + segment + data[2:])
    assert farthest(pixels_of(image), RGB) <= 3


def test_an_impossible_orientation_is_ignored():
    exif = Image.Exif()
    exif[0x0112] = 99
    assert np.array_equal(pixels_of(load_image(encode(RGB, "PNG", exif=exif))), RGB)


def test_loading_twice_turns_and_converts_once():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(RGB, "PNG", exif=exif, icc_profile=swapped_profile())
    once = load_image(data)
    assert np.array_equal(pixels_of(load_image(once)), pixels_of(once))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM"])
def test_plain_pictures_equal_the_published_pipeline(mode, kind, tmp_path):
    path = tmp_path / "plain"
    path.write_bytes(encode(noise(bands=len(mode)), kind))
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(pixels_of(load_image(path)), expected)


NEAR_SRGB = {"HP": common_srgb_profile(1024), "tiny": common_srgb_profile(26)}


@pytest.mark.parametrize("profile", [srgb_profile(), *NEAR_SRGB.values()], ids=["lcms", *NEAR_SRGB])
def test_srgb_in_all_but_name_leaves_pixels_alone(profile):
    pixels = noise(200, 200)
    data = encode(pixels, "PNG", icc_profile=profile)
    assert np.array_equal(pixels_of(load_image(data)), pixels)


@pytest.mark.parametrize("profile", NEAR_SRGB.values(), ids=NEAR_SRGB)
def test_those_profiles_would_have_changed_pixels(profile):
    """Otherwise the test above proves nothing."""
    transform = ImageCms.buildTransform(
        io.BytesIO(profile), ImageCms.createProfile("sRGB"), "RGB", "RGB"
    )
    pixels = noise(200, 200)
    changed = np.asarray(ImageCms.applyTransform(Image.fromarray(pixels), transform))
    assert 1 <= farthest(changed, pixels) <= 2


def test_profiles_convert_the_same_in_many_threads():
    data = encode(noise(64, 64), "PNG", icc_profile=swapped_profile())
    expected = pixels_of(load_image(data))
    with ThreadPoolExecutor(8) as pool:
        for image in pool.map(load_image, [data] * 64):
            assert np.array_equal(pixels_of(image), expected)


@pytest.mark.parametrize("mode", ["La", "RGBa", "PA", "RGBX", "HSV", "YCbCr", "I;16", "I;16B", "1"])
def test_modes_that_only_live_in_memory(mode):
    base = Image.fromarray(RGB)
    if mode == "La":
        image, expected = Image.fromarray(LA, "LA").convert("La"), over_white(grey3(GREY), ALPHA)
    elif mode == "RGBa":
        image, expected = Image.fromarray(RGBA).convert("RGBa"), over_white(RGB, ALPHA)
    elif mode == "PA":
        image, expected = palette_image().convert("PA"), PAIR
    elif mode.startswith("I;16"):
        image = Image.frombytes(
            mode, (WIDTH, HEIGHT), GREY16.astype(">u2" if "B" in mode else "<u2")
        )
        expected = grey3(GREY16_AS_8)
    elif mode == "1":
        image, expected = ONE_BIT, grey3(BITS)
    else:
        image, expected = base.convert(mode), np.asarray(base.convert(mode).convert("RGB"))
    pixels = pixels_of(load_image(image))
    # Premultiplied colours have lost precision, most where alpha is small: what is left on white
    # is still within a level or two.
    assert farthest(pixels, expected) <= 2


# ------------------------------------------------------------------------------------------ arrays

ARRAYS = {
    "uint8": (RGB, RGB),
    "grey": (GREY, grey3(GREY)),
    "one band": (GREY[..., None], grey3(GREY)),
    "rgba": (RGBA, over_white(RGB, ALPHA)),
    "uint16": (GREY16, grey3(GREY16_AS_8)),
    "uint16 big endian": (GREY16.astype(">u2"), grey3(GREY16_AS_8)),
    "uint16 rgb": (RGB.astype(np.uint16) * 257, RGB),
    "bool": (BITS > 0, grey3(BITS)),
    "float16": ((RGB / 255).astype(np.float16), RGB),
    "float32": ((RGB / 255).astype(np.float32), RGB),
    "float64": (RGB / 255, RGB),
    "float rgba": (RGBA / 255, over_white(RGB, ALPHA)),
    "flipped view": (RGB[::-1, ::-1], RGB[::-1, ::-1]),
    "fortran order": (np.asfortranarray(RGB), RGB),
    "channels moved": (np.moveaxis(np.moveaxis(RGB, -1, 0).copy(), 0, -1), RGB),
    "one pixel": (RGB[:1, :1], RGB[:1, :1]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(name):
    array, expected = ARRAYS[name]
    before = array.copy()
    image = load_image(array)
    assert farthest(pixels_of(image), expected) <= (1 if "rgba" in name else 0)
    assert np.array_equal(array, before)
    image.putpixel((0, 0), (1, 2, 3))
    assert np.array_equal(array, before), "the image does not share the caller's memory"


def test_every_uint16_value_rounds_to_the_nearest_level():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected = np.rint(np.arange(65536).reshape(256, 256) / 257)
    assert np.array_equal(pixels_of(load_image(values))[..., 0], expected)


def test_objects_with_dunder_array():
    class Tensor:
        def __array__(self, dtype=None, copy=None):
            return RGB

    assert np.array_equal(pixels_of(load_image(Tensor())), RGB)
    assert source_name(Tensor()) == "<array>"


class OnGpu:
    def __array__(self, dtype=None, copy=None):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((3, 20, 30), np.uint8), ["(3, 20, 30)", "channels-first", "moveaxis"]),
        (np.zeros((2, 20, 30, 3), np.uint8), ["(2, 20, 30, 3)", "batch"]),
        (np.zeros((20, 30, 2), np.uint8), ["(20, 30, 2)", "(H, W, 3)"]),
        (np.zeros(20, np.uint8), ["(20,)", "reshape"]),
        (np.float32(1), ["()"]),
        (np.zeros((0, 5, 3), np.uint8), ["zero-sized", "5 x 0"]),
        (np.zeros((5, 0)), ["zero-sized"]),
        (np.zeros((5, 5), np.int64), ["int64", "astype(np.uint8)"]),
        (np.zeros((5, 5), complex), ["complex128"]),
        (np.full((5, 5), "x"), ["<U1"]),
        (np.full((5, 5), None), ["object"]),
        (np.full((5, 5), np.nan), ["NaN", "[0, 1]"]),
        (np.array([[0.0, np.inf]]), ["inf"]),
        (np.array([[0.0, 255.0]]), ["0 to 255", "divide"]),
        (np.array([[-0.5, 1.0]]), ["-0.5 to 1", "clip"]),
        (OnGpu(), ["cuda:0", "cpu()"]),
    ],
    ids=spelled,
)
def test_bad_arrays(array, words):
    with pytest.raises(ImageError) as caught:
        load_image(array)
    for word in ["<array>", *words]:
        assert word in str(caught.value)


# ----------------------------------------------------------------------------------- broken inputs


@pytest.mark.parametrize("name", NOT_IMAGES)
def test_what_is_not_an_image_says_so(name, tmp_path):
    data, words = NOT_IMAGES[name]
    path = tmp_path / name
    path.write_bytes(data)
    for source, shown in (
        (path, str(path)),
        (data, "<bytes>"),
        (io.BytesIO(data), "<file object>"),
    ):
        with pytest.raises(ImageError) as caught:
            load_image(source)
        message = str(caught.value)
        assert message.startswith(f"{shown}: ")
        for word in words:
            assert word in message


def test_the_cause_is_kept_and_only_the_cause():
    with pytest.raises(ImageError) as caught:
        load_image(PNG[: len(PNG) // 2])
    assert isinstance(caught.value.__cause__, OSError)
    assert isinstance(caught.value, CrossalignError)
    assert isinstance(caught.value, ValueError)
    with pytest.raises(ImageError) as caught:
        load_image(None)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("kind", CUT)
@pytest.mark.parametrize("share", [0.0, 0.02, 0.1, 0.3, 0.5, 0.8, 0.95])
def test_truncated_files(kind, share, tmp_path):
    data = CUT[kind]
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(data[: max(1, int(len(data) * share))])
    with pytest.raises(ImageError) as caught:
        load_image(path)
    assert str(path) in str(caught.value)
    assert "again" in str(caught.value) or "check" in str(caught.value)


def right_or_refused(data: bytes) -> bool:
    """Whether the bytes gave a picture; any exception but ImageError fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata; that is its right
        try:
            image = load_image(data, max_pixels=1_000_000)
        except ImageError as caught:
            error = str(caught)
        else:
            assert pixels_of(image).shape == (image.height, image.width, 3)
            return True
    assert error.startswith("<bytes>: ")
    return False


@pytest.mark.parametrize("kind", CUT)
def test_flipped_bits(kind):
    data, rng = CUT[kind], np.random.default_rng(3)
    outcomes = []
    for _ in range(60):
        broken = bytearray(data)
        span = len(data) if rng.random() < 0.5 else 200  # headers deserve more than their share
        for at in rng.integers(0, min(span, len(data)), rng.integers(1, 9)):
            broken[at] ^= 1 << rng.integers(8)
        outcomes.append(right_or_refused(bytes(broken)))
    assert right_or_refused(data)
    assert len(outcomes) == 60


SEEDS = [
    encode(noise(9, 11), "PNG"),
    encode(noise(9, 11, 4), "PNG", icc_profile=swapped_profile()),
    encode(palette_image(), "PNG", transparency=b"\x80\xff"),
    encode(
        noise(9, 11), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"
    ),
    encode(noise(9, 11), "JPEG", progressive=True, icc_profile=srgb_profile()),
    encode(noise(9, 11), "GIF"),
    encode(FRAMES[0].quantize(4), "GIF", **ANIMATED),
]


@settings(max_examples=150, deadline=None)
@given(
    data=st.sampled_from(SEEDS),
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=12),
    keep=st.floats(0, 1) | st.just(1.0),
)
def test_fuzzed_files_give_a_picture_or_an_image_error(data, flips, keep):
    broken = bytearray(data)
    for at, value in flips:
        broken[at % len(broken)] = value
    kept = bytes(broken[: round(len(broken) * keep)])
    if right_or_refused(kept) and not flips and keep == 1:
        assert np.array_equal(pixels_of(load_image(data)), pixels_of(load_image(kept)))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes(data):
    right_or_refused(data)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (None, ["<NoneType>", "None", "path"]),
        (42, ["<int>", "int"]),
        ([[0, 1]], ["<list>", "np.asarray"]),
        (object(), ["<object>"]),
        (np.ndarray, ["<array>"]),
        ("", ["''", "empty string"]),
        ("no/such/file.jpg", ["no/such/file.jpg", "no such file", "check the path"]),
        (Path("no/such/file.jpg"), ["no such file"]),
        ("https://example.org/cat.jpg", ["https://example.org/cat.jpg", "URL", "download"]),
        ("HTTP://example.org/cat.jpg", ["URL", "download"]),
        ("ftp://example.org/cat.jpg", ["URL", "download"]),
        ("s3://bucket/cat.jpg", ["URL", "download"]),
        (Path("https://example.org/cat.jpg"), ["URL", "download"]),
        ("data:image/png;base64," + "iVBORw0KGgo" * 900, ["data:image/png", "URL"]),
        ("iVBORw0KGgo" * 900, ["...", "cannot be opened"]),
        ("cat\0.jpg", ["cat\\x00.jpg", "null"]),
        ("/dev/null", ["/dev/null", "regular file"]),
        (b"", ["<bytes>", "empty"]),
        (bytearray(b"hello"), ["<bytes>", "plain text"]),
        (io.StringIO("hello"), ["<file object>", "str", "'rb'"]),
        (Image.new("RGB", (0, 3)), ["<image>", "zero-sized", "0 x 3"]),
        (Image.new("F", (2, 2), 9), ["<image>", "[0, 1]"]),
        (Image.new("I", (2, 2), -9), ["<image>", "65535"]),
    ],
    ids=lambda value: spelled(value)[:40],
)
def test_bad_sources(source, words):
    with pytest.raises(ImageError) as caught:
        load_image(source)
    message = str(caught.value)
    assert len(message) < 900
    for word in words:
        assert word in message


def test_a_directory(tmp_path):
    with pytest.raises(ImageError, match=r"directory; pass the files inside"):
        load_image(tmp_path)


def test_a_broken_symlink(tmp_path):
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "gone.png")
    with pytest.raises(ImageError, match=r"link\.png: the symbolic link points to"):
        load_image(link)


def test_a_symlink_loop(tmp_path):
    link = tmp_path / "loop.png"
    link.symlink_to(link)
    with pytest.raises(ImageError, match=r"loop\.png: .*cannot be opened"):
        load_image(link)


def test_a_file_used_as_a_folder(tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    with pytest.raises(ImageError, match=r"Not a directory"):
        load_image(tmp_path / "a.png" / "b.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_fifo_does_not_hang(tmp_path):
    path = tmp_path / "pipe.png"
    os.mkfifo(path)
    errors = []

    def load():
        try:
            load_image(path)
        except ImageError as error:
            errors.append(str(error))

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    thread.join(timeout=20)
    assert not thread.is_alive()
    assert "FIFO" in errors[0]


@pytest.mark.parametrize("step", ["stat", "open"])
def test_permission_denied(tmp_path, monkeypatch, step):
    path = tmp_path / "secret.png"
    path.write_bytes(PNG)

    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        if step == "open":
            patch.setattr(builtins, "open", refuse)
            patch.setattr(io, "open", refuse)
        patch.setattr(Path, step, refuse)
        with pytest.raises(ImageError, match=r"secret\.png: permission denied") as caught:
            load_image(path)
    assert isinstance(caught.value.__cause__, PermissionError)


def test_a_disk_error_while_reading(tmp_path, monkeypatch):
    path = tmp_path / "bad_sector.png"
    path.write_bytes(PNG)

    class BadSector(io.BytesIO):
        def read(self, *args):
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "open", lambda *args, **kwargs: BadSector())
    with pytest.raises(ImageError, match=r"bad_sector\.png: .*Input/output error"):
        load_image(path)


def test_undecodable_file_names(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    try:
        (tmp_path / name).write_bytes(PNG)
    except (OSError, UnicodeError):
        pytest.skip("the file system wants Unicode names")
    assert load_image(tmp_path / name).size == (53, 37)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ImageError) as caught:
        load_image(tmp_path / name)
    str(caught.value).encode()  # can be printed


# ------------------------------------------------------------------------------------------ limits


def test_the_limit_is_checked_before_decoding():
    data = raw_png((3000, 2000), 8, 2, b"")  # decoding would find no pixels and say so
    with pytest.raises(ImageError, match=r"3000 x 2000 = 6000000; .*raise max_pixels"):
        load_image(data, max_pixels=1_000_000)
    with pytest.raises(ImageError, match=r"truncated"):
        load_image(data, max_pixels=6_000_000)


@pytest.mark.parametrize(
    "source", [PNG, noise(), Image.fromarray(noise())], ids=["png", "array", "PIL"]
)
def test_the_limit_holds_for_every_source(source):
    assert load_image(source, max_pixels=37 * 53).size == (53, 37)
    with pytest.raises(ImageError, match=r"at most 1960 pixels, got 53 x 37 = 1961"):
        load_image(source, max_pixels=37 * 53 - 1)
    with pytest.raises(ImageError, match=r"max_pixels of at least 1, got 0"):
        load_image(source, max_pixels=0)


def test_an_icon_larger_than_it_declares():
    picture = encode(noise(300, 300), "PNG")
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(picture), 22)
    data = struct.pack("<HHH", 0, 1, 1) + entry + picture
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ImageError, match=r"300 x 300"):
            load_image(data, max_pixels=1000)


def test_pillows_own_guard_is_respected_and_never_changed(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1500)  # between 1x and 2x: Pillow only warns
    with pytest.raises(
        ImageError, match=r"most 1500 pixels, got 53 x 37 .*MAX_IMAGE_PIXELS"
    ) as caught:
        load_image(PNG)  # warnings are errors in this suite
    assert isinstance(caught.value.__cause__, Image.DecompressionBombWarning)
    with pytest.warns(Image.DecompressionBombWarning):
        assert load_image(PNG).size == (53, 37)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ImageError, match=r"most 200 pixels, got 53 x 37") as caught:
        load_image(PNG)
    assert isinstance(caught.value.__cause__, Image.DecompressionBombError)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_a_zip_bomb_in_a_text_chunk():
    chunk = b"Comment\0\0" + zlib.compress(bytes(100_000_000))
    data = raw_png((1, 1), 8, 0, b"\0\0", (b"zTXt", chunk))
    with pytest.raises(ImageError):
        load_image(data)


# --------------------------------------------------------------------------- manners towards inputs


def test_open_files_are_read_from_where_they_stand_and_stay_open(tmp_path):
    path = tmp_path / "container.bin"
    path.write_bytes(b"header" + PNG)
    with path.open("rb") as file:
        file.seek(6)
        image = load_image(file)
        assert not file.closed
        assert file.tell() == 6 + len(PNG)
        with pytest.raises(ImageError, match=r"container\.bin: .*empty"):
            load_image(file)
    assert np.array_equal(pixels_of(image), noise())


def test_closed_text_and_odd_files(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(PNG)
    closed = path.open("rb")
    closed.close()
    with pytest.raises(ImageError, match=r"picture\.png: .*closed file"):
        load_image(closed)
    with path.open(encoding="utf-8") as text, pytest.raises(ImageError, match=r"'rb'"):
        load_image(text)

    class Pipe:
        """Reads, but cannot seek."""

        def read(self):
            return PNG

    assert np.array_equal(pixels_of(load_image(Pipe())), noise())


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK", "I;16", "1"])
def test_pil_images_are_left_as_they_were(mode):
    image = (
        Image.new("I;16", (5, 4), 300) if mode == "I;16" else Image.new("RGB", (5, 4)).convert(mode)
    )
    image.info.update(icc_profile=swapped_profile(), note="mine")
    info, pixels = dict(image.info), image.tobytes()
    result = load_image(image)
    assert result is not image
    result.putpixel((0, 0), (9, 8, 7))
    assert (image.mode, image.size, image.info, image.tobytes()) == (mode, (5, 4), info, pixels)


def test_a_pil_image_is_taken_at_the_frame_it_shows():
    with Image.open(io.BytesIO(GOOD["pages.tif"][0])) as image:
        image.seek(1)
        assert np.array_equal(pixels_of(load_image(image)), 255 - RGB)
        assert image.tell() == 1


def test_a_pil_image_whose_file_is_closed(tmp_path):
    path = tmp_path / "late.png"
    path.write_bytes(PNG)
    with Image.open(path) as image:
        pass
    with pytest.raises(ImageError, match=r"<image>: "):
        load_image(image)


def test_writable_bytes_are_not_altered():
    data = bytearray(PNG)
    load_image(data)
    load_image(memoryview(data))
    assert data == PNG


# ------------------------------------------------------------------------------- names and digests


def test_source_names(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    with path.open("rb") as file:
        assert source_name(file) == str(path)
    assert source_name(path) == source_name(str(path)) == str(path)
    assert source_name(io.BytesIO()) == "<file object>"
    assert [source_name(x) for x in (b"", bytearray(), memoryview(b""))] == ["<bytes>"] * 3
    assert source_name(RGB) == "<array>"
    assert source_name(Image.new("L", (1, 1))) == "<image>"
    assert source_name(3.5) == "<float>"


def test_the_digest_knows_pixels_not_formats():
    digests = {
        content_digest(load_image(source))
        for source in (encode(RGB, "PNG"), encode(RGB, "BMP"), encode(RGBA[..., :3], "TIFF"), RGB)
    }
    assert len(digests) == 1
    assert len(digests.pop()) == 16


def test_the_digest_knows_shape_and_every_pixel():
    flat = np.zeros((2, 8, 3), np.uint8)
    changed = flat.copy()
    changed[1, 7, 2] = 1
    arrays = (flat, changed, flat.reshape(4, 4, 3), flat.reshape(8, 2, 3))
    assert len({content_digest(load_image(array)) for array in arrays}) == 4


def test_the_digest_is_pinned():
    """Crops are drawn from it: a change here changes every published number."""
    assert content_digest(load_image(RGB)).hex() == "e93de52d083492351c65b45312793b9c"
    with pytest.raises(ImageError, match=r"expected mode RGB, got L"):
        content_digest(Image.new("L", (1, 1)))


def test_colour_management_is_imported_only_when_needed():
    code = "import sys, crossalign.images; print('PIL.ImageCms' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

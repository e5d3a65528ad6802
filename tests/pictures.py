"""Pictures of every kind, good and broken, made here: for all tests that need some."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import PIL
from PIL import Image, ImageCms, features

from crossalign.images.load import DEFAULT_MAX_PIXELS

# ------------------------------------------------------------------------------- a picture to know

RED, GREEN, BLUE, YELLOW = (220, 30, 40), (20, 170, 60), (30, 60, 200), (240, 220, 50)
WIDTH, HEIGHT = 48, 32


def quadrants() -> np.ndarray:
    """48 x 32: four colours in the corners, so every turn and flip shows; blocks suit JPEG."""
    pixels = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:16, :16], pixels[:16, 16:] = RED, GREEN
    pixels[16:, :16], pixels[16:, 16:] = BLUE, YELLOW
    return pixels


def noise(height: int = 37, width: int = 53, bands: int = 3) -> np.ndarray:
    shape = (height, width, bands) if bands > 1 else (height, width)
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


def encode(image: Image.Image | np.ndarray, kind: str, **options) -> bytes:
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def pixels_of(image: Image.Image) -> np.ndarray:
    assert type(image) is Image.Image, "detached from any file"
    assert image.mode == "RGB"
    assert image.info == {}
    return np.asarray(image)


def farthest(pixels: np.ndarray, expected: np.ndarray) -> int:
    assert pixels.shape == expected.shape
    return int(np.abs(pixels.astype(int) - expected).max())


def over_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    weight = alpha[..., None].astype(float) / 255
    return np.rint(rgb * weight + 255 * (1 - weight)).astype(np.uint8)


def grey3(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2)


def raw_png(
    size: tuple[int, int], depth: int, kind: int, rows: bytes, *extra: tuple[bytes, bytes]
) -> bytes:
    """A PNG written by hand, for what Pillow cannot write."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", *size, depth, kind, 0, 0, 0)),
        *extra,
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))
        for tag, body in chunks
    )


# ------------------------------------------------------------------------------------ ICC profiles


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile() -> bytes:
    """SRGB with its red and blue primaries exchanged: R drives blue and B drives red."""
    profile = bytearray(srgb_profile())
    for index in range(struct.unpack_from(">I", profile, 128)[0]):
        at = 132 + 12 * index
        tag = bytes(profile[at : at + 4])
        profile[at : at + 4] = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}.get(tag, tag)
    return bytes(profile)


def xyz(x: int, y: int, z: int) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">iii", x, y, z)


D50 = (0xF6D6, 0x10000, 0xD32D)


def common_srgb_profile(nodes: int) -> bytes:
    """SRGB as cameras and web sites embed it: Hewlett-Packard's rounded primaries and a table.

    1024 nodes are what "sRGB IEC61966-2.1" has; 26 is as rough as the tiny profiles of photo sites.
    """
    value = np.linspace(0, 1, nodes)
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    table = np.rint(linear * 65535).astype(">u2").tobytes()
    curve = b"curv\0\0\0\0" + struct.pack(">I", nodes) + table
    tags = {
        b"wtpt": xyz(*D50),
        b"rXYZ": xyz(0x6FA2, 0x38F5, 0x0390),
        b"gXYZ": xyz(0x6299, 0xB785, 0x18DA),
        b"bXYZ": xyz(0x24A0, 0x0F84, 0xB6CF),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    return icc(b"RGB ", b"mntr", b"XYZ ", tags)


def icc(space: bytes, kind: bytes, pcs: bytes, tags: dict[bytes, bytes]) -> bytes:
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for tag, data in tags.items():
        data += b"\0" * (-len(data) % 4)
        table += struct.pack(">4sII", tag, start + len(body), len(data))
        body += data
    header = bytearray(128)
    struct.pack_into(">I4xI4s4s4s", header, 0, start + len(body), 0x02100000, kind, space, pcs)
    header[36:40] = b"acsp"
    struct.pack_into(">iii", header, 68, *D50)
    return bytes(header) + table + body


def grey_profile(gamma: float) -> bytes:
    curve = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(gamma * 256))
    return icc(b"GRAY", b"mntr", b"XYZ ", {b"wtpt": xyz(*D50), b"kTRC": curve})


def cyan_only_profile() -> bytes:
    """A CMYK profile of a press whose cyan ink is black and whose other inks are invisible."""
    ramp = bytes(range(256))
    grid = b"".join(bytes([0 if node >= 8 else 255, 128, 128]) for node in range(16))
    matrix = struct.pack(">9i", *(0x10000 if i % 4 == 0 else 0 for i in range(9)))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + matrix + ramp * 4 + grid + ramp * 3
    return icc(b"CMYK", b"prtr", b"Lab ", {b"wtpt": xyz(*D50), b"A2B0": lut})


def srgb_curve(linear: np.ndarray) -> np.ndarray:
    curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(curve * 255).astype(np.uint8)


# ----------------------------------------------------------------------------------- good pictures

RGB = quadrants()
GREY = np.tile(np.arange(WIDTH, dtype=np.uint8) * 5, (HEIGHT, 1))
ALPHA = np.tile((np.arange(HEIGHT, dtype=np.uint8) * 8)[:, None], (1, WIDTH))
RGBA = np.dstack([RGB, ALPHA])
LA = np.dstack([GREY, ALPHA])
GREY16 = np.linspace(0, 65535, WIDTH * HEIGHT).astype(np.uint16).reshape(HEIGHT, WIDTH)
GREY16_AS_8 = np.rint(GREY16 / 257).astype(np.uint8)
BITS = (np.indices((HEIGHT, WIDTH)).sum(axis=0) % 3 == 0) * np.uint8(255)
ONE_BIT = Image.fromarray(BITS).convert("1")
CMYK = Image.fromarray(RGB).convert("CMYK")
LAB = ImageCms.applyTransform(
    Image.fromarray(RGB),
    ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    ),
)
FRAMES = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
ANIMATED = {"save_all": True, "append_images": FRAMES[1:], "duration": 100}
INKS = Image.new("CMYK", (2, 1))
INKS.putdata([(255, 0, 0, 0), (0, 255, 255, 255)])


def palette_image(**info) -> Image.Image:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *GREEN])
    image.putdata([0, 1])
    image.info.update(info)
    return image


def pgm16(values: np.ndarray) -> bytes:
    return b"P5 %d %d 65535\n" % values.shape[::-1] + values.astype(">u2").tobytes()


def pfm(values: np.ndarray) -> bytes:
    return b"Pf\n%d %d\n-1.0\n" % values.shape[::-1] + values[::-1].astype("<f4").tobytes()


def tiff_float(values: np.ndarray) -> bytes:
    return encode(Image.fromarray(values.astype(np.float32)), "TIFF")


PAIR = np.array([[RED, GREEN]], np.uint8)
WHITE = np.array([255, 255, 255], np.uint8)
RGB_GREEN_ON_WHITE = np.array([[WHITE, GREEN]], np.uint8)

# name of the file -> (its bytes, the pixels it must give, the largest difference allowed)
GOOD: dict[str, tuple[bytes, np.ndarray, int]] = {
    "rgb.png": (encode(RGB, "PNG"), RGB, 0),
    "rgb.bmp": (encode(RGB, "BMP"), RGB, 0),
    "rgb.tga": (encode(RGB, "TGA"), RGB, 0),
    "rle.tga": (encode(RGB, "TGA", compression="tga_rle"), RGB, 0),
    "rgb.ppm": (encode(RGB, "PPM"), RGB, 0),
    "rgb.pcx": (encode(RGB, "PCX"), RGB, 0),
    "rgb.tif": (encode(RGB, "TIFF"), RGB, 0),
    "lzw.tif": (encode(RGB, "TIFF", compression="tiff_lzw"), RGB, 0),
    "deflate.tif": (encode(RGB, "TIFF", compression="tiff_adobe_deflate"), RGB, 0),
    "lossless.webp": (encode(RGB, "WEBP", lossless=True), RGB, 0),
    "lossy.webp": (encode(RGB[:16, :16], "WEBP", quality=95), RGB[:16, :16], 4),
    "baseline.jpg": (encode(RGB, "JPEG", quality=100, subsampling=0), RGB, 3),
    "progressive.jpg": (
        encode(RGB, "JPEG", quality=100, subsampling=0, progressive=True),
        RGB,
        3,
    ),
    "trailing.jpg": (
        encode(RGB, "JPEG", quality=100, subsampling=0) + b"\0\xffgarbage" * 99,
        RGB,
        3,
    ),
    "grey.jpg": (encode(GREY, "JPEG", quality=100), grey3(GREY), 3),
    "grey.png": (encode(GREY, "PNG"), grey3(GREY), 0),
    "icon.ico": (
        encode(RGB[:32, :32], "ICO", sizes=[(16, 16), (32, 32)]),
        RGB[:32, :32],
        0,
    ),
    "one_bit.png": (encode(ONE_BIT, "PNG"), grey3(BITS), 0),
    "group4.tif": (encode(ONE_BIT, "TIFF", compression="group4"), grey3(BITS), 0),
    "one_bit.pbm": (encode(ONE_BIT, "PPM"), grey3(BITS), 0),
    "palette.png": (encode(palette_image(), "PNG"), PAIR, 0),
    "palette.gif": (encode(palette_image(), "GIF"), PAIR, 0),
    "palette.bmp": (encode(palette_image(), "BMP"), PAIR, 0),
    "palette_clear.gif": (
        encode(palette_image(), "GIF", transparency=0),
        RGB_GREEN_ON_WHITE,
        0,
    ),
    "palette_clear.png": (
        encode(palette_image(), "PNG", transparency=0),
        RGB_GREEN_ON_WHITE,
        0,
    ),
    "palette_half.png": (
        encode(palette_image(), "PNG", transparency=b"\x80\xff"),
        over_white(PAIR, np.array([[128, 255]])),
        1,
    ),
    "rgba.png": (encode(RGBA, "PNG"), over_white(RGB, ALPHA), 1),
    "rgba.tif": (encode(RGBA, "TIFF"), over_white(RGB, ALPHA), 1),
    "rgba.webp": (encode(RGBA, "WEBP", lossless=True, exact=True), over_white(RGB, ALPHA), 1),
    "opaque.png": (encode(np.dstack([RGB, np.full_like(ALPHA, 255)]), "PNG"), RGB, 0),
    "la.png": (encode(Image.fromarray(LA, "LA"), "PNG"), over_white(grey3(GREY), ALPHA), 1),
    "trns_rgb.png": (
        encode(PAIR, "PNG", transparency=RED),
        RGB_GREEN_ON_WHITE,
        0,
    ),
    "trns_grey.png": (
        encode(np.array([[5, 6]], np.uint8), "PNG", transparency=5),
        np.array([[[255] * 3, [6] * 3]], np.uint8),
        0,
    ),
    "trns_one_bit.png": (
        raw_png((4, 1), 1, 0, b"\0\x30", (b"tRNS", b"\0\0")),
        np.full((1, 4, 3), 255, np.uint8),
        0,
    ),
    "trns_grey16.png": (
        raw_png((2, 1), 16, 0, b"\0\x10\x10\x20\x20", (b"tRNS", b"\x10\x10")),
        np.array([[[255] * 3, [32] * 3]], np.uint8),
        0,
    ),
    "grey16.png": (encode(GREY16, "PNG"), grey3(GREY16_AS_8), 0),
    "grey16.tif": (encode(GREY16, "TIFF"), grey3(GREY16_AS_8), 0),
    "grey16_big_endian.tif": (
        encode(GREY16, "TIFF", big_endian=True),
        grey3(GREY16_AS_8),
        0,
    ),
    "grey16.pgm": (pgm16(GREY16), grey3(GREY16_AS_8), 0),
    "rgb16.png": (
        raw_png((2, 1), 16, 2, b"\0" + np.repeat(PAIR, 2).tobytes()),
        PAIR,
        0,
    ),
    "int32.tif": (
        encode(Image.fromarray(GREY16.astype(np.int32)), "TIFF"),
        grey3(GREY16_AS_8),
        0,
    ),
    "float.tif": (tiff_float(GREY / 255), grey3(GREY), 0),
    "float.pfm": (pfm(GREY / 255), grey3(GREY), 0),
    "cmyk.jpg": (encode(CMYK, "JPEG", quality=100, subsampling=0), RGB, 4),
    "cmyk.tif": (encode(CMYK, "TIFF"), RGB, 0),
    "lab.tif": (encode(LAB, "TIFF"), RGB, 8),
    "animated.gif": (encode(FRAMES[0].quantize(4), "GIF", **ANIMATED), RGB, 0),
    "animated.webp": (encode(FRAMES[0], "WEBP", lossless=True, **ANIMATED), RGB, 0),
    "animated.png": (encode(FRAMES[0], "PNG", **ANIMATED), RGB, 0),
    "pages.tif": (
        encode(FRAMES[0], "TIFF", save_all=True, append_images=FRAMES[1:]),
        RGB,
        0,
    ),
    "one_pixel.png": (encode(RGB[:1, :1], "PNG"), RGB[:1, :1], 0),
    "one_pixel.gif": (encode(Image.new("P", (1, 1)), "GIF"), np.zeros((1, 1, 3)), 0),
    "column.png": (encode(RGB[:, :1], "PNG"), RGB[:, :1], 0),
    "row.jpg": (encode(RGB[:1, :16], "JPEG", quality=100, subsampling=0), RGB[:1, :16], 3),
    "really_a_png.jpg": (encode(RGB, "PNG"), RGB, 0),
    "really_a_png.tga": (encode(RGB, "PNG"), RGB, 0),
    "no_extension": (encode(RGB, "PNG"), RGB, 0),
    "Käse 猫 \U0001f408 'x'.png": (encode(RGB, "PNG"), RGB, 0),
    "icc_swapped.png": (encode(RGB, "PNG", icc_profile=swapped_profile()), RGB[..., ::-1], 2),
    "icc_swapped.jpg": (
        encode(RGB, "JPEG", quality=100, subsampling=0, icc_profile=swapped_profile()),
        RGB[..., ::-1],
        5,
    ),
    "icc_swapped.tif": (encode(RGB, "TIFF", icc_profile=swapped_profile()), RGB[..., ::-1], 2),
    "icc_swapped.webp": (
        encode(RGB, "WEBP", lossless=True, icc_profile=swapped_profile()),
        RGB[..., ::-1],
        2,
    ),
    "icc_swapped_palette.png": (
        encode(palette_image(), "PNG", icc_profile=swapped_profile()),
        PAIR[..., ::-1],
        2,
    ),
    "icc_swapped_alpha.png": (  # colours first, alpha after: white paper stays white
        encode(RGBA, "PNG", icc_profile=swapped_profile()),
        over_white(RGB[..., ::-1], ALPHA),
        3,
    ),
    "icc_grey.png": (
        encode(GREY, "PNG", icc_profile=grey_profile(1.8)),
        grey3(srgb_curve((GREY / 255) ** 1.8)),
        2,
    ),
    "icc_grey16.tif": (
        encode(GREY16, "TIFF", icc_profile=grey_profile(1.8)),
        grey3(srgb_curve((GREY16_AS_8 / 255) ** 1.8)),
        2,
    ),
    "icc_grey_alpha.png": (
        encode(Image.fromarray(LA, "LA"), "PNG", icc_profile=grey_profile(1.8)),
        over_white(grey3(srgb_curve((GREY / 255) ** 1.8)), ALPHA),
        3,
    ),
    "icc_cmyk.tif": (
        encode(INKS, "TIFF", icc_profile=cyan_only_profile()),
        np.array([[[0] * 3, [255] * 3]], np.uint8),
        2,
    ),
    "icc_garbage.png": (encode(RGB, "PNG", icc_profile=b"no profile at all"), RGB, 0),
    "icc_cut.png": (encode(RGB, "PNG", icc_profile=srgb_profile()[:200]), RGB, 0),
    "icc_grey_on_rgb.png": (encode(RGB, "PNG", icc_profile=grey_profile(1.8)), RGB, 0),
    "icc_rgb_on_grey.png": (encode(GREY, "PNG", icc_profile=swapped_profile()), grey3(GREY), 0),
}
if int(PIL.__version__.split(".")[0]) >= 13:  # 12 cannot read its own
    GOOD["ycbcr.tif"] = (encode(Image.fromarray(RGB).convert("YCbCr"), "TIFF"), RGB, 3)
if "AVIF" in Image.SAVE:
    GOOD["lossy.avif"] = (encode(RGB, "AVIF", quality=100, subsampling="4:4:4"), RGB, 6)
if features.check("jpg_2000"):
    GOOD["lossless.jp2"] = (encode(RGB, "JPEG2000"), RGB, 0)
    GOOD["grey16.jp2"] = (encode(GREY16, "JPEG2000"), grey3(GREY16_AS_8), 0)
if "QOI" in Image.SAVE:
    GOOD["rgb.qoi"] = (encode(RGB, "QOI"), RGB, 0)


# ----------------------------------------------------------------------------------- broken inputs

PNG, JPEG = encode(noise(), "PNG"), encode(noise(), "JPEG")
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"
NOT_IMAGES: dict[str, tuple[bytes, list[str]]] = {
    "empty.png": (b"", ["empty"]),
    "page.jpg": (b"\n <!DOCTYPE HTML><html><body>404</body></html>", ["HTML", "download"]),
    "bare.jpg": (b"<html><svg></svg></html>", ["HTML"]),
    "paper.jpg": (b"%PDF-1.7\n%\xe2\xe3", ["PDF", "render"]),
    "archive.jpg": (b"PK\x03\x04\x14\0\0\0", ["ZIP", "unpack"]),
    "drawing.svg": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org"/>', ["SVG", "render"]),
    "note.jpg": ("a note about Käse\n".encode(), ["plain text"]),
    "packed.jpg": (b"\x1f\x8b\x08\0\0\0\0\0", ["gzip", "decompress"]),
    "phone.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", ["HEIC", "convert"]),
    "phone2.heic": (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(99), ["HEIC", "convert"]),
    "cut.avif": (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + bytes(99), ["AVIF"]),
    "film.mp4": (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2", ["video", "frames"]),
    "film.webm": (b"\x1a\x45\xdf\xa3\x01\0\0\0", ["video", "frames"]),
    "film.avi": (b"RIFF\x10\0\0\0AVI LIST", ["video", "frames"]),
    "pointer.png": (b"version https://git-lfs.github.com/spec/v1\n", ["LFS", "git lfs pull"]),
    "layers.psd": (b"8BPS\0\1" + bytes(20), ["Photoshop", "convert"]),
    "scan.dcm": (bytes(128) + b"DICM", ["DICOM", "convert"]),
    "many.tar": (bytes(257) + b"ustar\0", ["tar archive", "unpack"]),
    "figure.eps": (EPS, ["PostScript", "convert"]),
    "figure.png": (EPS, ["PostScript", "convert"]),
    "zeros.jpg": (bytes(500), ["unknown data", "00 00"]),
    "one_byte.jpg": (b"\xff", ["unknown data", "ff"]),
    "magic_only.png": (b"\x89PNG\r\n\x1a\n", ["broken header", "again"]),
    "magic_only.jpg": (b"\xff\xd8\xff", ["again"]),
    "magic_only.gif": (b"GIF89a", ["again"]),
    "magic_only.webp": (b"RIFF\4\0\0\0WEBP", ["again"]),
    "magic_only.bmp": (b"BM\0\0\0\0", ["again"]),
    "magic_only.tif": (b"II*\0\x08\0\0\0", ["again"]),
    "no_width.png": (raw_png((0, 5), 8, 2, b""), ["again"]),
    "no_data.png": (raw_png((5, 5), 8, 2, b""), ["truncated"]),
    "bad_crc.png": (PNG[:20] + b"\x7f" + PNG[21:], ["broken header"]),
    "bad_deflate.png": (
        PNG[:60] + bytes(len(PNG) - 120) + PNG[-60:],
        ["corrupt"],
    ),
    "huge.png": (
        raw_png((100_000, 100_000), 8, 2, b""),
        ["100000 x 100000", str(DEFAULT_MAX_PIXELS), "max_pixels", "MAX_IMAGE_PIXELS"],
    ),
    "huge.gif": (
        b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\2",
        ["65535 x 65535", "max_pixels"],
    ),
    "huge.bmp": (
        b"BM" + bytes(12) + struct.pack("<IiiHH24x", 40, 50_000, 50_000, 1, 24),
        ["50000 x 50000", "max_pixels"],
    ),
    "deep_values.tif": (
        encode(Image.fromarray(np.array([[0, 70_000]], np.int32)), "TIFF"),
        ["0 to 70000", "65535"],
    ),
    "negative.tif": (
        encode(Image.fromarray(np.array([[-1, 7]], np.int32)), "TIFF"),
        ["-1 to 7", "65535"],
    ),
    "float_255.tif": (tiff_float(np.array([[0.0, 255.0]])), ["[0, 1]", "0 to 255"]),
    "float_nan.tif": (tiff_float(np.array([[0.0, np.nan]])), ["[0, 1]", "NaN"]),
}


CUT = {
    name: encode(noise(), name, **options)
    for name, options in {
        "PNG": {},
        "JPEG": {},
        "GIF": {},
        "WEBP": {},
        "TIFF": {},
        "BMP": {},
        "TGA": {},
        "PPM": {},
        "ICO": {},
        "JPEG2000": {},
    }.items()
    if name in Image.SAVE
}
CUT["LZW"] = encode(noise(), "TIFF", compression="tiff_lzw")
CUT["progressive"] = encode(noise(), "JPEG", progressive=True)

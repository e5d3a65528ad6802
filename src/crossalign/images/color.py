"""Pixels of every kind to plain 8-bit RGB: ICC profiles, transparency, deep pixels, LAB."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from crossalign.errors import ImageError

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform


def flat_rgb(image: Image.Image, *, own: bool = False) -> Image.Image:
    """Convert the colours of a picture to sRGB, and put it on white where it is transparent.

    Args:
        image: A loaded picture of any mode.
        own: Whether it is nobody else's, so that its pixels may be used as they are.

    Returns:
        A picture of mode ``RGB``.

    Raises:
        ImageError: If its pixels have no range that is known.
    """
    colours, alpha = _split_alpha(image)
    rgb = _to_srgb(colours, image.info.get("icc_profile"), own=own or colours is not image)
    if alpha is not None and alpha.getextrema() != (255, 255):
        page = Image.new("RGB", rgb.size, "white")
        page.paste(rgb, mask=alpha)
        rgb = page
    return rgb


_TO_UINT8: dict[str, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    "uint8": lambda values: values,
    "bool": lambda values: values * np.uint8(255),
    # v / 257 rounded; 257 is odd, so there are no ties
    "uint16": lambda values: (values.astype(np.uint32) + 128) // 257,
    # float16 is too coarse to multiply in
    **dict.fromkeys(
        ("float16", "float32", "float64"),
        lambda values: np.rint(values.astype(np.promote_types(values.dtype, "f4")) * 255),
    ),
}


def to_uint8(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Bring levels of any depth to 8 bits.

    Args:
        values: uint8, bool, uint16 (0 to 65535), or floating-point numbers in [0, 1].

    Returns:
        uint8 of the same shape, 0 to 255, rounded.

    Raises:
        ImageError: If they are something else.
    """
    convert = _TO_UINT8.get(values.dtype.name)
    if convert is None:
        raise ImageError(
            f"expected an array of {', '.join(_TO_UINT8)}, got {values.dtype}; "
            "use .astype(np.uint8) if its values lie in 0 to 255"
        )
    if values.dtype.kind == "f":
        low, high = float(values.min()), float(values.max())
        if not (low >= 0 and high <= 1):  # written so that NaN fails too
            got = "NaN" if np.isnan(low) else f"{low:g} to {high:g}"
            raise ImageError(
                f"expected floating-point pixels in [0, 1], got {got}; divide by the largest "
                "possible value, or clean up with np.nan_to_num and np.clip"
            )
    return np.ascontiguousarray(convert(values), dtype=np.uint8)


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Colours as L, RGB or CMYK, and the alpha channel (L) if there is any transparency."""
    mode = image.mode
    if mode in ("I", "F") or mode.startswith("I;16"):
        return _split_deep(image)
    if mode == "LAB":
        return _lab_to_rgb(image), None
    if mode in ("La", "RGBa"):  # colours already multiplied by alpha
        image = image.convert(mode.upper())
    elif mode in ("1", "L", "P", "PA", "RGB") and image.has_transparency_data:
        image = image.convert("LA" if mode in ("1", "L") else "RGBA")
    if image.mode in ("LA", "RGBA"):
        return image.convert(image.mode[:-1]), image.getchannel("A")
    if image.mode not in ("L", "RGB", "CMYK"):  # 1, P, YCbCr, HSV, RGBX
        image = image.convert("L" if mode == "1" else "RGB")
    return image, None


def _split_deep(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    values = np.asarray(image)
    if image.mode == "I":
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > 65535:
            raise ImageError(
                f"expected 32-bit pixels from 0 to 65535, got {low} to {high}; "
                "scale it to 8 or 16 bits first"
            )
        values = values.astype(np.uint16)
    clear = image.info.get("transparency")
    alpha = Image.fromarray(to_uint8(values != clear)) if isinstance(clear, int) else None
    return Image.fromarray(to_uint8(values)), alpha


def _to_srgb(colours: Image.Image, profile: object, *, own: bool) -> Image.Image:
    if isinstance(profile, bytes) and profile:
        transform = _srgb_transform(profile, colours.mode)
        if transform is not None:
            return transform.apply(colours)
    if own and colours.mode == "RGB":
        # What convert() does, without the copy: a plain picture of the same pixels.
        return colours._new(colours.im)
    return colours.convert("RGB")


@functools.lru_cache(
    maxsize=32
)  # thread-safe; profiles are few, and a transform costs milliseconds
def _srgb_transform(profile: bytes, mode: str) -> ImageCmsTransform | None:
    """The way from a profile to sRGB; None where it changes nothing, is broken or does not fit."""
    from PIL import ImageCms

    space = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}[mode]
    try:
        origin = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if origin.profile.xcolor_space.strip() != space:
            return None
        srgb = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(origin, srgb, mode, "RGB")
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None
    # Cameras and tools write dozens of variants of sRGB, so what the profile does decides, not its
    # name. The published method ignores profiles: up to 2 levels of rounding keep its pixels.
    cube = _colour_cube(mode)
    plain = np.asarray(cube.convert("RGB"), dtype=np.int16)
    managed = np.asarray(transform.apply(cube), dtype=np.int16)
    return transform if np.abs(managed - plain).max() > 2 else None


def _colour_cube(mode: str) -> Image.Image:
    bands = Image.getmodebands(mode)
    levels = np.linspace(0, 255, {1: 256, 3: 17, 4: 6}[bands]).astype(np.uint8)
    cube = np.stack(np.meshgrid(*[levels] * bands, indexing="ij"), axis=-1).reshape(1, -1, bands)
    return Image.frombytes(mode, (cube.shape[1], 1), cube.tobytes())


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(lab, srgb, "LAB", "RGB").apply(image)

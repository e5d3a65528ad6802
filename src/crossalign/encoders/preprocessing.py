"""Preprocessing as a model's own files state it: what they say, or an error, never a guess.

Read are ``preprocessor_config.json`` of Transformers (or the ``image_processor`` part of its
``processor_config.json``) and ``preprocess_cfg`` of open_clip. A :class:`Preprocess` can say less
than these files can; whatever it cannot say is refused, with the key that asks for it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from crossalign.encoders.base import Preprocess
from crossalign.errors import EncoderError
from crossalign.images.transforms import Fit, Resample

Channels: TypeAlias = tuple[float, float, float]
"""A number for red, green and blue each."""

# Newer versions of Transformers write the second instead of the first.
PROCESSORS = ("preprocessor_config.json", "processor_config.json")

# Image processors of Transformers by the start of their class's name, and what they make of a
# size that is one bare number: the short side (then cut to the middle), or both sides.
SHORT_SIDE = frozenset({"CLIP", "ChineseCLIP", "Bit"})
BOTH_SIDES = frozenset({"Siglip", "Siglip2", "EfficientNet", "ViT", "DeiT", "Blip"})
# These crop only where they are told to, so a missing do_center_crop means no crop.
NEVER_CROPS_UNASKED = frozenset({"Siglip", "Siglip2", "ViT", "Blip"})

RESAMPLE: dict[int, Resample] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
OPEN_CLIP_FIT: dict[str, Fit] = {"shortest": "crop", "squash": "squash"}

# Keys that change pixels in a way that Preprocess cannot say, unless they are null or false.
UNSUPPORTED = (
    "do_pad",
    "pad_size",
    "crop_pct",
    "do_flip_channel_order",
    "do_convert_grayscale",
    "do_reduce_labels",
    "do_image_splitting",
    "max_num_patches",
    "size_divisor",
)


def read_json(path: Path, *, optional: bool = False) -> dict[str, Any]:
    """Read a JSON object from a model's folder.

    Args:
        path: The file.
        optional: Whether a file that is not there is as good as an empty object.

    Returns:
        The object.

    Raises:
        EncoderError: If the file is missing, unreadable, broken or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        if optional:
            return {}
        raise EncoderError(f"{path} is missing; the model's folder needs it.") from error
    except OSError as error:
        raise EncoderError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise EncoderError(
            f"expected JSON in {path}; got something else ({error}). Copy the file anew."
        ) from error
    if not isinstance(content, dict):
        raise EncoderError(
            f"expected a JSON object in {path}; got {type(content).__name__}. Copy the file anew."
        )
    return content


def read_processor(folder: Path) -> Preprocess:
    """Read how a model of Transformers wants its pixels, from the file in which that stands.

    Args:
        folder: The model's folder.

    Returns:
        The preprocessing, as data.

    Raises:
        EncoderError: If it is missing, or as :func:`read_preprocess`.
    """
    paths = [folder / name for name in PROCESSORS]
    path = next((path for path in paths if path.exists()), paths[0])
    return read_preprocess(read_json(path), str(path))


def read_preprocess(config: Mapping[str, Any], origin: str) -> Preprocess:
    """Understand an image processor's configuration of Transformers.

    Args:
        config: Content of a ``preprocessor_config.json``, or of a ``processor_config.json`` that
            holds it under ``image_processor``.
        origin: Where it came from, for error messages.

    Returns:
        The same preprocessing, as data.

    Raises:
        EncoderError: If a key is missing or contradicts another, or asks for what is unsupported.

    Example:
        >>> config = {"image_processor_type": "SiglipImageProcessor", "do_resize": True}
        >>> config |= {"size": {"height": 224, "width": 224}, "resample": 2, "do_rescale": True}
        >>> config |= {"do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
        >>> made = read_preprocess(config, "preprocessor_config.json")
        >>> made.size, made.resample, made.fit
        (224, 'bilinear', 'squash')
    """
    stated = _Stated(config, origin).part("image_processor")
    family = _family(stated)
    for key in UNSUPPORTED:
        if stated.get(key) not in (None, False):
            raise stated.refusal(key, "its absence, null or false")
    if not stated.flag("do_resize"):
        raise stated.refusal("do_resize", "true: the model's input has one size")
    size, fit, resize = _size_and_fit(stated, family)
    code = stated.get("resample")
    if type(code) is not int or code not in RESAMPLE:
        named = ", ".join(f"{number} ({name})" for number, name in RESAMPLE.items())
        raise stated.refusal("resample", f"one of {named}")
    mean, std = _mean_and_std(stated, family)
    cuts = fit == "crop" or resize > size
    return Preprocess(
        size=size,
        resample=RESAMPLE[code],
        mean=mean,
        std=std,
        fit=fit,
        resize=resize if resize > size else None,
        centre="floor" if cuts else "round",
    )


def read_open_clip_preprocess(config: Mapping[str, Any], origin: str) -> Preprocess:
    """Understand a ``preprocess_cfg`` of open_clip.

    ``mode``, ``interpolation`` and ``resize_mode`` may be left out: open_clip writes only what
    differs from RGB, bicubic and shortest.

    Args:
        config: The configuration, or an object that holds it under ``preprocess_cfg``.
        origin: Where it came from, for error messages.

    Returns:
        The same preprocessing, as data.

    Raises:
        EncoderError: If a key is missing or contradicts another, or asks for what is unsupported.

    Example:
        >>> config = {"size": [224, 224], "mean": [0.5] * 3, "std": [0.5] * 3}
        >>> read_open_clip_preprocess(config, "preprocess_cfg.json").fit
        'crop'
    """
    stated = _Stated(config, origin).part("preprocess_cfg")
    size = stated.get("size")
    sides: list[Any] = list(size) if isinstance(size, list | tuple) else [size, size]
    if len(sides) != 2 or not all(map(_is_side, sides)) or sides[0] != sides[1]:
        raise stated.refusal("size", "a number of pixels from 1 up, or two equal ones")
    if stated.get("mode", "RGB") != "RGB":
        raise stated.refusal("mode", "'RGB'")
    interpolation = stated.get("interpolation", "bicubic")
    if interpolation not in ("bicubic", "bilinear"):
        raise stated.refusal("interpolation", "'bicubic' or 'bilinear'")
    resize_mode = stated.get("resize_mode", "shortest")
    if not isinstance(resize_mode, str) or resize_mode not in OPEN_CLIP_FIT:
        raise stated.refusal("resize_mode", "'shortest' or 'squash'; padding is not supported")
    return Preprocess(
        size=sides[0],
        resample=interpolation,
        mean=stated.three("mean"),
        std=stated.three("std", positive=True),
        fit=OPEN_CLIP_FIT[resize_mode],
    )


@dataclass(frozen=True, slots=True)
class _Stated:
    """What a file states, and where it came from, for error messages."""

    config: Mapping[str, Any]
    origin: str

    def part(self, key: str) -> _Stated:
        """What stands under a key, if it is an object; else all of it."""
        inner = self.config.get(key)
        if isinstance(inner, Mapping):
            return _Stated(inner, f"{self.origin} under {key!r}")
        return self

    def get(self, key: str, default: Any = None) -> Any:
        return self.config.get(key, default)

    def flag(self, key: str) -> bool:
        value = self.get(key)
        if not isinstance(value, bool):
            raise self.refusal(key, "true or false")
        return value

    def square(self, key: str, more: str = "") -> int:
        value = self.get(key)
        sides: list[Any] = [value, value]
        if isinstance(value, Mapping):
            square = set(value) == {"height", "width"}
            sides = [value["height"], value["width"]] if square else [None]
        if not all(map(_is_side, sides)) or len(set(sides)) != 1:
            raise self.refusal(key, f"n or {{'height': n, 'width': n}}{more}, square, n from 1 up")
        side: int = sides[0]
        return side

    def three(self, key: str, *, positive: bool = False) -> Channels:
        values = self.get(key)
        fits = (
            isinstance(values, list | tuple) and len(values) == 3 and all(map(_is_number, values))
        )
        if not fits or (positive and min(values) <= 0):
            raise self.refusal(key, f"3 {'positive ' if positive else ''}numbers: R, G, B")
        red, green, blue = map(float, values)
        return red, green, blue

    def refusal(self, key: str, supported: str) -> EncoderError:
        found = f"it is {self.config[key]!r}" if key in self.config else "it is missing"
        return EncoderError(
            f"{self.origin}: {key!r} cannot be used: {found}. Supported: {supported}."
        )


def _family(stated: _Stated) -> str:
    """Name the kind of image processor: ``CLIPImageProcessorFast`` is of the ``CLIP`` family."""
    keys = ("image_processor_type", "feature_extractor_type")
    key = next((key for key in keys if stated.get(key) is not None), None)
    if key is None:
        raise stated.refusal(keys[0], "the name of an image processor's class")
    family = str(stated.get(key)).removesuffix("Fast").removesuffix("Pil")
    family = family.removesuffix("ImageProcessor").removesuffix("FeatureExtractor")
    if family not in SHORT_SIDE | BOTH_SIDES:
        known = ", ".join(sorted(f"{family}ImageProcessor" for family in SHORT_SIDE | BOTH_SIDES))
        raise stated.refusal(key, f"one of {known}")
    return family


def _size_and_fit(stated: _Stated, family: str) -> tuple[int, Fit, int]:
    """Find the size of the input, how a picture comes to a square, and its side before the crop."""
    stated_size = stated.get("size")
    short_side = isinstance(stated_size, Mapping) and set(stated_size) == {"shortest_edge"}
    if short_side:
        size = stated_size["shortest_edge"]
        if not _is_side(size):
            raise stated.refusal("size", "a shortest_edge of whole pixels from 1 up")
    else:
        size = stated.square("size", " or {'shortest_edge': n}")
        if not isinstance(stated_size, Mapping):
            both = stated.get("default_to_square")
            short_side = not both if isinstance(both, bool) else family in SHORT_SIDE
    unasked = stated.get("do_center_crop") is None and family in NEVER_CROPS_UNASKED
    if unasked or not stated.flag("do_center_crop"):
        if short_side:
            raise stated.refusal(
                "do_center_crop",
                f"true, since size {stated_size!r} is that of the short side, and the input has to "
                "become square",
            )
        return size, "squash", size
    crop = stated.square("crop_size")
    if crop > size:
        raise stated.refusal(
            "crop_size", f"at most the side of size, {stated_size!r}: pictures are not padded"
        )
    return crop, "crop" if short_side else "squash", size


def _mean_and_std(stated: _Stated, family: str) -> tuple[Channels, Channels]:
    """Mean and deviation on a scale where white is 1."""
    # Before do_rescale existed, feature extractors always divided by 255.
    if stated.get("do_rescale") is not None and not stated.flag("do_rescale"):
        raise stated.refusal("do_rescale", "true: levels are divided by 255")
    factor = stated.get("rescale_factor")
    factor = 1 / 255 if factor is None else factor
    if not _is_number(factor):
        raise stated.refusal("rescale_factor", "1/255")
    offset = stated.get("rescale_offset") is not None and stated.flag("rescale_offset")
    if not math.isclose(factor, 2 / 255 if offset else 1 / 255, rel_tol=1e-6):
        supported = "1/127.5, as rescale_offset is true" if offset else "1/255, about 0.00392157"
        raise stated.refusal("rescale_factor", supported)
    if family == "EfficientNet" and stated.get("include_top") is not False:
        raise stated.refusal("include_top", "false: normalising twice is not supported")
    # With an offset, levels went to -1 .. 1 before.
    shift, scale = (0.5, 0.5) if offset else (0.0, 1.0)
    if not stated.flag("do_normalize"):
        return (shift,) * 3, (scale,) * 3
    mean, std = stated.three("image_mean"), stated.three("image_std", positive=True)
    return _scaled(mean, scale, shift), _scaled(std, scale, 0.0)


def _scaled(values: Channels, factor: float, offset: float) -> Channels:
    red, green, blue = (factor * value + offset for value in values)
    return red, green, blue


def _is_side(value: Any) -> bool:
    return type(value) is int and value >= 1


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)

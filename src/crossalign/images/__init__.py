"""Pictures: any source to one upright RGB image, boxes for its crops, and the pixels in them."""

from __future__ import annotations

from crossalign.images.endings import IMAGE_ENDINGS, has_image_ending
from crossalign.images.load import (
    DEFAULT_MAX_PIXELS,
    ImageSource,
    SupportsArray,
    content_digest,
    is_one_image,
    load_image,
    load_reduced,
    read_file,
    source_name,
    stored_pixels,
)

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "IMAGE_ENDINGS",
    "ImageSource",
    "SupportsArray",
    "content_digest",
    "has_image_ending",
    "is_one_image",
    "load_image",
    "load_reduced",
    "read_file",
    "source_name",
    "stored_pixels",
]

"""Pictures: any source to one upright RGB image, boxes for its crops, and the pixels in them."""

from __future__ import annotations

from crossalign.images.endings import IMAGE_ENDINGS as IMAGE_ENDINGS
from crossalign.images.endings import has_image_ending as has_image_ending
from crossalign.images.load import DEFAULT_MAX_PIXELS as DEFAULT_MAX_PIXELS
from crossalign.images.load import load_image as load_image
from crossalign.images.load import load_reduced as load_reduced
from crossalign.images.load import read_file as read_file
from crossalign.images.load import stored_pixels as stored_pixels
from crossalign.images.source import ImageSource as ImageSource
from crossalign.images.source import SupportsArray as SupportsArray
from crossalign.images.source import content_digest as content_digest
from crossalign.images.source import is_one_image as is_one_image
from crossalign.images.source import source_name as source_name

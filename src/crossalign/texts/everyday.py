"""Everyday classes that are described already, for whoever names none."""

from __future__ import annotations

# For crossalign.demo, which held both; these go with that path.
from crossalign.images.examples import PHOTOS, DemoPhoto, photo_folder
from crossalign.texts._data import data_text
from crossalign.texts.class_files import parse_json
from crossalign.texts.descriptions import DescriptionSet

__all__ = ["PHOTOS", "DemoPhoto", "everyday_classes", "photo_folder"]


def everyday_classes() -> DescriptionSet:
    """Load 48 everyday classes with eight descriptions each, written for this package.

    Returns:
        The classes.

    Example:
        >>> classes = everyday_classes()
        >>> len(classes), len(classes["cat"])
        (48, 8)
    """
    return DescriptionSet.from_mapping(parse_json(data_text("everyday.json")))

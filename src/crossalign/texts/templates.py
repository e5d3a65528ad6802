"""All the texts that crossalign builds: templates here, sentences and random words beside them.

A template is a prompt with a hole for the class name. `crossalign.texts.descriptors` puts a
descriptor into a sentence and `crossalign.texts.waffle` makes texts of random words; both are given
again here.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from crossalign.errors import DescriptionError
from crossalign.texts.descriptions import DescriptionSet
from crossalign.texts.descriptors import (
    descriptor_clause,
    descriptor_sentence,
    descriptor_sentences,
)
from crossalign.texts.validation import as_items, check_class_name, kind
from crossalign.texts.waffle import waffle_texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "LABEL_TEMPLATE",
    "TEMPLATES",
    "descriptor_clause",
    "descriptor_sentence",
    "descriptor_sentences",
    "fill_template",
    "fill_templates",
    "waffle_texts",
]

#: The label prompt. "a photo of a apple." is right here: no article is ever mended, because the
#: published prompts, accuracies and tuned scales are all made with "a", and encoders shrug it off.
LABEL_TEMPLATE = "a photo of a {class}."

# The 80 ImageNet templates of the CLIP repository's notebook "Prompt Engineering for ImageNet", in
# its order, and the subset of seven that it names as a good trade. Radford et al., "Learning
# Transferable Visual Models From Natural Language Supervision", ICML 2021; MIT licence.
_IMAGENET_80 = """
    a bad photo of a {}. | a photo of many {}. | a sculpture of a {}. |
    a photo of the hard to see {}. | a low resolution photo of the {}. | a rendering of a {}. |
    graffiti of a {}. | a bad photo of the {}. | a cropped photo of the {}. | a tattoo of a {}. |
    the embroidered {}. | a photo of a hard to see {}. | a bright photo of a {}. |
    a photo of a clean {}. | a photo of a dirty {}. | a dark photo of the {}. |
    a drawing of a {}. | a photo of my {}. | the plastic {}. | a photo of the cool {}. |
    a close-up photo of a {}. | a black and white photo of the {}. | a painting of the {}. |
    a painting of a {}. | a pixelated photo of the {}. | a sculpture of the {}. |
    a bright photo of the {}. | a cropped photo of a {}. | a plastic {}. |
    a photo of the dirty {}. | a jpeg corrupted photo of a {}. | a blurry photo of the {}. |
    a photo of the {}. | a good photo of the {}. | a rendering of the {}. |
    a {} in a video game. | a photo of one {}. | a doodle of a {}. | a close-up photo of the {}. |
    a photo of a {}. | the origami {}. | the {} in a video game. | a sketch of a {}. |
    a doodle of the {}. | a origami {}. | a low resolution photo of a {}. | the toy {}. |
    a rendition of the {}. | a photo of the clean {}. | a photo of a large {}. |
    a rendition of a {}. | a photo of a nice {}. | a photo of a weird {}. |
    a blurry photo of a {}. | a cartoon {}. | art of a {}. | a sketch of the {}. |
    a embroidered {}. | a pixelated photo of a {}. | itap of the {}. |
    a jpeg corrupted photo of the {}. | a good photo of a {}. | a plushie {}. |
    a photo of the nice {}. | a photo of the small {}. | a photo of the weird {}. |
    the cartoon {}. | art of the {}. | a drawing of the {}. | a photo of the large {}. |
    a black and white photo of a {}. | the plushie {}. | a dark photo of a {}. | itap of a {}. |
    graffiti of the {}. | a toy {}. | itap of my {}. | a photo of a cool {}. |
    a photo of a small {}. | a tattoo of the {}.
"""
_ENSEMBLE = """
    itap of a {}. | a bad photo of the {}. | a origami {}. | a photo of the large {}. |
    a {} in a video game. | art of the {}. | a photo of the small {}.
"""


def _listed(block: str) -> tuple[str, ...]:
    return tuple(template.strip() for template in block.split("|"))


#: Named template sets: ``single`` (the label prompt alone), ``ensemble`` (the published seven)
#: and ``imagenet-80`` (the published eighty). Read-only.
TEMPLATES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "single": (LABEL_TEMPLATE,),
        "ensemble": _listed(_ENSEMBLE),
        "imagenet-80": _listed(_IMAGENET_80),
    }
)

_HOLE = re.compile(r"\{(?:class)?\}")


def fill_template(template: str, class_name: str) -> str:
    """Put a class name into a template, letter for letter.

    Args:
        template: A text with exactly one hole, ``{}`` or ``{class}``, and no other braces.
        class_name: What goes into the hole; its own braces are kept as they are.

    Returns:
        The text.

    Raises:
        DescriptionError: The template has no hole, several, or stray braces, or the class name is
            empty or not a string.

    Example:
        >>> fill_template("a photo of a {class}.", "red fox")
        'a photo of a red fox.'
        >>> fill_template("art of the {}.", "{curly}")
        'art of the {curly}.'
    """
    before, after = _split(template)
    check_class_name(class_name)
    return f"{before}{class_name}{after}"


def fill_templates(
    templates: str | Sequence[str],
    classes: DescriptionSet | Iterable[str],
) -> tuple[tuple[str, ...], ...]:
    """Put every class name into every template.

    Args:
        templates: The name of a set in `TEMPLATES`, or templates as for `fill_template`.
        classes: Class names, or a `DescriptionSet`, of which only the names are used.

    Returns:
        One tuple of texts for each class, in order; in each, one text for each template.

    Raises:
        DescriptionError: The set is unknown, there is no template, a template is broken, or the
            classes are not usable.

    Example:
        >>> fill_templates("single", ["cat", "dog"])
        (('a photo of a cat.',), ('a photo of a dog.',))
        >>> fill_templates(["a {}.", "the {}."], ["cat"])
        (('a cat.', 'the cat.'),)
    """
    if isinstance(templates, str):
        if templates not in TEMPLATES:
            known = ", ".join(repr(name) for name in TEMPLATES)
            raise DescriptionError(
                f"Expected the name of a template set ({known}), got {templates!r}. "
                f"Choose one of these, or pass templates of your own in a list: [{templates!r}]."
            )
        templates = TEMPLATES[templates]
    parts = [_split(template) for _, template in as_items(templates, "templates")]
    if not parts:
        raise DescriptionError(
            "Expected at least one template, got an empty list. "
            f"Pass for example [{LABEL_TEMPLATE!r}]."
        )
    names = DescriptionSet.of(classes).classes
    return tuple(tuple(f"{before}{name}{after}" for before, after in parts) for name in names)


def _split(template: object) -> tuple[str, str]:
    """Cut a template at its hole."""
    if not isinstance(template, str):
        raise DescriptionError(
            f"Expected a template as a string, got {kind(template)}. "
            f"Write it like {LABEL_TEMPLATE!r}."
        )
    parts = _HOLE.split(template)
    if len(parts) != 2:
        raise DescriptionError(
            f"Expected a template with exactly one placeholder {{}} or {{class}}, got "
            f"{len(parts) - 1} in {template!r}. Write it like {LABEL_TEMPLATE!r}."
        )
    if any(brace in part for part in parts for brace in "{}"):
        raise DescriptionError(
            f"Expected no braces but those of the placeholder, got stray ones in {template!r}. "
            "Remove them."
        )
    return parts[0], parts[1]

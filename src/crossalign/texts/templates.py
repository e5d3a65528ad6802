"""Templates: prompts with a hole for the class name."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from crossalign.errors import DescriptionError
from crossalign.texts._data import data_lists
from crossalign.texts.descriptions import DescriptionSet
from crossalign.texts.validation import as_items, clean, kind
from crossalign.utils.text import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["LABEL_TEMPLATE", "TEMPLATES", "fill_template", "fill_templates"]

#: The label prompt. "a photo of a apple." is right here: no article is ever mended, because the
#: published prompts, accuracies and tuned scales are all made with "a", and encoders shrug it off.
LABEL_TEMPLATE = "a photo of a {class}."

#: Named template sets: ``single`` (the label prompt alone), ``ensemble`` (the published seven)
#: and ``imagenet-80`` (the published eighty). Read-only.
TEMPLATES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "single": (LABEL_TEMPLATE,),
        **{name: tuple(lines) for name, lines in data_lists("templates.txt").items()},
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
    clean(class_name, "a class name", "in a prompt")
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
            raise DescriptionError(
                f"Expected the name of a template set ({quoted([*TEMPLATES])}), got {templates!r}. "
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

"""The family of zero-shot methods, as data.

A :class:`Method` names what is looked at (the whole image, or crops of it), which texts stand for
a class, how sharply crops and descriptions are weighted, and the form of the score. Everything that
differs between the methods is in these fields, so a variant is
``dataclasses.replace(METHODS["wca"], crop_scale=0.0)`` and not a new class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

from crossalign.alignment import (
    FORMS,
    PUBLISHED_CROP_SCALE,
    PUBLISHED_DESCRIPTION_SCALE,
    Form,
)
from crossalign.alignment.adaptive import Adaptive
from crossalign.alignment.weights import WEIGHTINGS, Weighting
from crossalign.errors import CropError, DescriptionError, MethodError
from crossalign.images.crops import CropSpec
from crossalign.texts.descriptions import DescriptionSet, wordify
from crossalign.texts.descriptors import SentenceStyle, descriptor_sentences
from crossalign.texts.filtering import REDUNDANT
from crossalign.texts.templates import LABEL_TEMPLATE, fill_template, fill_templates
from crossalign.texts.waffle import waffle_texts
from crossalign.utils.text import did_you_mean
from crossalign.utils.validation import finite_number, one_of, whole_number

Crops: TypeAlias = int | CropSpec | Adaptive | Literal["auto"]
"""What may be asked for as crops: a number, a layout, or a rule that says when to stop."""

Texts: TypeAlias = Literal["label", "templates", "descriptors", "waffle", "descriptions"]
"""Which texts stand for a class.

``label``: the label prompt alone. ``templates``: a template ensemble. ``descriptors``: the class's
short descriptors, each put into a sentence. ``waffle``: sentences of random words.
``descriptions``: the class's descriptions as they are; for names alone those of the bank, where it
is asked for and knows them, or a template ensemble.
"""


@dataclass(frozen=True, slots=True)
class Method:
    """A zero-shot method.

    Args:
        name: What it is called.
        texts: Which texts stand for a class.
        crops: How the image is cut; None looks at the whole image alone.
        crop_scale: S_c, sharpness of the crop weights; 0 weighs all alike.
        description_scale: S_d, sharpness of the description weights; 0 weighs all alike.
        form: ``"prototype"`` (cosine of pooled vectors) or ``"sum"``, see
            :mod:`crossalign.alignment`.
        templates: Name of a template set or templates, for ``templates`` and as the stand-in for
            missing descriptions.
        style: ``"english"``, or ``"published"`` for the sentences of the published code, its slips
            of grammar included. For ``descriptors``.
        source: The paper.
        crop_weighting: How crops are weighed, see
            :data:`crossalign.alignment.weights.WEIGHTINGS`; the published way is ``"softmax"``.
        description_weighting: How descriptions are weighed.
        top: Crops or descriptions that count where the weighting is ``"top-k"``.
        redundant: Descriptions whose cosine to a kept one of their class exceeds this are dropped;
            None keeps all.
        most_texts: Texts of a class at most, the first ones; None keeps all.

    Raises:
        MethodError: If a value is unknown or out of range.
    """

    name: str
    texts: Texts
    crops: CropSpec | None = None
    crop_scale: float = 0.0
    description_scale: float = 0.0
    form: Form = "prototype"
    templates: str | tuple[str, ...] = "ensemble"
    style: SentenceStyle = "english"
    source: str = ""
    crop_weighting: Weighting = "softmax"
    description_weighting: Weighting = "softmax"
    top: int = 10
    redundant: float | None = None
    most_texts: int | None = None

    def __post_init__(self) -> None:
        for name, known in (
            ("crop_weighting", WEIGHTINGS),
            ("description_weighting", WEIGHTINGS),
            ("texts", get_args(Texts)),
            ("form", FORMS),
            ("style", get_args(SentenceStyle)),
        ):
            one_of(name, getattr(self, name), known, error=MethodError)
        for name in ("crop_scale", "description_scale"):
            finite_number(name, getattr(self, name), error=MethodError)
        for name in ("top", "most_texts"):
            if name == "top" or getattr(self, name) is not None:
                number = whole_number(name, getattr(self, name), 1, error=MethodError)
                object.__setattr__(self, name, number)
        if self.redundant is not None:
            cosine = finite_number("redundant", self.redundant, -1, 1, error=MethodError)
            if cosine == -1:
                raise MethodError("expected redundant as a cosine above -1, up to 1; got -1.")
        for name in ("name", "source"):
            if not isinstance(getattr(self, name), str):
                raise MethodError(f"expected {name} as text; got {getattr(self, name)!r}.")
        templates: Any = self.templates
        if not isinstance(templates, str):
            if not isinstance(templates, list | tuple) or any(
                not isinstance(template, str) for template in templates
            ):
                raise MethodError(
                    "expected templates as the name of a set, or a list of texts such as "
                    f"'a photo of a {{}}.'; got {templates!r}."
                )
            object.__setattr__(self, "templates", tuple(templates))
        if self.crops is not None and not isinstance(self.crops, CropSpec):
            raise MethodError(
                f"expected crops as a CropSpec, or None for the whole image; got {self.crops!r}. "
                "Classifier(..., crops=30) sets a count."
            )


@dataclass(frozen=True, slots=True)
class ClassTexts:
    """What is encoded for a set of classes.

    Args:
        labels: The label prompt of each class, which its descriptions are weighed against.
        texts: The texts of each class, at least one.
        origin: Where the texts came from, in words.
        undescribed: Classes that the bank was asked for and does not know; templates stand in.
    """

    labels: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    origin: str
    undescribed: tuple[str, ...] = ()


def class_texts(
    method: Method, classes: DescriptionSet, seed: int = 0, *, bank: bool = False
) -> ClassTexts:
    """Write out the texts that a method encodes for each class.

    Underscores of class names become spaces, as in the published code.

    With the bank, a method that asks for descriptions gets those of :mod:`crossalign.texts.bank`
    for names alone. Classes that the bank does not know get the method's templates; then the others
    carry the templates beside their descriptions, because texts of one kind may be more alike to
    every image than texts of another, which would favour some classes over others.

    Args:
        method: The method.
        classes: Classes, with descriptions or without.
        seed: For random words.
        bank: Look names without descriptions up in the bank; the published methods do not.

    Returns:
        Label prompts and texts, in class order.

    Raises:
        DescriptionError: If the method needs descriptors and the classes have none.

    Example:
        >>> pets = DescriptionSet.from_mapping({"owl": ["large eyes", "often active at night"]})
        >>> class_texts(METHODS["clip-d"], pets).texts
        (('owl, which has large eyes', 'owl, which is often active at night'),)
    """
    spoken = DescriptionSet(tuple(wordify(name) for name in classes), classes.texts)
    asked = bank and method.texts == "descriptions" and not classes.has_descriptions
    found = _from_bank(spoken) if asked else ((),) * len(classes)
    if all(found):
        texts, origin = found, "descriptions of the bank"
    else:
        texts, origin = _beside_templates(found, *_written(method, spoken, seed))
    pairs = zip(classes, found, strict=True)
    return ClassTexts(
        labels=tuple(fill_template(LABEL_TEMPLATE, name) for name in spoken),
        texts=tuple(group[: method.most_texts] for group in texts),
        origin=origin,
        undescribed=tuple(name for name, group in pairs if asked and not group),
    )


def get_method(method: str | Method) -> Method:
    """Find a method by name; a method is given back as it is.

    Args:
        method: Name or method.

    Returns:
        The method.

    Raises:
        MethodError: If the name is unknown.

    Example:
        >>> get_method("wca").crops.count
        60
    """
    if isinstance(method, Method):
        return method
    found = METHODS.get(str(method))
    if found is None:
        raise MethodError(
            f"unknown method {method!r}; choose one of {', '.join(METHODS)}."
            f"{did_you_mean(method, METHODS)}"
        )
    return found


def with_crops(
    method: Method, crops: Crops | None = None, seed: int | None = None
) -> tuple[Method, Adaptive | None]:
    """Give a method the crops that were asked for.

    Args:
        method: The method.
        crops: A number, a layout, a rule that says when to stop, or ``"auto"`` for the usual rule;
            the method's own by default. A method that looks at the whole image alone has no use
            for them, and they are checked all the same.
        seed: For random crops; the method's own by default.

    Returns:
        The method with these crops, and the rule, if there is one.

    Raises:
        CropError: If the crops are out of range, or two seeds are given.
        MethodError: If there is a rule and the method does not weigh crops by softmax.

    Example:
        >>> with_crops(METHODS["wca"], 30)[0].crops.count
        30
    """
    spec = method.crops or CropSpec()
    rule = crops if isinstance(crops, Adaptive) else None
    if crops == "auto":
        rule = Adaptive.of(spec.count)
    elif isinstance(crops, str):
        raise CropError(f"expected crops as a number, a CropSpec or 'auto'; got {crops!r}.")
    if isinstance(crops, CropSpec):
        spec = crops
        if seed is not None and seed != spec.seed:
            raise CropError(
                f"got two seeds: {seed} and {spec.seed} in the CropSpec. Give one of them."
            )
    else:
        asked: Any = {"count": crops if rule is None else rule.maximum, "seed": seed}
        spec = replace(spec, **{name: value for name, value in asked.items() if value is not None})
    if rule is not None and method.crop_weighting != "softmax":
        raise MethodError(
            "adaptive crops know the published softmax weights alone; method "
            f"{method.name!r} weighs crops by {method.crop_weighting!r}. Give a number of crops."
        )
    return replace(method, crops=spec if method.crops else None), rule


_Group: TypeAlias = tuple[Sequence[Sequence[str]], str]


def _from_bank(classes: DescriptionSet) -> tuple[tuple[str, ...], ...]:
    """Look every class up; one that would read like an earlier one counts as unknown.

    "cats" beside "cat" would tie with it on every image.
    """
    from crossalign.texts.bank import find  # read only where it is needed

    found: dict[str, tuple[str, ...]] = {}
    seen: set[str] = set()
    for name in classes:
        entry = find(name)
        reads = "" if entry is None else f"{entry.name} {entry.word}".casefold()
        found[name] = () if entry is None or reads in seen else entry.descriptions
        seen.add(reads)
    return tuple(found.values())


def _beside_templates(
    found: tuple[tuple[str, ...], ...], templates: Sequence[Sequence[str]], origin: str
) -> tuple[tuple[tuple[str, ...], ...], str]:
    """Give every class the templates, after its descriptions if it has any."""
    texts = tuple((*group, *more) for group, more in zip(found, templates, strict=True))
    known = sum(map(bool, found))
    if not known:
        return texts, origin
    return texts, (
        f"descriptions of the bank and {origin} for {known} of {len(found)} classes, "
        f"{origin} for the others"
    )


def _written(method: Method, classes: DescriptionSet, seed: int) -> _Group:
    """Write out a method's own texts of each class, and say in words what they are."""
    if method.texts == "label":
        return fill_templates((LABEL_TEMPLATE,), classes), "label prompt"
    if method.texts == "waffle":
        return waffle_texts(classes, seed=seed), "random words"
    if method.texts == "descriptors" and not classes.has_descriptions:
        *most, last = [name for name, known in METHODS.items() if known.texts != "descriptors"]
        raise DescriptionError(
            f"method '{method.name}' needs short descriptors of every class; got names alone. "
            "Give {class: [descriptor, ...]}, or choose a method that works on names: "
            f"{', '.join(most)} or {last}."
        )
    if method.texts == "descriptors":
        return descriptor_sentences(classes, method.style), "descriptors"
    if method.texts == "descriptions" and classes.has_descriptions:
        return classes.texts, "descriptions"
    name = method.templates if isinstance(method.templates, str) else "given"
    return fill_templates(method.templates, classes), f"{name} templates"


_WCA = Method(
    "wca",
    "descriptions",
    crops=CropSpec.paper(),
    crop_scale=PUBLISHED_CROP_SCALE,
    description_scale=PUBLISHED_DESCRIPTION_SCALE,
    source="Li et al., ICML 2024, arXiv 2406.02915",
)
_FAMILY = (
    Method("clip", "label", source="Radford et al., ICML 2021, arXiv 2103.00020"),
    Method("clip-e", "templates", source="Radford et al., ICML 2021, arXiv 2103.00020"),
    Method("clip-d", "descriptors", source="Menon and Vondrick, ICLR 2023, arXiv 2210.07183"),
    Method("waffle", "waffle", source="Roth et al., ICCV 2023, arXiv 2306.07282"),
    Method("cupl", "descriptions", source="Pratt et al., ICCV 2023, arXiv 2209.03320"),
    _WCA,
    replace(
        _WCA,
        name="bifta",
        crops=CropSpec(count=100, kind="refined"),
        redundant=REDUNDANT,
        source="Sun et al., TMLR 2026, arXiv 2601.20419",
    ),
    replace(
        _WCA,
        name="lgca",
        crops=CropSpec(kind="nested", side=(0.3, 0.9)),
        crop_weighting="top-k",
        top=20,
        source="in the style of LGCA's progressive expansion, arXiv 2511.00419",
    ),
)

METHODS: Mapping[str, Method] = MappingProxyType({method.name: method for method in _FAMILY})
"""The methods known by name."""

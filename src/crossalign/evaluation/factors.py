"""What an ablation can vary, as data: each factor makes variants of a method that differ in it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from crossalign.alignment.weights import WEIGHTINGS
from crossalign.errors import EvaluationError
from crossalign.images.crops import CropSpec
from crossalign.methods import Method


@dataclass(frozen=True, slots=True)
class Variant:
    """A method beside its like.

    Args:
        method: The method.
        x: Where it stands along the factor, if that is a number.
    """

    method: Method
    x: float | None = None


Variants: TypeAlias = tuple[Variant, ...]


@dataclass(frozen=True, slots=True)
class Factor:
    """One thing that is varied.

    Args:
        name: What it is called.
        title: In words.
        make: Makes the variants of a method with crops, one a value.
        values: The usual values; none where there is nothing to choose.
        read: Reads a value that was written out; ValueError if it is none.
        form: How a value is written.
        axis: What ``x`` is; empty where variants have no order.
        ratios: Whether equal ratios are equally far apart along it.
        sets: The setting of a request that the factor takes the place of.
    """

    name: str
    title: str
    make: Callable[[Method, tuple[Any, ...]], Variants]
    values: tuple[Any, ...] = ()
    read: Callable[[str], Any] = str
    form: str = ""
    axis: str = ""
    ratios: bool = False
    sets: str = ""

    def variants(self, method: Method, values: tuple[Any, ...] = ()) -> Variants:
        """Make the variants.

        Args:
            method: The method that is varied.
            values: Where it is looked at; the usual values by default.

        Returns:
            One variant a value.
        """
        return self.make(method, values or self.values)


def _named(method: Method, name: str, x: float | None = None, **changes: Any) -> Variant:
    return Variant(dataclasses.replace(method, name=name, **changes), x)


# A scale of 0 alone leaves the choice that some ways make, such as the best 20 crops of lgca.
_NO_CROP_WEIGHTS: Mapping[str, Any] = {"crop_scale": 0.0, "crop_weighting": "uniform"}
_NO_DESCRIPTION_WEIGHTS: Mapping[str, Any] = {
    "description_scale": 0.0,
    "description_weighting": "uniform",
}


def _parts(method: Method, _values: tuple[Any, ...]) -> Variants:
    """Crops, crop weights and description weights, each on and off; no crops, no crop weights."""
    found = []
    for crops, weights, texts in itertools.product((False, True), repeat=3):
        if weights and not crops:
            continue
        name = " + ".join(
            part
            for part, there in (("crops" if crops else "whole image", True), ("w", weights),
                                ("v", texts))
            if there
        )  # fmt: skip
        found.append(
            _named(
                method,
                name,
                crops=method.crops if crops else None,
                **({} if weights else _NO_CROP_WEIGHTS),
                **({} if texts else _NO_DESCRIPTION_WEIGHTS),
            )
        )
    return tuple(found)


def _counts(method: Method, values: tuple[int, ...]) -> Variants:
    return tuple(
        _named(method, f"N = {count}", count, crops=with_crops(method, count=count))
        for count in values
    )


def _sides(method: Method, values: tuple[tuple[float, float], ...]) -> Variants:
    return tuple(
        _named(method, f"side {low:g} to {high:g}", crops=with_crops(method, side=(low, high)))
        for low, high in values
    )


def _kinds(method: Method, values: tuple[str, ...]) -> Variants:
    return tuple(_named(method, kind, crops=with_crops(method, kind=kind)) for kind in values)


def with_crops(method: Method, **changes: Any) -> CropSpec:
    """Give the crops of a method with some settings changed.

    Args:
        method: The method.
        **changes: Fields of a :class:`crossalign.CropSpec`.

    Returns:
        The crops.

    Raises:
        EvaluationError: If the method takes no crops.
    """
    if method.crops is None:
        raise EvaluationError(f"method '{method.name}' takes no crops; ablate one that does.")
    return dataclasses.replace(method.crops, **changes)


def _crop_scales(method: Method, values: tuple[float, ...]) -> Variants:
    return tuple(_named(method, f"S_c = {scale:g}", scale, crop_scale=scale) for scale in values)


def _description_scales(method: Method, values: tuple[float, ...]) -> Variants:
    return tuple(
        _named(method, f"S_d = {scale:g}", scale, description_scale=scale) for scale in values
    )


_TEXTS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "label": ("label prompt", {"texts": "label"}),
    "all": ("all texts", {"most_texts": None}),
}


def _texts(method: Method, values: tuple[int | str, ...]) -> Variants:
    found = []
    for value in values:
        if isinstance(value, str):
            name, changes = _TEXTS[value]
            found.append(_named(method, name, **changes))
        else:
            name = "1 text" if value == 1 else f"{value} texts"
            found.append(_named(method, name, most_texts=value))
    return tuple(found)


def _crop_weightings(method: Method, values: tuple[Any, ...]) -> Variants:
    return tuple(_named(method, f"crops {way}", crop_weighting=way) for way in values)


def _description_weightings(method: Method, values: tuple[Any, ...]) -> Variants:
    return tuple(_named(method, f"descriptions {way}", description_weighting=way) for way in values)


def _range(text: str) -> tuple[float, float]:
    low, dash, high = text.partition("-")
    if not dash:
        raise ValueError(text)
    return float(low), float(high)


def _texts_value(text: str) -> int | str:
    return text if text in _TEXTS else int(text)


_SCALES = "numbers, as in 0,7.4,54.6"
_NAMES = "names, as in softmax,uniform"

FACTORS: Mapping[str, Factor] = MappingProxyType(
    {
        factor.name: factor
        for factor in (
            Factor("parts", "Crops, crop weights (w) and description weights (v)", _parts),
            Factor(
                "count", "Number of crops", _counts, (1, 2, 4, 8, 16, 32, 60, 100), int,
                "whole numbers, as in 4,16,60", "crops N", ratios=True, sets="crops",
            ),
            Factor(
                "side", "Range of the crop side", _sides,
                ((0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.9), (0.5, 0.9), (0.1, 0.9)), _range,
                "ranges, as in 0.1-0.3,0.5-0.9", sets="side",
            ),
            Factor(
                "kind", "How crops are laid out", _kinds,
                ("random", "even", "refined", "nested", "grid"), str, "names, as in random,even",
                sets="kind",
            ),
            Factor(
                "crop-scale", "Sharpness of the crop weights", _crop_scales,
                (0.0, 7.4, 20.0, 54.6, 100.0, 200.0), float, _SCALES, "S_c", sets="crop_scale",
            ),
            Factor(
                "description-scale", "Sharpness of the description weights", _description_scales,
                (0.0, 2.0, 7.4, 20.0, 54.6), float, _SCALES, "S_d", sets="description_scale",
            ),
            Factor(
                "texts", "Number of texts a class", _texts, ("label", 1, 3, "all"), _texts_value,
                "label, whole numbers or all, as in label,1,3,all",
            ),
            Factor(
                "crop-weighting", "Ways to weigh crops", _crop_weightings, WEIGHTINGS, str, _NAMES,
                sets="crop_weighting",
            ),
            Factor(
                "description-weighting", "Ways to weigh descriptions", _description_weightings,
                WEIGHTINGS, str, _NAMES, sets="description_weighting",
            ),
        )
    }
)  # fmt: skip
"""What can be ablated, by name. Read-only."""


def chosen(words: tuple[str, ...]) -> dict[str, tuple[Any, ...]]:
    """Read the factors that were asked for, each with values of its own or without.

    Args:
        words: Such as ``parts`` or ``count=4,16,60``.

    Returns:
        Names to values; none for the usual ones.

    Raises:
        EvaluationError: If a factor is unknown or stands there twice, or a value is none of its.

    Example:
        >>> chosen(("parts", "count=4,16", "side=0.1-0.3"))
        {'parts': (), 'count': (4, 16), 'side': ((0.1, 0.3),)}
    """
    found: dict[str, tuple[Any, ...]] = {}
    for word in words:
        name, equals, written = word.partition("=")
        if name not in FACTORS:
            raise EvaluationError(f"unknown factor {name!r}; choose of {', '.join(FACTORS)}.")
        if name in found:
            raise EvaluationError(f"expected every factor once; {name!r} stands there twice.")
        factor = FACTORS[name]
        if equals and not factor.values:
            raise EvaluationError(f"the factor {name!r} has no values to choose; got {word!r}.")
        try:
            values = (
                tuple(factor.read(part.strip()) for part in written.split(",")) if equals else ()
            )
        except ValueError as error:
            raise EvaluationError(f"expected {name}={factor.form}; got {word!r}.") from error
        found[name] = values
    return found

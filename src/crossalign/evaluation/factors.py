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
from crossalign.utils.text import counted


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
        name = "crops" if crops else "whole image"
        name += (" + w" if weights else "") + (" + v" if texts else "")
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


def _varied(field: str, name: str) -> Callable[[Method, tuple[Any, ...]], Variants]:
    """Vary a field of a method, or ``crops.`` and one of its crops; names are formats of values."""
    part, _, of_crops = field.partition(".")

    def make(method: Method, values: tuple[Any, ...]) -> Variants:
        return tuple(
            _named(
                method,
                name.format(value),
                value if isinstance(value, int | float) else None,
                **{part: with_crops(method, **{of_crops: value}) if of_crops else value},
            )
            for value in values
        )

    return make


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


_TEXTS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "label": ("label prompt", {"texts": "label"}),
    "all": ("all texts", {"most_texts": None}),
}


def _texts(method: Method, values: tuple[int | str, ...]) -> Variants:
    found = (
        _TEXTS[value] if isinstance(value, str) else (counted(value, "text"), {"most_texts": value})
        for value in values
    )
    return tuple(_named(method, name, **changes) for name, changes in found)


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
                "count", "Number of crops", _varied("crops.count", "N = {}"),
                (1, 2, 4, 8, 16, 32, 60, 100), int, "whole numbers, as in 4,16,60", "crops N",
                ratios=True, sets="crops",
            ),
            Factor(
                "side", "Range of the crop side",
                _varied("crops.side", "side {0[0]:g} to {0[1]:g}"),
                ((0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.9), (0.5, 0.9), (0.1, 0.9)), _range,
                "ranges, as in 0.1-0.3,0.5-0.9", sets="side",
            ),
            Factor(
                "kind", "How crops are laid out", _varied("crops.kind", "{}"),
                ("random", "even", "refined", "nested", "grid"), str, "names, as in random,even",
                sets="kind",
            ),
            Factor(
                "crop-scale", "Sharpness of the crop weights",
                _varied("crop_scale", "S_c = {:g}"), (0.0, 7.4, 20.0, 54.6, 100.0, 200.0), float,
                _SCALES, "S_c", sets="crop_scale",
            ),
            Factor(
                "description-scale", "Sharpness of the description weights",
                _varied("description_scale", "S_d = {:g}"), (0.0, 2.0, 7.4, 20.0, 54.6), float,
                _SCALES, "S_d", sets="description_scale",
            ),
            Factor(
                "texts", "Number of texts a class", _texts, ("label", 1, 3, "all"), _texts_value,
                "label, whole numbers or all, as in label,1,3,all",
            ),
            Factor(
                "crop-weighting", "Ways to weigh crops", _varied("crop_weighting", "crops {}"),
                WEIGHTINGS, str, _NAMES, sets="crop_weighting",
            ),
            Factor(
                "description-weighting", "Ways to weigh descriptions",
                _varied("description_weighting", "descriptions {}"), WEIGHTINGS, str, _NAMES,
                sets="description_weighting",
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

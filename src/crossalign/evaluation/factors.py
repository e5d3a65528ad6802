"""What an ablation can vary, as data: each factor makes variants of a method that differ in it."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from crossalign.alignment.weights import WEIGHTINGS
from crossalign.errors import EvaluationError
from crossalign.images.crops import CropSpec
from crossalign.methods import Method
from crossalign.utils.files import packaged_text
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
        field: The field of a method that is varied, ``crops.`` and one of its crops; empty where
            several are.
        variant: What variants are called, a format of the value.
        values: The usual values; none where there is nothing to choose.
        read: Reads a value that was written out; ValueError if it is none.
        form: How a value is written.
        axis: What ``x`` is; empty where variants have no order.
        ratios: Whether equal ratios are equally far apart along it.
        sets: The setting of a request that the factor takes the place of.
    """

    name: str
    title: str
    field: str = ""
    variant: str = ""
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
        values = values or self.values
        if not self.field:
            return _MAKERS[self.name](method, values)
        part, _, of_crops = self.field.partition(".")
        return tuple(
            _named(
                method,
                self.variant.format(value),
                value if isinstance(value, int | float) else None,
                **{part: with_crops(method, **{of_crops: value}) if of_crops else value},
            )
            for value in values
        )


def _named(method: Method, name: str, x: float | None = None, **changes: Any) -> Variant:
    return Variant(dataclasses.replace(method, name=name, **changes), x)


# A scale of 0 alone leaves the choice that some ways make, such as the best 20 crops of lgca.
def _unweighed(part: str) -> dict[str, Any]:
    return {f"{part}_scale": 0.0, f"{part}_weighting": "uniform"}


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
                **({} if weights else _unweighed("crop")),
                **({} if texts else _unweighed("description")),
            )
        )
    return tuple(found)


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


_MAKERS: Mapping[str, Callable[[Method, tuple[Any, ...]], Variants]] = {
    "parts": _parts,
    "texts": _texts,
}
_READERS: Mapping[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "range": _range,
    "texts": lambda text: text if text in _TEXTS else int(text),
}


def _factor(name: str, card: dict[str, Any]) -> Factor:
    """Make a factor that ``data/factors.json`` describes."""
    usual = WEIGHTINGS if name.endswith("weighting") else card.pop("values", ())
    values = tuple(tuple(value) if isinstance(value, list) else value for value in usual)
    read = _READERS.get(card.pop("read", ""), str)
    return Factor(name=name, values=values, read=read, **card)


FACTORS: Mapping[str, Factor] = MappingProxyType(
    {
        name: _factor(name, card)
        for name, card in json.loads(packaged_text("evaluation", "factors.json")).items()
    }
)
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

"""Checks of single values, each with an answer that says what was expected and what came.

The caller says which error to raise: this room knows none of ours.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Collection
from typing import Any


def whole_number(
    name: str, value: Any, low: int, high: int | None = None, *, error: type[Exception]
) -> int:
    """Give a whole number within a range.

    Args:
        name: What it is called.
        value: A number of any integer type; no bool.
        low: The least.
        high: The greatest; any by default.
        error: What is raised.

    Returns:
        The number.

    Raises:
        Exception: ``error``, if it is something else.

    Example:
        >>> whole_number("crops", 60, 1, 1000, error=ValueError)
        60
        >>> whole_number("crops", 0, 1, error=ValueError)
        Traceback (most recent call last):
        ...
        ValueError: expected crops as a whole number from 1 up; got 0.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = low - 1
    if isinstance(value, bool) or number < low or (high is not None and number > high):
        limits = f"from {low} up" if high is None else f"from {low} to {high}"
        raise error(f"expected {name} as a whole number {limits}; got {value!r}.")
    return number


def finite_number(
    name: str,
    value: Any,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    error: type[Exception],
) -> float:
    """Give a finite number within a range.

    Args:
        name: What it is called.
        value: A real number of any type; no bool.
        low: The least.
        high: The greatest.
        error: What is raised.

    Returns:
        The number.

    Raises:
        Exception: ``error``, if it is something else.

    Example:
        >>> finite_number("threshold", 0.5, 0, 1, error=ValueError)
        0.5
        >>> finite_number("threshold", float("nan"), 0, 1, error=ValueError)
        Traceback (most recent call last):
        ...
        ValueError: expected threshold as a number from 0 to 1; got nan.
    """
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or not math.isfinite(value) or not low <= value <= high:
        limits = "" if math.isinf(low) else f" from {low:g}"
        limits += "" if math.isinf(high) else f" to {high:g}"
        limits += " up" if limits and math.isinf(high) else ""
        kind = f"a number{limits}" if limits else "a finite number"
        raise error(f"expected {name} as {kind}; got {value!r}.")
    return float(value)


def one_of(name: str, value: Any, choices: Collection[str], *, error: type[Exception]) -> str:
    """Give a word that is one of several.

    Args:
        name: What it is called.
        value: The word.
        choices: What it may be.
        error: What is raised.

    Returns:
        The word.

    Raises:
        Exception: ``error``, if it is something else.

    Example:
        >>> one_of("fit", "crop", ["crop", "squash"], error=ValueError)
        'crop'
        >>> one_of("fit", "stretch", ["crop", "squash"], error=ValueError)
        Traceback (most recent call last):
        ...
        ValueError: unknown fit 'stretch'; choose one of crop, squash.
    """
    if not isinstance(value, str) or value not in choices:
        raise error(f"unknown {name} {value!r}; choose one of {', '.join(choices)}.")
    return value

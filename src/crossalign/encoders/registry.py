"""Encoders by name: ``scheme`` or ``scheme:rest``."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from crossalign.encoders.base import Encoder, ModelCard
from crossalign.encoders.devices import warn_user
from crossalign.errors import EncoderError
from crossalign.utils.text import did_you_mean


@dataclass(frozen=True, slots=True)
class Scheme:
    """One family of encoder names.

    Args:
        usage: How a name of this family is written.
        loader: ``"module:function"``, imported when it is first needed; called with the part of the
            name behind the colon and the keyword options, it gives an :class:`Encoder`.
        cards: ``"module:function"`` giving the cards of the models of this family that are on this
            machine.
    """

    usage: str
    loader: str | Callable[..., Encoder]
    cards: str | Callable[[], list[ModelCard]] | None = None


def _family(usage: str, module: str) -> Scheme:
    """Name a family of this package, of which one module has ``load`` and ``cards``."""
    where = f"crossalign.encoders.{module}"
    return Scheme(usage, f"{where}:load", f"{where}:cards")


_SCHEMES = {
    "builtin": _family("builtin", "builtin"),
    "onnx": _family("onnx:<folder or hub repository>", "onnx.encoder"),
    "hf": _family("hf:<folder or hub repository>", "torch.transformers"),
    "open_clip": _family(
        "open_clip:<architecture>/<pretrained tag or .safetensors file>", "torch.open_clip"
    ),
}


def load_encoder(name: str | Encoder, **options: Any) -> Encoder:
    """Load an encoder by name.

    Args:
        name: ``"builtin"``, ``"onnx:<folder or hub repository>"``, ``"hf:..."`` (likewise),
            ``"open_clip:<architecture>/<tag or file>"``, or a name of a registered family; an
            encoder is given back as it is. ``@REVISION`` behind a name pins what the hub holds.
        **options: For the family's loader: ``threads`` (builtin, onnx); ``dtype``, ``device`` and
            ``revision`` (all but builtin); ``runtime`` and ``providers`` (onnx). None is as good as
            leaving one out. :mod:`crossalign.encoders.devices` has the words of the first two.

    Returns:
        The encoder, ready to use.

    Raises:
        EncoderError: If the name or an option is unknown, or the model cannot be loaded.
        MissingExtraError: If the family needs a package that is not installed.

    Example:
        >>> load_encoder("builtin").card.dim
        1664
    """
    if not isinstance(name, str):
        if not isinstance(name, type) and isinstance(name, Encoder):
            return name
        raise EncoderError(
            f"expected an encoder's name or an object with card, preprocess, encode_images and "
            f"encode_texts; got {type(name).__name__}."
        )
    loader, rest, given = _prepare(name, options)
    return loader(rest, **given)


def check_options(name: str, **options: Any) -> dict[str, Any]:
    """Find out whether an encoder takes options, without loading it.

    Args:
        name: As for :func:`load_encoder`.
        **options: As for :func:`load_encoder`.

    Returns:
        Those that are not None, under the names of today.

    Raises:
        EncoderError: If the name or an option is unknown.

    Example:
        >>> check_options("onnx:my-model", dtype="int8", device=None)
        {'dtype': 'int8'}
        >>> check_options("builtin", dtype="int8")
        Traceback (most recent call last):
        ...
        crossalign.errors.EncoderError: builtin knows no option dtype; its options: threads.
    """
    return _prepare(name, options)[2]


def _prepare(
    name: str, options: dict[str, Any]
) -> tuple[Callable[..., Encoder], str, dict[str, Any]]:
    """Find an encoder's loader, what it is to load, and the options that were really given."""
    scheme, _, rest = name.partition(":")
    if scheme not in _SCHEMES:
        known = ", ".join(entry.usage for entry in _SCHEMES.values())
        raise EncoderError(
            f"unknown encoder {name!r}.{did_you_mean(scheme, _SCHEMES)} Known: {known}. 'builtin' "
            "needs no download; other models can be added with crossalign.register_encoder, or "
            "given as an object."
        )
    loader: Callable[..., Encoder] = _resolve(_SCHEMES[scheme].loader)
    taken = inspect.signature(loader).parameters
    given = {option: value for option, value in options.items() if value is not None}
    if "engine" in given and "engine" not in taken and "runtime" in taken:
        warn_user("the option engine is called runtime now", DeprecationWarning)
        given.setdefault("runtime", given.pop("engine"))
    unknown = [option for option in given if option not in taken]
    if unknown and not any(kind.kind is kind.VAR_KEYWORD for kind in taken.values()):
        known = ", ".join(list(taken)[1:]) or "none"
        raise EncoderError(
            f"{_SCHEMES[scheme].usage} knows no option {', '.join(unknown)}; its options: {known}."
        )
    return loader, rest, given


def register_encoder(
    scheme: str, loader: str | Callable[..., Encoder], *, usage: str | None = None
) -> None:
    """Make a family of encoders known by name.

    Args:
        scheme: What stands before the colon of a name, letters, digits, ``_`` and ``-``.
        loader: Called with the rest of the name and keyword options, gives an :class:`Encoder`; or
            ``"module:function"``, imported when first needed.
        usage: How a name is written, for error messages.

    Raises:
        EncoderError: If the scheme is empty, taken or oddly written.

    Example:
        >>> from crossalign.encoders import registry
        >>> register_encoder("mine", lambda rest: load_encoder("builtin"), usage="mine:<anything>")
        >>> load_encoder("mine:x").card.name
        'builtin'
        >>> del registry._SCHEMES["mine"]
    """
    if not scheme.replace("_", "").replace("-", "").isalnum():
        raise EncoderError(f"expected a scheme of letters, digits, '_' and '-'; got {scheme!r}.")
    if scheme in _SCHEMES:
        raise EncoderError(f"the scheme {scheme!r} is taken; choose another name.")
    _SCHEMES[scheme] = Scheme(usage=usage or f"{scheme}:<name>", loader=loader)


def list_encoders() -> list[ModelCard]:
    """List the encoders that are known by name and on this machine.

    Returns:
        Their cards, the built-in model first.
    """
    cards: list[ModelCard] = []
    for scheme in _SCHEMES.values():
        if scheme.cards is not None:
            cards.extend(_resolve(scheme.cards)())
    return cards


def _resolve(target: Any) -> Any:
    return pkgutil.resolve_name(target) if isinstance(target, str) else target

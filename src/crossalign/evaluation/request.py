"""What is to be evaluated: everything that a number depends on, as plain data."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from crossalign.alignment.adaptive import Adaptive
from crossalign.errors import CrossalignError, EvaluationError
from crossalign.images.crops import PUBLISHED_SIDE, CropSpec, Kind
from crossalign.methods import METHODS, Method, get_method
from crossalign.utils.validation import whole_number

TEMPERATURE = 0.01
"""Scores become confidences by ``softmax(scores / temperature)``; CLIP was trained with 0.01."""

DEFAULT_METHODS = ("clip", "cupl", "wca")

METHOD_SETTINGS = ("crop_scale", "description_scale", "crop_weighting", "description_weighting")
"""Fields of a request that take the place of a method's own."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """How chance enters an evaluation.

    Args:
        name: What it is called.
        resamples: Whether runs resample one pool of crops, the same indices for every image, in
            place of cutting every image anew for each run.
        side: Range of the crop side; None for the method's own.
        pool: Crops in the pool.
    """

    name: str
    resamples: bool
    side: tuple[float, float] | None = None
    pool: int | None = None


PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            Protocol("fresh", resamples=False),
            Protocol("published", resamples=True, side=PUBLISHED_SIDE, pool=100),
        )
    }
)
"""The protocols by name. ``fresh`` cuts every image anew for each seed, so the spread over runs is
that of the method. ``published`` is that of the WCA code: one pool of crops an image, from which
each run draws with replacement, the same indices for all images. Read-only."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to evaluate, and how.

    Args:
        dataset: Name of a data set, or the path of one.
        root: Folder of a named data set.
        split: Which part of it; the usual one by default.
        names: File with class names in place of the data set's own, or one of the lists of
            ImageNet's, see ``crossalign.evaluation.datasets.NAME_LISTS``.
        partial: Take what is there of a published data set.
        per_class: Most images of a class, the first ones; all by default.
        models: Names of encoders.
        dtype: Precision of the encoders, where they have several.
        device: Where they run, where they have a choice.
        engine: What runs them, where there are several.
        methods: Names of methods, or methods.
        descriptions: File with sentences about each class, ``{class: [sentence, ...]}``.
        descriptors: File with short descriptors of each class, for ``clip-d``.
        bank: Where there is no file, describe the classes that :mod:`crossalign.texts.bank` knows.
        crops: Crops in a run; the method's own number by default. ``"auto"`` takes as many of each
            image as its decision needs and at most the method's own number, see
            :class:`crossalign.Adaptive`.
        risk: Of ``crops="auto"``: accepted probability that all crops would say otherwise.
        side: Range of the crop side as a share of the short side; the protocol's or the method's by
            default.
        kind: How crops are laid out, see :class:`crossalign.CropSpec`; the method's own by default.
        crop_scale: S_c of the methods that weigh crops.
        description_scale: S_d of the methods that weigh descriptions.
        crop_weighting: How crops are weighed by the methods that weigh them, see
            :mod:`crossalign.alignment.weights`.
        description_weighting: How descriptions are.
        protocol: Name of a protocol, see ``PROTOCOLS``.
        seed: Of the first run.
        runs: Runs of methods in which there is chance: seeds, or resamplings of one pool.
        pool: Crops in the pool of the published protocol; the protocol's own number by default.
        temperature: For confidences.
        baseline: Name of the method with which all others are compared; by default every two are.
            p values are adjusted for the comparisons that are made.

    Raises:
        EvaluationError: If a value is out of its range.
    """

    dataset: str
    root: str | None = None
    split: str | None = None
    names: str | None = None
    partial: bool = False
    per_class: int | None = None
    models: tuple[str, ...] = ("builtin",)
    dtype: str | None = None
    device: str | None = None
    engine: str | None = None
    methods: tuple[str | Method, ...] = DEFAULT_METHODS
    descriptions: str | None = None
    descriptors: str | None = None
    bank: bool = True
    crops: int | Literal["auto"] | None = None
    risk: float | None = None
    side: tuple[float, float] | None = None
    kind: Kind | None = None
    crop_scale: float | None = None
    description_scale: float | None = None
    crop_weighting: str | None = None
    description_weighting: str | None = None
    protocol: str = "fresh"
    seed: int = 0
    runs: int = 1
    pool: int | None = None
    temperature: float = TEMPERATURE
    baseline: str | None = None

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise EvaluationError(
                f"--protocol: unknown protocol {self.protocol!r}; choose one of "
                f"{', '.join(PROTOCOLS)}."
            )
        if isinstance(self.crops, str) and self.crops != "auto":
            raise EvaluationError(f"expected crops as a number, or auto; got {self.crops!r}.")
        if self.crops != "auto" and self.risk is not None:
            raise EvaluationError("--risk goes with --crops auto; a number of crops has none.")
        if self.crops == "auto" and PROTOCOLS[self.protocol].resamples:
            raise EvaluationError(
                f"the protocol {self.protocol!r} resamples a fixed number of crops; --crops auto "
                "goes with fresh crops."
            )
        if not self.models or not self.methods:
            raise EvaluationError("expected at least one encoder and one method; got none.")
        for name, least in (("crops", 1), ("runs", 1), ("seed", 0), ("per_class", 1), ("pool", 1)):
            if (value := getattr(self, name)) not in (None, "auto"):
                number = whole_number(_option(name), value, least, error=EvaluationError)
                object.__setattr__(self, name, number)
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise EvaluationError(f"expected --temperature above 0; got {self.temperature!r}.")
        self._check_settings()
        names = [get_method(method).name for method in self.methods]
        for what, given in (("method", names), ("encoder", list(self.models))):
            doubles = {name for name in given if given.count(name) > 1}
            if doubles:
                raise EvaluationError(
                    f"expected every {what} once; {', '.join(sorted(doubles))} stands there twice."
                )
        if self.baseline is not None and self.baseline not in names:
            raise EvaluationError(
                f"expected a baseline that is evaluated too, one of {', '.join(names)}; "
                f"got {self.baseline!r}."
            )

    def _check_settings(self) -> None:
        """Refuse what no method could take, also where none of those asked for looks at it."""
        wca: Any = METHODS["wca"]
        spec: Any = CropSpec()
        for name, holder, field in (
            ("risk", Adaptive(), "risk"),
            *(("crops", spec, "count"), ("side", spec, "side"), ("kind", spec, "kind")),
            *((name, wca, name) for name in METHOD_SETTINGS),
        ):
            value = getattr(self, name)
            if value is None or value == "auto":
                continue
            try:
                dataclasses.replace(holder, **{field: value})
            except CrossalignError as error:
                raise type(error)(f"{_option(name)}: {error}") from error

    @property
    def protocol_run(self) -> Protocol:
        """The protocol as it runs, with what is set of it here."""
        protocol = PROTOCOLS[self.protocol]
        if not protocol.resamples:
            return protocol
        side, pool = self.side or protocol.side, self.pool or protocol.pool
        return dataclasses.replace(protocol, side=side, pool=pool)

    @property
    def encoder_options(self) -> dict[str, str]:
        """What encoders are loaded with beside their names."""
        options = {"dtype": self.dtype, "device": self.device, "runtime": self.engine}
        return {name: value for name, value in options.items() if value is not None}

    def adaptive(self, method: Method) -> Adaptive | None:
        """Say when a method has crops enough of an image.

        Args:
            method: The method, settled or not.

        Returns:
            The rule, whose budget is the method's own number; None where the number is given or
            the method takes no crops.

        Raises:
            MethodError: If the risk, or the method's number, is out of its range.
        """
        if self.crops != "auto" or method.crops is None:
            return None
        return Adaptive.of(method.crops.count, self.risk)

    def to_json(self) -> dict[str, Any]:
        """Give plain values that JSON can hold.

        Returns:
            All fields; a method that is not known by name as its own fields.
        """
        return _plain(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Request:
        """Make a request of what :meth:`to_json` gave.

        Args:
            values: All or some fields.

        Returns:
            The request.

        Raises:
            EvaluationError: If a field is unknown or unusable.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        strange = sorted(set(values) - known)
        if strange:
            raise EvaluationError(f"unknown settings of an evaluation: {', '.join(strange)}.")
        plain = dict(values)
        try:
            plain["models"] = tuple(plain.get("models", ("builtin",)))
            plain["methods"] = tuple(
                method if isinstance(method, str | Method) else _method_from_json(method)
                for method in plain.get("methods", DEFAULT_METHODS)
            )
            if plain.get("side") is not None:
                low, high = plain["side"]
                plain["side"] = (float(low), float(high))
            return cls(**plain)
        except CrossalignError:
            raise
        except (TypeError, ValueError) as error:
            raise EvaluationError(f"unusable settings of an evaluation ({error}).") from error


def method_json(method: Method) -> dict[str, Any]:
    """Give the fields of a method as plain values.

    Args:
        method: The method.

    Returns:
        What JSON gives back unchanged: lists in place of tuples.
    """
    return _plain(method)


def _plain(record: Request | Method) -> dict[str, Any]:
    """What JSON gives back unchanged: lists in place of tuples."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(record)))
    return plain


def _method_from_json(values: Mapping[str, Any]) -> Method:
    plain = dict(values)
    if plain.get("crops") is not None:
        crops = dict(plain["crops"])
        plain["crops"] = CropSpec(**{**crops, "side": tuple(crops["side"])})
    if not isinstance(plain.get("templates", ""), str):
        plain["templates"] = tuple(plain["templates"])
    return Method(**plain)


def methods_of(request: Request, templates: tuple[str, ...] = ()) -> tuple[Method, ...]:
    """Write out the methods of a request with all of its settings.

    Args:
        request: The request.
        templates: Templates of the data set, for template ensembles; none for the common ones.

    Returns:
        The methods, each with the crops that are really taken of an image.
    """
    return tuple(_settled(get_method(method), request, templates) for method in request.methods)


def _settled(method: Method, request: Request, templates: tuple[str, ...]) -> Method:
    changes: dict[str, Any] = {}
    if templates and method.texts == "templates":
        changes["templates"] = templates
    for name in METHOD_SETTINGS:
        value, weighed = getattr(request, name), name.partition("_")[0]
        if value is not None and getattr(method, f"{weighed}_scale") != 0:
            changes[name] = value
    if method.crops is not None:
        protocol, spec = request.protocol_run, method.crops
        given = None if request.crops == "auto" else request.crops
        side = request.side or protocol.side or spec.side
        weighting = changes.get("crop_weighting", method.crop_weighting)
        if request.adaptive(method) is not None and weighting != "softmax":
            raise EvaluationError(
                f"--crops auto knows softmax weights alone; method {method.name!r} weighs crops by "
                f"{weighting!r}. Leave it out, or give a number of crops."
            )
        count = protocol.pool or given or spec.count
        changes["crops"] = dataclasses.replace(
            spec, side=side, kind=request.kind or spec.kind, count=count, seed=request.seed
        )
    return dataclasses.replace(method, **changes)


def crops_in_run(method: Method, request: Request) -> int:
    """Say how many crops enter one score, or may.

    Args:
        method: A method of the request, settled or not.
        request: The request.

    Returns:
        The number; 0 for a method that looks at the whole image alone.
    """
    if method.crops is None:
        return 0
    if request.crops is not None and request.crops != "auto":
        return request.crops
    if not PROTOCOLS[request.protocol].resamples:
        return method.crops.count
    for one in request.methods:
        own = get_method(one)
        if own.name == method.name and own.crops is not None:
            return own.crops.count
    return method.crops.count


def has_chance(method: Method) -> bool:
    """Tell whether another seed may change what a method predicts.

    Args:
        method: The method.

    Returns:
        False for methods that only look at the whole image and use given texts, and for crops on a
        lattice.
    """
    fixed_crops = method.crops is None or method.crops.kind == "grid"
    return method.texts == "waffle" or not fixed_crops


def _option(field: str) -> str:
    return f"--{field.replace('_', '-')}"

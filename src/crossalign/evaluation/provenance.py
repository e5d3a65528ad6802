"""How an evaluation was made, in words: for the report, and beside published numbers."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from crossalign.encoders.base import fingerprint
from crossalign.evaluation.request import (
    PROTOCOLS,
    Request,
    crops_in_run,
    has_chance,
    methods_of,
)
from crossalign.evaluation.run import Setup, resamples
from crossalign.images.crops import PUBLISHED_SIDE
from crossalign.methods import METHODS, Method, get_method
from crossalign.utils.files import packaged_text

# What fields of methods are called in reports.
_FIELDS: dict[str, str] = json.loads(packaged_text("evaluation", "method_fields.json"))
_PUBLISHED_POOLS = {"imagenet": 60}  # and for its relatives; 100 for all others


def describe_provenance(setup: Setup, command: Sequence[str]) -> list[list[str]]:
    """Say how an evaluation was made, for those who read no receipt.

    Args:
        setup: What was evaluated.
        command: The command line; none if there was none.

    Returns:
        Pairs of what is said and how it was.
    """
    request = setup.request
    found = [["command", shlex.join(command)]] if command else []
    if request.per_class is not None:
        found.append(["images", f"the first {request.per_class} of each class at most"])
    if request.partial:
        found.append(["images", "what was there (--partial), not the whole published set"])
    found.append(["class names", request.names or "the data set's own"])
    files = {what: getattr(request, what) for what in ("descriptions", "descriptors")}
    found += [[what, file] for what, file in files.items() if file is not None]
    if not request.bank:
        found.append(["bank of descriptions", "not used"])
    for model, encoder in setup.encoders.items():
        asked = "" if request.dtype is None else f"; asked for in {request.dtype}"
        found.append([f"encoder {model}", fingerprint(encoder) + asked])
    for method, given in zip(setup.methods, request.methods, strict=True):
        own = METHODS.get(method.name, get_method(given))
        changed = departures(method, own, request)
        if method.name not in METHODS:
            changed.insert(0, "a method of its own, see the receipt")
        found.append([f"method {method.name}", "; ".join(changed) or "its own settings"])
    found += [["without effect", note] for note in unused(request)]
    return found


def departures(
    method: Method,
    own: Method,
    request: Request,
    *,
    side: tuple[float, float] | None = None,
) -> list[str]:
    """Name the settings in which a method that was run differs from its definition.

    Args:
        method: The method, settled.
        own: Its definition.
        request: The request.
        side: Range of the crop side to compare with; that of the definition by default.

    Returns:
        Such as ``S_c 3, not 54.6``.
    """
    found = [
        f"{title} {_written(getattr(method, name))}, not {_written(getattr(own, name))}"
        for name, title in _FIELDS.items()
        if getattr(method, name) != getattr(own, name)
    ]
    spec, usual = method.crops, own.crops
    if spec is None or usual is None:
        differ = [] if spec is usual else ["no crops" if spec is None else "crops"]
        return [*differ, *found]
    count, crops = crops_in_run(method, request), []
    if request.adaptive(method) is not None:
        crops.append(f"crops as needed, at most {count}")
    elif count != usual.count:
        crops.append(f"crops {count}, not {usual.count}")
    for title, value, wanted in (
        ("side", spec.side, side or usual.side),
        ("crops", spec.kind, usual.kind),
    ):
        if value != wanted:
            crops.append(f"{title} {_written(value)}, not {_written(wanted)}")
    return [*crops, *found]


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return " to ".join(map(_written, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def published_departures(setup: Setup, name: str, origin: str) -> list[str]:
    """Name the settings in which a run differs from that which gave WCA's tables.

    Args:
        setup: What was evaluated.
        name: Name of the method.
        origin: Where its texts came from, in words.

    Returns:
        One entry each; none where the run repeats the published one as far as can be told from its
        settings. Files of names and descriptions are taken for the published ones.
    """
    request, data = setup.request, setup.dataset.name
    method = next(method for method in setup.methods if method.name == name)
    found = departures(method, METHODS[name], request, side=PUBLISHED_SIDE)
    if method.crops is not None:
        if not PROTOCOLS[request.protocol].resamples:
            found.append("new crops for each run, not one pool resampled")
        else:
            pool = _PUBLISHED_POOLS.get(data.partition("-")[0], 100)
            if method.crops.count != pool:
                found.append(f"pool {method.crops.count}, not {pool}")
    if method.texts == "descriptions" and origin != "descriptions":
        found.append(f"texts: {origin}, not CuPL's sentences")
    wanted = "clip" if data.startswith("imagenet") else None
    if wanted is not None and request.names in (None, "crossalign", "clip-d"):
        found.append(f"class names {request.names or 'crossalign'}, not {wanted}")
    elif request.names is None:
        found.append("the data set's own class names, not the published list")
    if request.dtype not in (None, "float32", "fp32"):
        found.append(f"precision {request.dtype}")
    return found


def notes(setup: Setup) -> tuple[str, ...]:
    """Say what one should know before an evaluation is run.

    Args:
        setup: What is evaluated.

    Returns:
        What there is to say about the data set, and about settings without effect.
    """
    without_effect = (f"without effect: {text}" for text in unused(setup.request))
    return (*setup.dataset.notes, *without_effect)


def unused(request: Request) -> list[str]:
    """Name the settings that were asked for and that nothing in the evaluation looks at.

    Args:
        request: The request.

    Returns:
        A sentence each.
    """
    methods = [get_method(given) for given in request.methods]
    cut = any(method.crops is not None for method in methods)
    weighed = any(method.crop_scale for method in methods)
    described = any(method.description_scale for method in methods)
    settled = methods_of(request)
    # A grid has no chance in it, unless its crops are resampled.
    chance = any(has_chance(method) or resamples(request, method) for method in settled)
    resampled = PROTOCOLS[request.protocol].resamples
    found = [
        f"{name}: none of the methods {what}"
        for name, given, used, what in (
            ("--crops", request.crops, cut, "cuts crops"),
            ("--side", request.side, cut, "cuts crops"),
            ("--kind", request.kind, cut, "cuts crops"),
            ("--protocol published", resampled or None, cut, "cuts crops"),
            ("--crop-scale", request.crop_scale, weighed, "weighs crops"),
            ("--crop-weighting", request.crop_weighting, weighed, "weighs crops"),
            ("--description-scale", request.description_scale, described, "weighs descriptions"),
            ("--description-weighting", request.description_weighting, described,
             "weighs descriptions"),
            ("--runs", request.runs if request.runs > 1 else None, chance, "has chance in it"),
        )
        if given is not None and not used
    ]  # fmt: skip
    if request.pool is not None and not resampled:
        found.append("--pool: it goes with --protocol published")
    return found

"""The paper's open checks as one command: what each part of the method adds or takes away.

A *factor* is a list of variants of one method that differ in one thing. Variants are methods, that
is, data; each factor is an evaluation of its own, and all share one store, so a crop that several
variants look at is encoded once.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from crossalign.errors import EvaluationError
from crossalign.evaluation import report
from crossalign.evaluation.evaluate import evaluate, write_json
from crossalign.evaluation.plots import Series, dots_svg, lines_svg
from crossalign.evaluation.report import Page, Plot, Table
from crossalign.evaluation.request import Request
from crossalign.evaluation.run import OnProgress
from crossalign.methods import Method, get_method
from crossalign.store import Store
from crossalign.weighting import WEIGHTINGS

COUNTS = (1, 2, 4, 8, 16, 32, 60, 100)
SIDES = ((0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.9), (0.5, 0.9), (0.1, 0.9))
CROP_SCALES = (0.0, 7.4, 20.0, 54.6, 100.0, 200.0)
DESCRIPTION_SCALES = (0.0, 2.0, 7.4, 20.0, 54.6)
KINDS = ("random", "even", "refined", "nested", "grid")
FEW = 3


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
        variants: Makes the variants of a method with crops.
        axis: What ``x`` is; empty where variants have no order.
    """

    name: str
    title: str
    variants: Callable[[Method], Variants]
    axis: str = ""


def _named(method: Method, name: str, x: float | None = None, **changes: Any) -> Variant:
    return Variant(dataclasses.replace(method, name=name, **changes), x)


def _parts(method: Method) -> Variants:
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
                crop_scale=method.crop_scale if weights else 0.0,
                description_scale=method.description_scale if texts else 0.0,
            )
        )
    return tuple(found)


def _counts(method: Method) -> Variants:
    return tuple(
        _named(method, f"N = {count}", count, crops=_spec(method, count=count)) for count in COUNTS
    )


def _sides(method: Method) -> Variants:
    return tuple(
        _named(method, f"side {low} to {high}", crops=_spec(method, side=(low, high)))
        for low, high in SIDES
    )


def _kinds(method: Method) -> Variants:
    return tuple(_named(method, kind, crops=_spec(method, kind=kind)) for kind in KINDS)


def _spec(method: Method, **changes: Any) -> Any:
    if method.crops is None:
        raise EvaluationError(f"method '{method.name}' takes no crops; ablate one that does.")
    return dataclasses.replace(method.crops, **changes)


def _crop_scales(method: Method) -> Variants:
    return tuple(
        _named(method, f"S_c = {scale:g}", scale, crop_scale=scale) for scale in CROP_SCALES
    )


def _description_scales(method: Method) -> Variants:
    return tuple(
        _named(method, f"S_d = {scale:g}", scale, description_scale=scale)
        for scale in DESCRIPTION_SCALES
    )


def _granularity(method: Method) -> Variants:
    return (
        _named(method, "label", texts="label"),
        _named(method, "one description", most_texts=1),
        _named(method, f"{FEW} descriptions", most_texts=FEW),
        _named(method, "all descriptions"),
    )


def _crop_weightings(method: Method) -> Variants:
    return tuple(_named(method, f"crops {way}", crop_weighting=way) for way in WEIGHTINGS)


def _description_weightings(method: Method) -> Variants:
    return tuple(
        _named(method, f"descriptions {way}", description_weighting=way) for way in WEIGHTINGS
    )


FACTORS: Mapping[str, Factor] = MappingProxyType(
    {
        factor.name: factor
        for factor in (
            Factor("parts", "Crops, crop weights (w) and description weights (v)", _parts),
            Factor("count", "Number of crops", _counts, "crops N"),
            Factor("side", "Range of the crop side", _sides),
            Factor("kind", "How crops are laid out", _kinds),
            Factor("crop-scale", "Sharpness of the crop weights", _crop_scales, "S_c"),
            Factor(
                "description-scale",
                "Sharpness of the description weights",
                _description_scales,
                "S_d",
            ),
            Factor("texts", "Number of descriptions", _granularity),
            Factor("crop-weighting", "Ways to weigh crops", _crop_weightings),
            Factor("description-weighting", "Ways to weigh descriptions", _description_weightings),
        )
    }
)
"""What can be ablated, by name. Read-only."""


def ablate(
    request: Request,
    out: Path,
    *,
    factors: tuple[str, ...] = tuple(FACTORS),
    store: Store | Path | None = None,
    command: tuple[str, ...] = (),
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Vary one thing after the other and write a report with plots.

    Args:
        request: What to evaluate; its single method is the one that is varied.
        out: Folder for ``ablation.json``, ``report.md``, ``report.html``, and a folder a factor
            with an evaluation of its own, receipt included.
        factors: Names of factors, see ``FACTORS``.
        store: Where embeddings are kept and found again; ``out/store`` by default.
        command: The command line, for the receipts.
        on_progress: Called as images are done.

    Returns:
        What ``ablation.json`` holds: for each factor its variants with their accuracy, its interval
        and the views encoded for an image.

    Raises:
        EvaluationError: If a factor is unknown, or there is not one method and one encoder.
        CrossalignError: If the data set, a file or the encoder cannot be used.
    """
    unknown = [name for name in factors if name not in FACTORS]
    if unknown:
        raise EvaluationError(f"unknown factor {unknown[0]!r}; choose of {', '.join(FACTORS)}.")
    if len(request.methods) != 1 or len(request.models) != 1:
        raise EvaluationError("expected one method and one encoder to ablate; got several.")
    base = get_method(request.methods[0])
    if request.adaptive is not None:
        raise EvaluationError("expected a number of crops to ablate from; got 'auto'.")
    if request.crops is not None:
        base = dataclasses.replace(base, crops=_spec(base, count=request.crops))
    if request.side is not None:
        base = dataclasses.replace(base, crops=_spec(base, side=request.side))
    plain = dataclasses.replace(request, crops=None, side=None)
    _spec(base)
    rows: dict[str, Any] = {}
    for name in factors:
        variants = FACTORS[name].variants(base)
        content = evaluate(
            dataclasses.replace(plain, methods=tuple(variant.method for variant in variants)),
            out / name,
            store=store or out / "store",
            command=command,
            on_progress=on_progress,
        )
        rows[name] = {
            "variants": [_row(*pair) for pair in zip(variants, content["results"], strict=True)],
            "comparisons": content["comparisons"],
        }
    result = {"dataset": content["dataset"], "method": base.name, "factors": rows}
    write_json(out / "ablation.json", result)
    report.write(page(result), out)
    return result


def _row(variant: Variant, result: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": variant.method.name,
        "x": variant.x,
        "views": 1 + result["crops"],
        "top1": result["top1"],
    }


def page(result: dict[str, Any]) -> Page:
    """Lay out an ablation.

    Args:
        result: What ``ablation.json`` holds.

    Returns:
        The report.
    """
    data = result["dataset"]
    introduction = (
        f"Variants of {result['method']} on {data['name']}: {data['images']} images of "
        f"{data['classes']} classes. Top-1 accuracy in per cent with 95 % intervals (Wilson). "
        "A difference counts as significant where McNemar's exact test says so after Holm's "
        "correction for all pairs of its factor."
    )
    parts: list[Table | Plot] = []
    for name, content in result["factors"].items():
        factor = FACTORS[name]
        parts += [_table(factor, content), _plot(factor, content["variants"])]
    parts.append(_cost_plot(result["factors"]))
    return Page(f"Ablation of {result['method']}", (introduction,), tuple(parts))


def _table(factor: Factor, content: dict[str, Any]) -> Table:
    rows = tuple(
        (
            row["name"],
            report.percent(row["top1"]),
            f"{100 * row['top1']['low']:.1f} to {100 * row['top1']['high']:.1f}",
            str(row["views"]),
        )
        for row in content["variants"]
    )
    return Table(
        factor.title, ("variant", "top-1", "[95 %]", "views an image"), rows, note=verdict(content)
    )


def verdict(content: dict[str, Any]) -> str:
    """Say which differences of a factor are not noise.

    Args:
        content: A factor of ``ablation.json``.

    Returns:
        A sentence.
    """
    sure = [row for row in content["comparisons"] if row["significant"]]
    pairs = len(content["comparisons"])
    if not sure:
        return f"None of the {pairs} differences is significant."
    listed = "; ".join(
        f"{row['second'][1]} against {row['first'][1]} {100 * row['difference']:+.1f}"
        for row in sorted(sure, key=lambda row: -abs(row["difference"]))[:5]
    )
    return f"{len(sure)} of {pairs} differences are significant, the largest: {listed} points."


def _plot(factor: Factor, rows: list[dict[str, Any]]) -> Plot:
    if factor.axis:
        points = tuple((row["x"], 100 * row["top1"]["mean"]) for row in rows)
        ends = tuple((100 * row["top1"]["low"], 100 * row["top1"]["high"]) for row in rows)
        line = Series("top-1", points, ends, marks=True)
        svg = lines_svg([line], title=factor.title, x=factor.axis, y="top-1, per cent")
    else:
        svg = dots_svg([_dot(row) for row in rows], title=factor.title, x="top-1, per cent")
    return Plot(factor.name, f"{factor.title}: plot", svg)


def _dot(row: dict[str, Any]) -> tuple[str, float, float, float]:
    top = row["top1"]
    return row["name"], 100 * top["mean"], 100 * top["low"], 100 * top["high"]


def _cost_plot(factors: dict[str, Any]) -> Plot:
    series = [
        Series(
            FACTORS[name].title,
            tuple(sorted((row["views"], 100 * row["top1"]["mean"]) for row in content["variants"])),
            marks=True,
            joined=bool(FACTORS[name].axis),
        )
        for name, content in factors.items()
        if len({row["views"] for row in content["variants"]}) > 1
    ]
    if not series:
        name, content = next(iter(factors.items()))
        points = tuple((row["views"], 100 * row["top1"]["mean"]) for row in content["variants"])
        series = [Series(FACTORS[name].title, points, marks=True, joined=False)]
    svg = lines_svg(
        series, title="Accuracy and cost", x="views encoded for an image", y="top-1, per cent"
    )
    return Plot(
        "cost", "Accuracy against cost", svg, "The encoder's views are nearly all the time."
    )

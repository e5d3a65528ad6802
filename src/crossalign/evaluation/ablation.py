"""The paper's open checks as one command: what each part of the method adds or takes away.

A *factor* is a list of variants of one method that differ in one thing. Variants are methods, that
is, data; each factor is an evaluation of its own, and all share one store, so a crop that several
variants look at is encoded once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from crossalign.engine.cache.store import Store
from crossalign.errors import EvaluationError
from crossalign.evaluation import report
from crossalign.evaluation.evaluate import evaluate, write_json
from crossalign.evaluation.factors import FACTORS, Factor, Variant, chosen, with_crops
from crossalign.evaluation.provenance import departures
from crossalign.evaluation.request import METHOD_SETTINGS, PROTOCOLS, Request
from crossalign.evaluation.run import OnProgress
from crossalign.methods import METHODS, Method, get_method
from crossalign.reports.charts import Series, dots_svg, lines_svg
from crossalign.reports.page import Page, Plot, Table, write
from crossalign.utils.text import counted


def ablate(
    request: Request,
    out: Path,
    *,
    factors: tuple[str, ...] = tuple(FACTORS),
    store: Store | Path | Literal[False] | None = None,
    command: tuple[str, ...] = (),
    on_progress: OnProgress | None = None,
    on_note: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Vary one thing after the other and write a report with plots.

    Args:
        request: What to evaluate; its single method is the one that is varied. What it sets of
            crops, scales and weights holds wherever the factor does not set it itself.
        out: Folder for ``ablation.json``, ``report.md``, ``report.html``, and a folder a factor
            with an evaluation of its own, receipt included.
        factors: Names of factors, see ``FACTORS``; with values of one's own as in
            ``"count=4,16,60"``, see :func:`crossalign.evaluation.factors.chosen`.
        store: Where embeddings are kept and found again; ``out/store`` by default, False for none.
        command: The command line, for the receipts.
        on_progress: Called as images are done.
        on_note: Called before the work begins with what one should know about the data set and
            about settings without effect.

    Returns:
        What ``ablation.json`` holds: for each factor its variants with their accuracy, its interval
        and the views encoded for an image.

    Raises:
        EvaluationError: If a factor or a value is unknown or has no effect, or there is not one
            method and one encoder.
        CrossalignError: If the data set, a file or the encoder cannot be used.
    """
    wanted = chosen(factors)
    base = _base(request)
    plain = _plain(request)
    resampled = PROTOCOLS[request.protocol].resamples
    if resampled and "side" in wanted:
        raise EvaluationError(
            f"the protocol {request.protocol!r} sets the range of the crop side itself; ablate "
            "'side' with fresh crops."
        )
    if on_note is not None:
        for note in _overridden(request, wanted):
            on_note(note)
    rows: dict[str, Any] = {}
    made: list[list[str]] = []
    for number, (name, values) in enumerate(wanted.items()):
        variants = FACTORS[name].variants(base, values)
        content = evaluate(
            dataclasses.replace(plain, methods=tuple(variant.method for variant in variants)),
            out / name,
            store=(out / "store") if store is None else store,
            command=command,
            on_progress=on_progress,
            on_note=on_note if number == 0 else None,
        )
        rows[name] = {
            "variants": [
                _row(variant, result, request)
                for variant, result in zip(variants, content["results"], strict=True)
            ],
            "comparisons": content["comparisons"],
        }
        made = made or [row for row in content["made"] if not row[0].startswith("method ")]
    own = METHODS.get(base.name, base)
    changed = "; ".join(departures(base, own, dataclasses.replace(request, methods=(base,))))
    result = {
        "dataset": content["dataset"],
        "method": base.name,
        "failed": max(row["failed"] for found in rows.values() for row in found["variants"]),
        "protocol": request.protocol,
        "about_runs": content["about_runs"],
        "factors": rows,
        "made": [*made, [f"method {base.name}", changed or "its own settings"]],
    }
    write_json(out / "ablation.json", result)
    write(page(result), out)
    return result


def _base(request: Request) -> Method:
    """Write out the method that is varied, with what the request sets of it."""
    if len(request.methods) != 1 or len(request.models) != 1:
        raise EvaluationError("expected one method and one encoder to ablate; got several.")
    if request.crops == "auto":
        raise EvaluationError("expected a number of crops to ablate from; got 'auto'.")
    base = get_method(request.methods[0])
    given = {name: getattr(request, name) for name in METHOD_SETTINGS}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    asked = {"count": request.crops, "side": request.side, "kind": request.kind}
    spec = {name: value for name, value in asked.items() if value is not None}
    return dataclasses.replace(base, crops=with_crops(base, **spec), **changes)


def _plain(request: Request) -> Request:
    """Give what the variants have in common; the rest is in the methods themselves."""
    resampled = PROTOCOLS[request.protocol].resamples
    settings: dict[str, Any] = dict.fromkeys((*METHOD_SETTINGS, "crops", "kind", "baseline"))
    if not resampled:  # there the side takes the place of the protocol's, not of the method's
        settings["side"] = None
    return dataclasses.replace(request, **settings)


def _overridden(request: Request, wanted: Mapping[str, Any]) -> list[str]:
    """Name what the request sets and every factor sets anew."""
    name, *others = wanted
    sets = FACTORS[name].sets
    if others or not sets or getattr(request, sets) is None:
        return []
    return [f"without effect: --{sets.replace('_', '-')}: the only factor, {name!r}, sets it"]


def _row(variant: Variant, result: dict[str, Any], request: Request) -> dict[str, Any]:
    # The whole pool is encoded, whatever enters a run.
    crops = result["crops"] and (request.protocol_run.pool or result["crops"])
    return {
        "name": variant.method.name,
        "x": variant.x,
        "texts": result["texts"],
        "views": 1 + crops,
        "images": result["images"],
        "failed": result["failed"],
        "top1": result["top1"],
    }


def page(result: dict[str, Any]) -> Page:
    """Lay out an ablation.

    Args:
        result: What ``ablation.json`` holds.

    Returns:
        The report.
    """
    data, failed = result["dataset"], result["failed"]
    introduction = [
        f"Variants of {result['method']} on {data['name']}: "
        f"{counted(data['images'], 'image')} of {data['classes']} classes"
        + (f", of which {failed} could not be read: left out. " if failed else ". ")
        + f"Protocol {result['protocol']}; {result['about_runs']} Top-1 accuracy in per cent with "
        "95 % intervals (Wilson).",
        *data["notes"],
        report.NOTES["ablation"],
    ]
    parts: list[Table | Plot] = []
    for name, content in result["factors"].items():
        factor = FACTORS[name]
        rows = tuple((row["name"], row["texts"], *cells(row)) for row in content["variants"])
        head = ("variant", "texts", *HEAD)
        parts.append(Table(factor.title, head, rows, texts=2, note=verdict(content)))
        parts.append(_plot(factor, content["variants"]))
    parts.append(_cost_plot(result["factors"]))
    receipts = tuple(f"{name}/receipt.json" for name in result["factors"])
    parts.append(report.made_table(result["made"], receipts))
    return Page(f"Ablation of {result['method']}", tuple(introduction), tuple(parts))


HEAD = ("top-1", "[95 %]", "views an image")


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Write the numbers of a variant.

    Args:
        row: One of ``variants`` in ``ablation.json``.

    Returns:
        Cells for the columns ``HEAD``.
    """
    return (
        report.percent(row["top1"]),
        report.interval(row["top1"]),
        str(row["views"]),
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
    if not sure and pairs == 1:
        return "The difference is not significant."
    if not sure:
        return f"None of the {pairs} differences is significant."
    listed = "; ".join(
        f"{row['second'][1]} against {row['first'][1]} {100 * row['difference']:+.1f}"
        for row in sorted(sure, key=lambda row: -abs(row["difference"]))[:5]
    )
    return f"Significant: {len(sure)} of {pairs} differences, the largest: {listed} points."


def _plot(factor: Factor, rows: list[dict[str, Any]]) -> Plot:
    if factor.axis:
        points = tuple((row["x"], 100 * row["top1"]["mean"]) for row in rows)
        ends = tuple((100 * row["top1"]["low"], 100 * row["top1"]["high"]) for row in rows)
        line = Series("top-1", points, ends, marks=True)
        svg = lines_svg(
            [line], title=factor.title, x=factor.axis, y="top-1, per cent", ratios=factor.ratios
        )
    else:
        dots = [report.dot(row["name"], row["top1"]) for row in rows]
        svg = dots_svg(dots, title=factor.title, x="top-1, per cent")
    return Plot(factor.name, f"{factor.title}: plot", svg)


def _cost_plot(factors: dict[str, Any]) -> Plot:
    points = {
        name: sorted((row["views"], 100 * row["top1"]["mean"]) for row in content["variants"])
        for name, content in factors.items()
    }
    differing = [name for name, found in points.items() if found[0][0] != found[-1][0]]
    series = [
        Series(
            FACTORS[name].title,
            tuple(points[name]),
            marks=True,
            joined=bool(differing and FACTORS[name].axis),
        )
        for name in differing or list(points)[:1]
    ]
    svg = lines_svg(
        series,
        title="Accuracy and cost",
        x="views encoded for an image",
        y="top-1, per cent",
        ratios=True,
    )
    return Plot(
        "cost", "Accuracy against cost", svg, "The encoder's views are nearly all the time."
    )

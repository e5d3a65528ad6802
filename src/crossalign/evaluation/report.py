"""Results as pages: what is in the tables and plots of an evaluation."""

from __future__ import annotations

import json
from typing import Any

from crossalign.reports.charts import Panel, Series, dots_svg, lines_svg, panels_svg
from crossalign.reports.page import Page, Plot, Table
from crossalign.utils.files import packaged_text
from crossalign.utils.text import counted

NOTES: dict[str, str] = json.loads(packaged_text("evaluation", "notes.json"))
"""What readers should know about the tables and plots of evaluations, by what it is about."""


def percent(spread: dict[str, Any]) -> str:
    """Write a share over runs in per cent.

    Args:
        spread: ``mean`` and ``sd``.

    Returns:
        ``66.8``, or ``66.8 ± 0.1`` where there were several runs.
    """
    text = f"{100 * spread['mean']:.1f}"
    return text if spread["sd"] is None else f"{text} ± {100 * spread['sd']:.2f}"


def interval(spread: dict[str, Any]) -> str:
    """Write an interval of a share in per cent.

    Args:
        spread: ``low`` and ``high``.

    Returns:
        Such as ``60.1 to 70.2``.
    """
    return f"{100 * spread['low']:.1f} to {100 * spread['high']:.1f}"


def crops_shown(row: dict[str, Any]) -> str:
    """Write how many crops were taken of an image.

    Args:
        row: A result with ``crops``, the most, and ``crops_taken``, the mean.

    Returns:
        ``whole image``, ``60``, or ``9.4 of 60`` where it was as many as needed.
    """
    if not row["crops"]:
        return "whole image"
    if row["crops_taken"] == row["crops"]:
        return str(row["crops"])
    return f"{row['crops_taken']:.1f} of {row['crops']}"


def evaluation_page(content: dict[str, Any]) -> Page:
    """Lay out the results of an evaluation.

    Args:
        content: What ``results.json`` holds.

    Returns:
        The report.
    """
    rows, data = content["results"], content["dataset"]
    introduction = [
        (
            f"{counted(data['images'], 'image')} of {data['classes']} classes ({data['name']}, "
            f"split {data['split']}). Protocol {content['protocol']}; {content['about_runs']}"
        )
    ]
    if data["shared_names"]:
        introduction.append(NOTES["shared names"].format_map(data))
    introduction += data["notes"]
    failed = max(row["failed"] for row in rows)
    if failed:
        introduction.append(f"{counted(failed, 'image')} could not be read: left out.")
    introduction.append(NOTES["numbers"].format_map(content))
    parts: list[Table | Plot] = [_accuracies(rows)]
    parts += [_published(content["reported"])] if content["reported"] else []
    if content["comparisons"]:
        parts.append(_comparisons(content["comparisons"], content["baseline"]))
    parts.append(made_table(content["made"], ("receipt.json",)))
    parts += _plots(rows)
    parts += [_confusions(row) for row in rows if row["confusions"]]
    return Page(f"Evaluation on {data['name']}", tuple(introduction), tuple(parts))


def _accuracies(rows: list[dict[str, Any]]) -> Table:
    cells = tuple(
        (
            row["encoder"],
            row["method"],
            row["texts"],
            crops_shown(row),
            percent(row["top1"]),
            interval(row["top1"]),
            percent(row["top5"]),
            percent(row["per_class"]),
            percent(row["calibration_error"]),
            f"{row['risk']['mean']:.3f}",
        )
        for row in rows
    )
    head = ("encoder", "method", "texts", "crops", "top-1", "[95 %]", "top-5", "per-class mean",
            "ECE", "AURC")  # fmt: skip
    return Table("Accuracy", head, cells, texts=3)


def _published(rows: list[dict[str, Any]]) -> Table:
    cells = tuple(
        (
            row["encoder"],
            row["method"],
            row["source"],
            "; ".join(row["departures"]) or "nothing known",
            f"{row['reported']:.2f}",
            f"{row['here']:.2f}",
            f"{row['here'] - row['reported']:+.2f}",
        )
        for row in rows
    )
    return Table(
        "Beside published numbers",
        ("encoder", "method", "source", "what differs", "published", "here", "points"),
        cells,
        texts=4,
        note=NOTES["reported"],
    )


def family(baseline: str | None, pairs: int) -> str:
    """Say which comparisons p values are adjusted for.

    Args:
        baseline: The method that all others are compared with, if there is one.
        pairs: How many comparisons there are.

    Returns:
        Such as ``all 3 pairs``.
    """
    if pairs == 1:
        return "this one comparison"
    return f"all {pairs} pairs" if baseline is None else f"the {pairs} comparisons with {baseline}"


def comparison_cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Write the numbers of a comparison.

    Args:
        row: One of ``comparisons`` in ``results.json``.

    Returns:
        Cells for the columns ``COMPARISON_HEAD``.
    """
    return (
        f"{100 * row['difference']:+.1f}",
        f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f}",
        f"{row['second_better']} / {row['first_better']}",
        f"{row['p']:.2g}",
        f"{row['p_adjusted']:.2g}",
        "yes" if row["significant"] else "no",
    )


COMPARISON_HEAD = ("difference", "[95 %]", "better / worse", "p", "p adjusted", "significant")

COMPARISON_NOTE = NOTES["comparisons"]


def _comparisons(rows: list[dict[str, Any]], baseline: str | None) -> Table:
    cells = tuple(
        (" ".join(row["first"]), " ".join(row["second"]), *comparison_cells(row)) for row in rows
    )
    note = "Difference of the second less the first in points. " + COMPARISON_NOTE.format(
        family=family(baseline, len(rows))
    )
    head = ("first", "second", *COMPARISON_HEAD)
    return Table("Comparisons", head, cells, texts=2, note=note)


def made_table(rows: list[list[str]], receipts: tuple[str, ...]) -> Table:
    """Lay out how something was made.

    Args:
        rows: Pairs of what is said and how it was.
        receipts: Files with all the rest, below the report's folder.

    Returns:
        The table.
    """
    return Table(
        "How this was made",
        ("what", "how"),
        tuple((what, how) for what, how in rows),
        texts=2,
        note=NOTES["made"],
        links=receipts,
    )


def _plots(rows: list[dict[str, Any]]) -> list[Plot]:
    dots, curves, panels = [], [], []
    for row in rows:
        name, risk, bins = _name(row, rows), row["risk_coverage"], row["reliability"]
        dots.append(dot(name, row["top1"]))
        curves.append(Series(name, tuple(zip(risk["coverage"], risk["risk"], strict=True))))
        numbers = zip(bins["confidence"], bins["accuracy"], bins["count"], strict=True)
        ece = row["calibration_error"]["mean"]
        panels.append(Panel(f"{name}, ECE {ece:.3f}", tuple(numbers)))
    top1 = dots_svg(dots, title="Top-1 accuracy", x="per cent, with 95 % intervals")
    x, y = "coverage: share of images kept", "share of mistakes"
    mistakes = lines_svg(curves, title="Mistakes among the surest images", x=x, y=y)
    title = "Accuracy at each confidence"
    reliability = panels_svg(panels, title=title, x="confidence", y="accuracy")
    return [
        Plot("top1", "Top-1 accuracy with intervals", top1),
        Plot("risk", "Risk and coverage", mistakes),
        Plot("reliability", "Reliability", reliability, NOTES["reliability"]),
    ]


def dot(name: str, top1: dict[str, Any]) -> tuple[str, float, float, float]:
    """Make an accuracy a row of a chart of dots.

    Args:
        name: Whose it is.
        top1: ``mean``, ``low`` and ``high``, shares from 0 to 1.

    Returns:
        The name, and the three in per cent.
    """
    return name, 100 * top1["mean"], 100 * top1["low"], 100 * top1["high"]


def _name(row: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    several = len({other["encoder"] for other in rows}) > 1
    return f"{row['encoder']} {row['method']}" if several else str(row["method"])


def _confusions(row: dict[str, Any]) -> Table:
    cells = tuple(
        (true, predicted, str(count)) for true, predicted, count in row["confusions"][:10]
    )
    return Table(
        f"Most frequent mistakes of {row['method']} ({row['encoder']})",
        ("shows", "labelled", "images"),
        cells,
        texts=2,
    )

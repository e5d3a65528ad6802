"""Results as pages: the same tables and plots in Markdown and in one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from crossalign.evaluation.plots import Series, dots_svg, lines_svg

_STYLE = """
:root { color-scheme: light dark; --paper: #fcfcfa; --ink: #1d1d1f; --quiet: #62626a;
  --line: #dcdcd8; }
@media (prefers-color-scheme: dark) { :root { --paper: #17181a; --ink: #ececee; --quiet: #a2a3ab;
  --line: #36373c; } }
body { margin: 0 auto; max-width: 64rem; padding: 2rem 1rem 4rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.note { color: var(--quiet); font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .25rem .8rem .25rem 0; text-align: left; border-bottom: 1px solid var(--line); }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
svg { max-width: 100%; height: auto; }
"""


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Args:
        title: Heading.
        head: Titles of the columns.
        rows: Cells.
        texts: How many of the first columns hold texts; the rest hold numbers.
        note: What to know about it.
        link: A file beside the report and what to call it.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: int = 1
    note: str = ""
    link: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot.

    Args:
        name: Of its file, without an ending.
        title: Heading.
        svg: The drawing.
        note: What to know about it.
    """

    name: str
    title: str
    svg: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A report.

    Args:
        title: Heading.
        introduction: Paragraphs.
        parts: Tables and plots, in order.
    """

    title: str
    introduction: tuple[str, ...]
    parts: tuple[Table | Plot, ...]


def write(page: Page, folder: Path) -> None:
    """Write ``report.md`` with its plots beside it, and ``report.html``.

    Args:
        page: The report.
        folder: Where; it is made if need be.
    """
    for part in page.parts:
        if isinstance(part, Plot):
            (folder / "plots").mkdir(parents=True, exist_ok=True)
            (folder / "plots" / f"{part.name}.svg").write_text(part.svg, encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(markdown(page), encoding="utf-8")
    (folder / "report.html").write_text(html(page), encoding="utf-8")


def markdown(page: Page) -> str:
    """Render a report as Markdown.

    Args:
        page: The report.

    Returns:
        The text.
    """
    lines = [f"# {page.title}", ""]
    for paragraph in page.introduction:
        lines += [paragraph, ""]
    for part in page.parts:
        lines += [f"## {part.title}", ""]
        if isinstance(part, Plot):
            lines += [f"![{part.title}](plots/{part.name}.svg)", ""]
        else:
            lines += [markdown_table(part), ""]
        if part.note:
            lines += [part.note, ""]
        if isinstance(part, Table) and part.link is not None:
            lines += [f"[{part.link[1]}]({part.link[0]})", ""]
    return "\n".join(lines)


def markdown_table(table: Table) -> str:
    """Render a table as Markdown.

    Args:
        table: The table.

    Returns:
        Its lines.
    """
    rules = ["---" if place < table.texts else "--:" for place in range(len(table.head))]
    rows = [table.head, rules, *table.rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows
    )


def html(page: Page) -> str:
    """Render a report as one HTML page that fetches nothing.

    Args:
        page: The report.

    Returns:
        The page.
    """
    body = "\n".join(
        f"<h2>{escape(part.title)}</h2>\n"
        + (part.svg if isinstance(part, Plot) else _html_table(part))
        + (f'<p class="note">{escape(part.note)}</p>' if part.note else "")
        + _html_link(part)
        for part in page.parts
    )
    paragraphs = "\n".join(f"<p>{escape(text)}</p>" for text in page.introduction)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(page.title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(page.title)}</h1>
{paragraphs}
{body}
</body>
</html>
"""


def _html_link(part: Table | Plot) -> str:
    if isinstance(part, Plot) or part.link is None:
        return ""
    file, name = map(escape, part.link)
    return f'<p><a href="{file}">{name}</a></p>'


def _html_table(table: Table) -> str:
    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{'' if place < table.texts else ' class=n'}>{escape(cell)}</{tag}>"
            for place, cell in enumerate(row)
        )

    rows = "\n".join(f"<tr>{cells(row, 'td')}</tr>" for row in table.rows)
    return (
        f'<div class="wide"><table><thead><tr>{cells(table.head, "th")}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )


def percent(spread: dict[str, Any]) -> str:
    """Write a share over runs in per cent.

    Args:
        spread: ``mean`` and ``sd``.

    Returns:
        ``66.8``, or ``66.8 ± 0.1`` where there were several runs.
    """
    text = f"{100 * spread['mean']:.1f}"
    return text if spread["sd"] is None else f"{text} ± {100 * spread['sd']:.2f}"


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
            f"{data['images']} images of {data['classes']} classes ({data['name']}, split "
            f"{data['split']}). Protocol {content['protocol']}; {content['about_runs']}"
        )
    ]
    if data["shared_names"]:
        introduction.append(
            f"{data['shared_names']} classes share their name with one before them, so they can "
            "never be predicted."
        )
    introduction += data["notes"]
    failed = max(row["failed"] for row in rows)
    if failed:
        introduction.append(f"{failed} images could not be read and are left out.")
    introduction.append(
        "Per cent. ± is the standard deviation of a run, the interval in brackets covers the "
        "chance in which images were there (Wilson, 95 %). ECE: expected calibration error of "
        f"softmax(scores / {content['temperature']}). AURC: area under the risk-coverage "
        "curve, images in the order of their lead over the runner-up."
    )
    parts: list[Table | Plot] = [_accuracies(rows)]
    parts += [_published(content["reported"])] if content["reported"] else []
    if content["comparisons"]:
        parts.append(_comparisons(content["comparisons"], content["baseline"]))
    parts += _plots(rows)
    parts += [_confusions(row) for row in rows if row["confusions"]]
    parts.append(_made(content["made"]))
    return Page(f"Evaluation on {data['name']}", tuple(introduction), tuple(parts))


def _accuracies(rows: list[dict[str, Any]]) -> Table:
    cells = tuple(
        (
            row["encoder"],
            row["method"],
            row["texts"],
            crops_shown(row),
            percent(row["top1"]),
            f"{100 * row['top1']['low']:.1f} to {100 * row['top1']['high']:.1f}",
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
        note="What differs: settings other than those of the published run; a number beside any is "
        "not a repetition. Files of class names and descriptions are taken for the published ones.",
    )


def family(baseline: str | None, pairs: int) -> str:
    """Say which comparisons p values are adjusted for.

    Args:
        baseline: The method that all others are compared with, if there is one.
        pairs: How many comparisons there are.

    Returns:
        Such as ``all 3 pairs of this table``.
    """
    if baseline is None:
        return f"all {pairs} pairs of this table" if pairs > 1 else "this one pair"
    return f"the {pairs} comparison{'s' * (pairs > 1)} with {baseline} in this table"


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

COMPARISON_NOTE = (
    "Images are what chance draws; several runs enter with their mean for each image. Better / "
    "worse: images on which the second did better or worse than the first. p: paired sign-flip "
    "test of the mean difference, which with one run each is McNemar's exact test. Adjusted "
    "(Holm) for {family}; significant: adjusted p below 0.05. The intervals (Agresti and Min) are "
    "each for one pair alone and not adjusted: one that leaves out 0 beside a \"no\" says that the "
    "difference would stand had only these two been compared. What is not significant may be noise."
)


def _comparisons(rows: list[dict[str, Any]], baseline: str | None) -> Table:
    cells = tuple(
        (" ".join(row["first"]), " ".join(row["second"]), *comparison_cells(row)) for row in rows
    )
    note = "Difference of the second less the first in points. " + COMPARISON_NOTE.format(
        family=family(baseline, len(rows))
    )
    head = ("first", "second", *COMPARISON_HEAD)
    return Table("Comparisons", head, cells, texts=2, note=note)


def _made(rows: list[list[str]]) -> Table:
    return Table(
        "How this was made",
        ("what", "how"),
        tuple((what, how) for what, how in rows),
        texts=2,
        note="Everything else it depends on, with digests of images and texts, is in the receipt; "
        "`crossalign evaluate --check` repeats it.",
        link=("receipt.json", "receipt.json"),
    )


def _plots(rows: list[dict[str, Any]]) -> list[Plot]:
    names = [_name(row, rows) for row in rows]
    top1 = [
        (name, 100 * row["top1"]["mean"], 100 * row["top1"]["low"], 100 * row["top1"]["high"])
        for name, row in zip(names, rows, strict=True)
    ]
    curves = [
        Series(name, tuple(zip(row["risk_coverage"]["coverage"], row["risk_coverage"]["risk"],
                               strict=True)))
        for name, row in zip(names, rows, strict=True)
    ]  # fmt: skip
    reliability = [
        Series(name, tuple(zip(row["reliability"]["confidence"], row["reliability"]["accuracy"],
                               strict=True)), marks=True)
        for name, row in zip(names, rows, strict=True)
    ]  # fmt: skip
    return [
        Plot("top1", "Top-1 accuracy with intervals", dots_svg(top1, title="Top-1 accuracy",
             x="per cent, with 95 % intervals")),
        Plot("risk", "Risk and coverage", lines_svg(curves, title="Mistakes among the "
             "surest images", x="coverage: share of images kept", y="share of mistakes")),
        Plot("reliability", "Reliability", lines_svg(reliability, title="Accuracy at each "
             "confidence", x="confidence", y="accuracy", diagonal=True),
             "On the dashed line confidence is what it says; below it, it is too high."),
    ]  # fmt: skip


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

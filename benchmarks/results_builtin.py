"""Writes docs/results-builtin.md: the whole family on labelled photo folders, with intervals.

    python benchmarks/results_builtin.py ../shared                      # two to three hours
    python benchmarks/results_builtin.py ../shared --sets dtd10 --runs 1 --out /tmp/page.md

The folder is laid out as for accuracy.py. Work is kept in --work, so an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
from pathlib import Path

from accuracy import FLAT, PROMPTS, SETS
from crossalign import METHODS
from crossalign.evaluation import Request, ablate, evaluate
from crossalign.evaluation.ablation import HEAD, cells, verdict
from crossalign.evaluation.cost import measure, tables
from crossalign.evaluation.receipt import machine
from crossalign.evaluation.report import (
    COMPARISON_HEAD,
    COMPARISON_NOTE,
    comparison_cells,
    crops_shown,
    percent,
)
from crossalign.evaluation.run import prepare
from crossalign.reports.page import Table, markdown_table
from crossalign.utils.progress import PassProgress

BASELINE = "clip"
INTRODUCTION = (
    (
        "Top-1 accuracy in per cent. ± is the standard deviation of a run over seeds with fresh "
        "crops; the interval covers the chance in which images were there (Wilson, 95 %). The "
        f"difference is to plain CLIP (`{BASELINE}`: label prompt, whole image) on the same "
        "images. `wca-flat` is WCA with equal weights."
    ),
    COMPARISON_NOTE.format(
        family=f"the comparisons with `{BASELINE}` in one table, each set of photos for itself"
    ),
)


def main() -> int:
    """Evaluate, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--encoder", default="builtin")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--crops", type=int, help="crops of every method (default: its own)")
    parser.add_argument("--per-class", type=int)
    parser.add_argument("--cost-images", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("docs/results-builtin.md"))
    parser.add_argument("--work", type=Path, default=Path("results-work"))
    options = parser.parse_args()
    if not (options.folder / "data").is_dir():
        parser.error(f"{options.folder} has no folder 'data' with labelled photos")

    sections = []
    for name in options.sets:
        request = request_for(name, options)
        with PassProgress() as shown:
            content = evaluate(request, options.work / name / "family", on_progress=shown)
            varied = ablate(
                dataclasses.replace(request, methods=("wca",), baseline=None),
                options.work / name,
                factors=("parts",),
                store=options.work / name / "family" / "store",
                on_progress=shown,
            )
        sections += section(name, content, varied)
    last = dataclasses.replace(
        request_for(options.sets[-1], options), methods=("cupl", "wca"), baseline=None
    )
    sections += [f"## Cost, on {options.sets[-1]}", "", where(), ""]
    for laid in tables(measure(prepare(last), images=options.cost_images)):
        sections += [markdown_table(laid), "", laid.note, ""]
    options.out.write_text("\n".join([*head(options), *sections]), encoding="utf-8")
    print(f"wrote {options.out}")
    return 0


def request_for(name: str, options: argparse.Namespace) -> Request:
    """Say what to evaluate on a set: every method whose texts are there."""
    prompts = options.folder / "prompts" / PROMPTS.get(name, name)
    files = {
        field: str(prompts / file) if (prompts / file).is_file() else None
        for field, file in (("descriptions", "cupl.json"), ("descriptors", "clip-d.json"))
    }
    methods = [m for m in METHODS if m != "clip-d" or files["descriptors"] is not None]
    return Request(
        str(options.folder / "data" / name),
        models=(options.encoder,),
        methods=(*methods, FLAT),
        runs=options.runs,
        crops=options.crops,
        per_class=options.per_class,
        baseline=BASELINE,
        **files,
    )


def where() -> str:
    """Say what the times were taken on."""
    found = machine()
    return f"Times are those of one machine: {found['processor']}, {found['cores']} cores."


def head(options: argparse.Namespace) -> list[str]:
    """Begin the page: what was run, and how to read it."""
    words = ["python", "benchmarks/results_builtin.py", "../shared"]
    words += ["--runs", str(options.runs)] if options.runs != 3 else []
    words += ["--crops", str(options.crops)] if options.crops else []
    words += ["--per-class", str(options.per_class)] if options.per_class else []
    words += ["--sets", *options.sets] if list(options.sets) != list(SETS) else []
    own = f"Every method with crops takes {options.crops} of them here, whatever its own number."
    return [
        "# Results with the built-in model",
        "",
        "This page is written by a script:",
        "",
        "```sh",
        shlex.join(words),
        "```",
        "",
        *(line for paragraph in INTRODUCTION for line in (paragraph, "")),
        *([own, ""] if options.crops else []),
    ]


def section(name: str, content: dict, varied: dict) -> list[str]:
    """Write the results of one set."""
    data = content["dataset"]
    against = {row["second"][1]: comparison_cells(row) for row in content["comparisons"]}
    rows = [
        (
            row["method"],
            row["texts"],
            crops_shown(row),
            percent(row["top1"]),
            f"{100 * row['top1']['low']:.1f} to {100 * row['top1']['high']:.1f}",
            *against.get(row["method"], ("",) * len(COMPARISON_HEAD)),
        )
        for row in content["results"]
    ]
    head = ("method", "texts", "crops", "top-1", "[95 %]", f"less {BASELINE}", *COMPARISON_HEAD[1:])
    parts = varied["factors"]["parts"]
    variants = tuple((row["name"], *cells(row)) for row in parts["variants"])
    return [
        f"## {name}: {data['images']} photos, {data['classes']} classes",
        "",
        markdown_table(Table("", head, tuple(rows), texts=3)),
        "",
        *(f"{note}\n" for note in data["notes"]),
        "What crops, crop weights (w) and description weights (v) of `wca` add or take away:",
        "",
        markdown_table(Table("", ("variant", *HEAD), variants)),
        "",
        verdict(parts) + " Adjusted for all pairs of the variants.",
        "",
    ]


if __name__ == "__main__":
    sys.exit(main())

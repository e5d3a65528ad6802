"""What ``crossalign label`` shows and writes: the summary, the report and exports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from crossalign.cli.application import say
from crossalign.cli.output import print_table
from crossalign.utils.text import count_images, first_of

if TYPE_CHECKING:
    from crossalign.classifier import Classifier
    from crossalign.labeling.decisions import Decisions
    from crossalign.labeling.job import Outcome
    from crossalign.labeling.review import Review
    from crossalign.labeling.sources import Source


def print_summary(out: Path, outcome: Outcome, decisions: Decisions) -> None:
    """Print what a job found, and what to look at first."""
    from crossalign.labeling.job_file import JobFile
    from crossalign.labeling.output_table import job_path
    from crossalign.labeling.review import review

    with JobFile(job_path(out)) as job:
        found = review(job)
    typer.echo(f"{count_images(outcome.images)} in {out}, {outcome.labelled:,} labelled now")
    print_table(
        ("label" if found.several else "decision", "images"),
        [(name, str(n)) for name, n in found.counts],
    )
    if decisions.calibration is None:
        typer.echo("Scores rank classes; they are not probabilities.")
    _print_lists(found)


def write_results(
    out: Path,
    source: Source,
    classifier: Classifier,
    decisions: Decisions,
    exports: list[tuple[str, Path]],
    report: Path | None,
) -> None:
    """Write the exports and then the report, so that its links lead where images were moved."""
    from crossalign.labeling.class_folders import finished_source
    from crossalign.labeling.contact_sheets import write_sheets
    from crossalign.labeling.exports import Job, write_exports
    from crossalign.labeling.job_file import JobFile
    from crossalign.labeling.output_table import job_path, write_rows

    card = classifier.encoder.card
    model = f"crossalign {classifier.method.name}, {card.name} {card.revision}"
    with JobFile(job_path(out)) as job:
        try:
            for kind, path, number in write_exports(
                exports, Job(job, source, classifier.classes, model)
            ):
                typer.echo(f"{kind}: {count_images(number)}, {path}")
        finally:
            if job.any_moved():  # also by a move that was cut short
                write_rows(out, job, decisions)
        if report is not None:
            title = f"Labels of {source.name}"
            page = write_sheets(report, job, finished_source(job, source), title=title)
            typer.echo(f"Report: {page}")


def _print_lists(found: Review) -> None:

    for title, images in (
        (f"Least sure, by {found.sure}", found.least_sure),
        ("Least like the others of their label", found.unusual),
    ):
        if images:
            typer.echo(f"\n{title}:")
            print_table((), [(f"{image.value:.3f}", image.label, image.path) for image in images])
    if found.duplicates:
        typer.echo(f"\nNear-duplicates, {found.groups_in_words}:")
        for group in found.duplicates:
            typer.echo(f"  {first_of(group, 3)}")
    if found.errors:
        say(f"{count_images(found.failed)} failed; --retry-errors tries again:")
        for kind, number, example in found.errors[:10]:
            say(f"  {number} x {kind} (such as {example})")

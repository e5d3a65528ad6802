"""``crossalign label``."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossalign.cli._app import INTERRUPTED, OK, SOME_FAILED, command, say
from crossalign.cli._options import (
    Background,
    Bank,
    ClassesFile,
    ClassNames,
    Crops,
    Device,
    Draft,
    Dtype,
    MethodName,
    ModelName,
    NoneOfThese,
    Risk,
    Seed,
    StoreFolder,
    StoreSize,
)
from crossalign.cli._shared import (
    background_given,
    classes_given,
    crops_given,
    method_given,
    print_table,
    say_left_out,
    say_undescribed,
    store_given,
)

if TYPE_CHECKING:
    from crossalign.classifier import Classifier
    from crossalign.labeling.decisions import Decisions
    from crossalign.labeling.job import Outcome
    from crossalign.labeling.review import Review
    from crossalign.labeling.sources import Source


class Engine(str, enum.Enum):
    """Who labels."""

    local = "local"
    ray = "ray"


@command
def label(
    source: Annotated[
        str,
        typer.Argument(
            help="Folder, 'pattern', list (.txt), table (.csv, .parquet) or archive (.tar, .zip)."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The table: .csv, .jsonl or .parquet.")],
    class_: ClassNames = None,
    classes: ClassesFile = None,
    model: ModelName = "builtin",
    method: MethodName = "wca",
    crops: Crops = None,
    risk: Risk = None,
    seed: Seed = 0,
    bank: Bank = True,
    dtype: Dtype = None,
    device: Device = None,
    runtime: Annotated[
        str | None,
        typer.Option(help="What runs onnx: encoders, onnxruntime (default) or openvino."),
    ] = None,
    store: StoreFolder = None,
    store_size: StoreSize = None,
    draft: Draft = False,
    column: Annotated[
        str | None, typer.Option(metavar="NAME", help="The table's column of images.")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew.")] = False,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Try images again that failed before.")
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Decide nothing below it: on the confidence with --calibration, else the score."
        ),
    ] = None,
    none_of_these: NoneOfThese = False,
    background: Background = None,
    multi_label: Annotated[
        bool, typer.Option("--multi-label", help="All classes that reach --threshold.")
    ] = False,
    top: Annotated[int, typer.Option(min=0, help="List so many classes with scores.")] = 0,
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What `crossalign calibrate` learnt: adds confidences."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write contact sheets, a page a class.")
    ] = None,
    engine: Annotated[
        Engine, typer.Option(help="This machine alone, or a Ray cluster.", case_sensitive=False)
    ] = Engine.local,
    address: Annotated[
        str | None, typer.Option(help="Of the Ray cluster; starts one here by default.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Workers on the Ray cluster; one a processor.")
    ] = None,
    worker_cpus: Annotated[
        float | None, typer.Option(help="Processors that a worker counts for.")
    ] = None,
    worker_gpus: Annotated[
        float, typer.Option(min=0, help="Graphics cards that a worker counts for.")
    ] = 0.0,
    shard_size: Annotated[int, typer.Option(min=1, help="Images in a shard, for Ray.")] = 256,
    shards: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for Ray's shards that all workers see."),
    ] = None,
    export: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND=PATH",
            help="Also write class folders (copy, link, move), fiftyone, label-studio or coco.",
        ),
    ] = None,
) -> int:
    """Label all images of a source; a job that was stopped goes on where it was."""
    from crossalign.labeling.exports import parse_export
    from crossalign.labeling.job import local_engine, run_job
    from crossalign.labeling.ray_engine import RayEngine
    from crossalign.labeling.recipe import Recipe
    from crossalign.labeling.sources import open_source

    if engine == Engine.ray and store is not None:
        raise typer.BadParameter("--store is one machine's; leave it out with --engine ray")
    exports = [parse_export(text) for text in export or ()]
    images = open_source(source, column=column)
    decisions = _decisions(threshold, none_of_these, background, multi_label, top, calibration)
    options = {"dtype": dtype, "device": device, "engine": runtime}
    recipe = Recipe(
        classes_given(class_, classes),
        decisions,
        model=model,
        model_options=tuple((name, value) for name, value in options.items() if value),
        method=method,
        crops=crops_given(crops, risk, method_given(method)),
        seed=seed,
        bank=bank,
        draft=draft,
    )
    classifier = recipe.build(store_given(store, store_size))
    if bank:
        say_undescribed(classifier)
    say_left_out(decisions, classifier)
    runner: Any = local_engine
    if engine == Engine.ray:
        runner = RayEngine(
            recipe,
            shards or out.with_name(f"{out.name}.shards"),
            address=address,
            workers=workers,
            cpus=worker_cpus,
            gpus=worker_gpus,
            shard_size=shard_size,
        )
    with _Shown() as shown:
        outcome = run_job(
            images,
            out,
            classifier,
            decisions,
            restart=restart,
            retry_errors=retry_errors,
            engine=runner,
            on_note=say,
            on_progress=shown.update,
        )
    if outcome.stopped:
        say(
            f"stopped: {outcome.left} of {outcome.images} images are left; run the same command to "
            "go on"
        )
        return INTERRUPTED
    _print_summary(out, outcome, decisions)
    if report is not None:
        _write_report(report, out, images)
    for kind, path in exports:
        _export(kind, path, out, images, classifier)
    return SOME_FAILED if outcome.failed else OK


class _Shown:
    """Progress that begins when the total is known."""

    def __init__(self) -> None:
        self._progress: Any = None

    def update(self, done: int, total: int, before: int) -> None:
        if self._progress is None:
            from crossalign._progress import Progress

            self._progress = Progress("images labelled", total, before)
            self._progress.__enter__()
        self._progress.update(done)

    def __enter__(self) -> _Shown:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._progress is not None:
            self._progress.__exit__(*error)


def _decisions(
    threshold: float | None,
    none_of_these: bool,
    background: Path | None,
    multi_label: bool,
    top: int,
    calibration: Path | None,
) -> Decisions:
    from crossalign.calibration import Calibration
    from crossalign.labeling.decisions import Decisions

    return Decisions(
        threshold=threshold,
        none_of_these=none_of_these,
        background=background_given(none_of_these, background),
        multi_label=multi_label,
        top=top,
        calibration=None if calibration is None else Calibration.load(calibration),
    )


def _print_summary(out: Path, outcome: Outcome, decisions: Decisions) -> None:
    from crossalign.labeling.job import job_path
    from crossalign.labeling.jobfile import JobFile
    from crossalign.labeling.review import review

    with JobFile(job_path(out)) as job:
        found = review(job)
    typer.echo(f"{outcome.images} images in {out}, {outcome.labelled} of them labelled now")
    print_table(
        ("label" if found.several else "decision", "images"),
        [(name, str(n)) for name, n in found.counts],
    )
    if decisions.calibration is None:
        typer.echo("Scores rank classes; they are not probabilities.")
    _print_lists(found)


def _write_report(folder: Path, out: Path, source: Source) -> None:
    from crossalign.labeling.job import job_path
    from crossalign.labeling.jobfile import JobFile
    from crossalign.labeling.sheets import write_sheets

    with JobFile(job_path(out)) as job:
        page = write_sheets(folder, job, source, title=f"Labels of {source.name}")
    typer.echo(f"Report: {page}")


def _export(kind: str, path: Path, out: Path, source: Source, classifier: Classifier) -> None:
    from crossalign.labeling.exports import Job, export
    from crossalign.labeling.job import job_path
    from crossalign.labeling.jobfile import JobFile

    card = classifier.encoder.card
    model = f"crossalign {classifier.method.name}, {card.name} {card.revision}"
    with JobFile(job_path(out)) as job:
        number = export(kind, path, Job(job, source, classifier.classes, model))
    typer.echo(f"{kind}: {number} images, {path}")


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
            more = f" and {len(group) - 3} more" if len(group) > 3 else ""
            typer.echo(f"  {', '.join(group[:3])}{more}")
    if found.errors:
        say(f"{found.failed} images failed; --retry-errors tries them again:")
        for kind, number, example in found.errors[:10]:
            say(f"  {number} x {kind} (such as {example})")

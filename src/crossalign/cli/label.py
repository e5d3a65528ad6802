"""``crossalign label``."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from crossalign.cli.application import INTERRUPTED, MANY, OK, SOME_FAILED, command, say, value_of
from crossalign.cli.declarations import REQUIRED, Options, argument, option
from crossalign.cli.label_results import print_summary, write_results
from crossalign.cli.options import (
    BackgroundOptions,
    ClassOptions,
    DraftOptions,
    EncoderOptions,
    MethodOptions,
    say_left_out,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from crossalign.classifier import Classifier
    from crossalign.labeling.decisions import Decisions
    from crossalign.labeling.sources import Source


@dataclass(frozen=True)
class _Encoder(EncoderOptions, heading="Encoder"):
    runtime: str | None = option("What runs onnx: encoders, onnxruntime (default) or openvino.")


@dataclass(frozen=True)
class _Job(Options, heading="Job"):
    column: str | None = option("The column of images, if the source is a table.", metavar="NAME")
    restart: bool = option("Begin anew.", default=False)
    retry_errors: bool = option("Try images again that failed before.", default=False)


@dataclass(frozen=True, kw_only=True)
class _Decisions(Options, heading="Decisions"):
    threshold: float | None = option(
        "Decide nothing below it: on the confidence with --calibration, else the score."
    )
    beside: BackgroundOptions
    multi_label: bool = option("All classes that reach --threshold.", default=False)
    top: int = option("List so many classes with scores.", default=0, min=0)
    calibration: Path | None = option(
        "What `crossalign calibrate` learnt: adds confidences.", metavar="FILE"
    )

    def load(self) -> Decisions:
        from crossalign.alignment.calibration import Calibration
        from crossalign.labeling.decisions import Decisions

        calibration = None
        if self.calibration is not None:
            with value_of("--calibration"):
                calibration = Calibration.load(self.calibration)
                if self.threshold is None:
                    calibration.check_threshold()
            for note in calibration.notes:
                say(f"note: {note}")
        background = self.beside.texts()
        with value_of("--threshold"):
            return Decisions(
                threshold=self.threshold,
                none_of_these=self.beside.none_of_these,
                background=background,
                multi_label=self.multi_label,
                top=self.top,
                calibration=calibration,
            )


@dataclass(frozen=True)
class _Results(Options, heading="Review and export"):
    report: Path | None = option(
        "Write contact sheets, a page a class, into a folder of their own.", metavar="DIR"
    )
    export: list[str] | None = option(
        "Also write class folders (copy, link, move), fiftyone, label-studio or coco.",
        metavar="KIND=PATH",
    )


@dataclass(frozen=True)
class _Ray(Options, heading="Ray"):
    executor: str = option(
        "Who labels: this machine alone, or a Ray cluster.",
        "--executor",
        "--engine",
        default="local",
        metavar="local|ray",
    )
    address: str | None = option("Of the Ray cluster; starts one here by default.")
    workers: int | None = option("Workers on the cluster; one a processor.", min=1)
    worker_cpus: float | None = option("Processors that a worker counts for.")
    worker_gpus: float | None = option(
        "Graphics cards that a worker counts for.  [default: 0]", min=0
    )
    shard_size: int | None = option("Images in a shard.  [default: 256]", min=1)
    shards: Path | None = option(
        "Folder of its own for the shards, that all workers see.  [default: beside the table]",
        metavar="DIR",
    )

    def runner(self, build: Callable[[], Classifier], out: Path, store: Path | None) -> Any:
        """Give who labels, ready to begin; options of the cluster's are refused without one."""
        from crossalign.labeling.job import local_engine
        from crossalign.labeling.ray.engine import SHARD_SIZE, RayEngine

        executor = self.executor.lower()
        if executor not in ("local", "ray"):
            raise typer.BadParameter(
                f"expected local or ray; got {self.executor!r}. What runs onnx: encoders is "
                "chosen with --runtime",
                param_hint="--executor",
            )
        if executor == "local":
            idle = [f"--{name.replace('_', '-')}" for name in self.given("executor")]
            if idle:
                raise typer.BadParameter(f"{', '.join(idle)}: only with --executor ray")
            return local_engine
        if store is not None:
            raise typer.BadParameter("--store is one machine's; leave it out with --executor ray")
        runner = RayEngine(
            build,
            self.shards or out.with_name(f"{out.name}.shards"),
            address=self.address,
            workers=self.workers,
            cpus=self.worker_cpus,
            gpus=self.worker_gpus or 0.0,
            shard_size=self.shard_size or SHARD_SIZE,
        )
        runner.check()
        return runner


@command("crossalign label photos --classes classes.txt --out labels.csv", under=MANY)
def label(
    *,
    source: str = argument(
        "SOURCE",
        "Folder, 'pattern', list (.txt), table (.csv, .parquet) or archive (.tar, .zip).",
    ),
    out: Path = option("The table: .csv, .jsonl or .parquet.", default=REQUIRED, metavar="FILE"),
    classes: ClassOptions,
    encoder: _Encoder,
    method: MethodOptions,
    speed: DraftOptions,
    job: _Job,
    decision: _Decisions,
    results: _Results,
    ray: _Ray,
) -> int:
    """Label all images of a source; a job that was stopped goes on where it was."""
    from crossalign.labeling.classifiers import build_classifier
    from crossalign.labeling.exports import parse_export
    from crossalign.labeling.job import run_job
    from crossalign.labeling.output_table import job_path
    from crossalign.labeling.sources import open_source
    from crossalign.utils.progress import PassProgress

    with value_of("--export"):
        exports = [parse_export(text) for text in results.export or ()]
    images = open_source(source, column=job.column, may_be_empty=job_path(out).exists())
    decisions = decision.load()
    chosen = method.load()
    build = functools.partial(
        build_classifier,
        classes.load(),
        decisions,
        model=encoder.model,
        model_options=tuple(encoder.settings().items()),
        method=chosen,
        crops=method.number(chosen),
        seed=method.seed,
        bank=classes.bank,
        draft=speed.draft,
    )
    runner = ray.runner(build, out, speed.store)
    _check_results(images, out, decisions, exports, results.report, job.restart)
    with value_of("--seed", "--crops", "--method"):
        classifier = build(store=speed.open_store())
    classes.say_undescribed(classifier)
    say_left_out(decisions, classifier)
    with PassProgress("") as progress:
        outcome = run_job(
            images,
            out,
            classifier,
            decisions,
            restart=job.restart,
            retry_errors=job.retry_errors,
            engine=runner,
            on_note=say,
            on_progress=functools.partial(progress, "images labelled"),
        )
    if outcome.stopped:
        say(
            f"stopped: {outcome.left} of {outcome.images} images are left; run the same command to "
            "go on"
        )
        return INTERRUPTED
    print_summary(out, outcome, decisions)
    write_results(out, images, classifier, decisions, exports, results.report)
    return SOME_FAILED if outcome.failed else OK


def _check_results(
    images: Source,
    out: Path,
    decisions: Decisions,
    exports: list[tuple[str, Path]],
    report: Path | None,
    restart: bool,
) -> None:
    """Find out before the work, not after it, that something cannot be written."""
    from crossalign.labeling.contact_sheets import check_sheets
    from crossalign.labeling.exports import check_exports
    from crossalign.labeling.output_table import check_output

    check_output(out, images)
    check_exports(exports, images, decisions, out, restart=restart)
    if report is not None:
        check_sheets(report, images)
        if any(report.resolve() == path.resolve() for _, path in exports):
            raise typer.BadParameter("--report and --export need places of their own")
